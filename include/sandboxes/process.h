/* SPDX-License-Identifier: Apache-2.0 */
/* Commands in a sandbox: blocking, streaming, with input, on a terminal, in the background. */
#ifndef SANDBOXES_PROCESS_H
#define SANDBOXES_PROCESS_H

#include <sandboxes/sandbox.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sbx_exec_flags {
    SBX_EXEC_PTY = 1 << 0,        /* on a terminal; stdout and stderr are one stream */
    SBX_EXEC_BACKGROUND = 1 << 1, /* outlives this handle and process; output is kept for attach */
    SBX_EXEC_STDIN = 1 << 2,      /* keep the command's input open for sbx_process_write() */
    SBX_EXEC_MERGE = 1 << 3,      /* stderr goes where stdout goes, in order */
    SBX_EXEC_CLEAN_ENV = 1 << 4   /* only the given env, not even a PATH */
};

/* What to run. Give argv, or shell for a line run by the sandbox's /bin/sh -c. Borrowed by the
 * call. */
struct sbx_exec {
    size_t size;
    const char *const *argv; /* argv[0] is searched in PATH; argc entries, no NULL needed */
    size_t argc;
    const char *shell;
    const char *cwd;            /* NULL: the sandbox's default */
    const char *user;           /* NULL: the sandbox's default; a name or number */
    const struct sbx_pair *env; /* on top of the sandbox's */
    size_t env_count;
    const void *input; /* whole standard input, when SBX_EXEC_STDIN is not set */
    size_t input_size;
    uint32_t flags;        /* enum sbx_exec_flags */
    uint16_t rows, cols;   /* of the terminal; 0: 24 x 80 */
    int64_t timeout_ms;    /* of the command: it and its children are killed then; 0: none */
    uint64_t output_limit; /* bytes of each stream kept by sbx_run(); 0: 64 MiB. More is counted,
                              not kept */
};
#define SBX_EXEC_INIT                                                                              \
    {                                                                                              \
        .size = sizeof(struct sbx_exec)                                                            \
    }

enum sbx_stream { SBX_STDOUT = 1, SBX_STDERR = 2 };

enum sbx_outcome_flags {
    SBX_OUTCOME_TIMED_OUT = 1 << 0,
    SBX_OUTCOME_OOM = 1 << 1,      /* the sandbox ran out of memory while it ran */
    SBX_OUTCOME_TRUNCATED = 1 << 2 /* output went past output_limit */
};

/* How a command ended. */
struct sbx_outcome {
    int32_t exit_code; /* its own; 128 + signal; 124 when timed out */
    int32_t signal;    /* that ended it, 0 if none */
    uint32_t flags;    /* enum sbx_outcome_flags */
    uint32_t reserved;
    uint64_t duration_us;
};

/* Result of sbx_run(). Free with sbx_result_deinit(). Buffers end in a NUL that size does not
 * count. */
struct sbx_result {
    struct sbx_outcome outcome;
    char *out;
    size_t out_size;
    char *err;
    size_t err_size;
};

/* Takes a piece of output; return 0, or another value to stop the command (the call is then
 * CANCELLED). */
typedef int (*sbx_output_fn)(void *payload, int stream, const void *data, size_t size);

/* Runs a command to its end and collects its output. A non-zero exit code is not an error. */
SBX_API int sbx_run(struct sbx_sandbox *sandbox, const struct sbx_exec *exec,
                    const struct sbx_call *call, struct sbx_result *ret_result,
                    struct sbx_error *err);
SBX_API void sbx_result_deinit(struct sbx_result *result);

/* Runs a command to its end and hands its output to the callback as it comes, on this thread. */
SBX_API int sbx_stream_run(struct sbx_sandbox *sandbox, const struct sbx_exec *exec,
                           sbx_output_fn on_output, void *payload, const struct sbx_call *call,
                           struct sbx_outcome *ret_outcome, struct sbx_error *err);

/* A running command. One thread may read while another writes, signals or resizes. */
struct sbx_process;

SBX_API int sbx_process_start(struct sbx_sandbox *sandbox, const struct sbx_exec *exec,
                              const struct sbx_call *call, struct sbx_process **ret_process,
                              struct sbx_error *err);

/* Joins a background command: its kept output comes first (SBX_CAP_REPLAY), then what follows. */
SBX_API int sbx_process_attach(struct sbx_sandbox *sandbox, uint32_t pid,
                               const struct sbx_call *call, struct sbx_process **ret_process,
                               struct sbx_error *err);

/* Number of the command inside its sandbox. */
SBX_API uint32_t sbx_process_pid(const struct sbx_process *process);

enum sbx_event_kind { SBX_EVENT_OUTPUT = 1, SBX_EVENT_EXIT = 2 };

struct sbx_event {
    uint32_t kind;    /* enum sbx_event_kind */
    uint32_t stream;  /* enum sbx_stream, for OUTPUT */
    const void *data; /* for OUTPUT; valid until the next read on this process */
    size_t size;
    struct sbx_outcome outcome; /* for EXIT; nothing follows it */
};

/* Waits for the next piece of output or the end. All output that preceded the end comes first. */
SBX_API int sbx_process_read(struct sbx_process *process, const struct sbx_call *call,
                             struct sbx_event *ret_event, struct sbx_error *err);

/* Writes all of data to the command's input (needs SBX_EXEC_STDIN or SBX_EXEC_PTY). */
SBX_API int sbx_process_write(struct sbx_process *process, const void *data, size_t size,
                              const struct sbx_call *call, struct sbx_error *err);
SBX_API int sbx_process_close_input(struct sbx_process *process, struct sbx_error *err);
SBX_API int sbx_process_resize(struct sbx_process *process, uint16_t rows, uint16_t cols,
                               struct sbx_error *err);

/* Sends a signal to the command's process group; SIGKILL reaches all its descendants. */
SBX_API int sbx_process_signal(struct sbx_process *process, int32_t signal, struct sbx_error *err);

/* Ends the handle; a command that is not BACKGROUND and still runs is killed with its children. */
SBX_API void sbx_process_free(struct sbx_process *process);

/* A command that is running, or that ended and whose output is still kept. */
struct sbx_process_info {
    uint32_t pid;
    uint32_t flags;   /* enum sbx_exec_flags it was started with */
    uint32_t running; /* 1 or 0 */
    int32_t exit_code;
    int64_t started_ms;  /* Unix time */
    const char *command; /* argv joined for people to read, at most 256 bytes */
};

struct sbx_process_list {
    size_t count;
    const struct sbx_process_info *items;
    void *owner; /* private */
};

SBX_API int sbx_process_list(struct sbx_sandbox *sandbox, const struct sbx_call *call,
                             struct sbx_process_list *ret_list, struct sbx_error *err);
SBX_API void sbx_process_list_free(struct sbx_process_list *list);

#ifdef __cplusplus
}
#endif
#endif
