/* SPDX-License-Identifier: Apache-2.0 */
/* Small shapes shared by all public headers: pairs, calls with deadline and cancel token,
 * capabilities. */
#ifndef SANDBOXES_TYPES_H
#define SANDBOXES_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include <sandboxes/export.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sbx_error;

/* One environment variable or label. Borrowed by the call it is given to. */
struct sbx_pair {
    const char *name;
    const char *value;
};

/*
 * A cancel token. Triggering it makes every call that was given it return SBX_ERR_CANCELLED within
 * milliseconds. Triggering is thread-safe, async-signal-safe, and stays in force. Free it after the
 * last call that uses it has returned.
 */
struct sbx_cancel;
SBX_API int sbx_cancel_new(struct sbx_cancel **ret_cancel, struct sbx_error *err);
SBX_API void sbx_cancel_trigger(struct sbx_cancel *cancel);
SBX_API void sbx_cancel_free(struct sbx_cancel *cancel);

/* How long a call may take and what stops it. NULL or all zero: no deadline, no token. */
struct sbx_call {
    size_t size;
    int64_t timeout_ms; /* relative to the call's start; 0: none */
    struct sbx_cancel *cancel;
};
#define SBX_CALL_INIT                                                                              \
    {                                                                                              \
        sizeof(struct sbx_call), 0, NULL                                                           \
    }

/* What a provider can do; a missing one makes its calls answer SBX_ERR_UNSUPPORTED. Bit set. */
enum sbx_capability {
    SBX_CAP_LABELS = 1 << 0,      /* labels are kept by the service and seen by other processes */
    SBX_CAP_STREAMING = 1 << 1,   /* output arrives while the command runs */
    SBX_CAP_STDERR = 1 << 2,      /* stdout and stderr are told apart */
    SBX_CAP_STDIN = 1 << 3,       /* commands can be given input while they run */
    SBX_CAP_PTY = 1 << 4,         /* terminals, with resize */
    SBX_CAP_SIGNAL = 1 << 5,      /* any signal can be sent to a command */
    SBX_CAP_BACKGROUND = 1 << 6,  /* commands outlive their caller and can be attached to later */
    SBX_CAP_FILES = 1 << 7,       /* file operations */
    SBX_CAP_TTL = 1 << 8,         /* time to live, and changing it later */
    SBX_CAP_LIMITS = 1 << 9,      /* cpu, memory, pids limits */
    SBX_CAP_NETWORK = 1 << 10,    /* network policy */
    SBX_CAP_MOUNTS = 1 << 11,     /* directories of this machine inside the sandbox */
    SBX_CAP_PORTS = 1 << 12,      /* ports of the sandbox reachable from outside */
    SBX_CAP_METRICS = 1 << 13,    /* cpu, memory, pids, disk in use */
    SBX_CAP_PAUSE = 1 << 14,      /* pause and resume */
    SBX_CAP_SNAPSHOT = 1 << 15,   /* snapshot and fork */
    SBX_CAP_GPU = 1 << 16,        /* gpu */
    SBX_CAP_PERSISTENT = 1 << 17, /* sandboxes survive the end of the process that made them */
    SBX_CAP_USERS = 1 << 18,      /* commands as another user of the sandbox */
    SBX_CAP_REPLAY = 1 << 19,     /* attaching brings what a background command wrote before */
    SBX_CAP_WATCH = 1 << 20       /* changes in directories are told as they happen */
};

/* Short name ("labels", "streaming", ...) of a single capability bit; NULL if unknown. Static
 * storage. */
SBX_API const char *sbx_capability_name(uint32_t capability);

#ifdef __cplusplus
}
#endif
#endif
