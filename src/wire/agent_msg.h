// SPDX-License-Identifier: Apache-2.0
/*
 * What host and agent say to each other, over one connection per request (engine/conn.h pools
 * them). A connection is in one of three modes, chosen by the first request on it: idle     any
 * request below may come; after its final answer the connection is idle again process  between
 * EXEC/ATTACH and EXIT: INPUT, INPUT_END, RESIZE, SIGNAL go in, OUTPUT comes out files    after
 * FILES: a forked worker with the asked user's rights owns the connection to its end Closing the
 * connection in mode process kills a command that is not in the background. The agent trusts the
 * host; the host treats every byte from the agent as hostile. Layer: wire.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <sandboxes/error.h>

#include "wire/codec.h"

#define AGENT_PROTOCOL 1

// Descriptors the agent starts with.
#define AGENT_FD_LISTEN 3 // listening unix stream socket
#define AGENT_FD_FIRST 4  // a connected one, as if accepted from it; READY goes out here
#define AGENT_FD_MONITOR                                                                           \
    5 // seqpacket socket: first a datagram with agent_config; at its end the agent exits

// Ceilings that both sides hold.
#define AGENT_ARGS_MAX 16384
#define AGENT_PAIRS_MAX 4096
#define AGENT_MOUNTS_MAX 64
#define AGENT_LOG_MAX (1024 * 1024) // bytes of a background command's output that are kept
#define AGENT_DATA_MAX (256 * 1024) // bytes of one OUTPUT, INPUT or DATA

enum agent_msg {
    // Requests (host to agent); payload fields in order.
    AGENT_EXEC = 1,      // struct agent_exec; with 3 descriptors: stdin, stdout, stderr; with 2: no
                         // stdin; or with none
    AGENT_ATTACH = 2,    // u32 pid: STARTED again, then kept output, then what follows
    AGENT_INPUT = 3,     // raw bytes
    AGENT_INPUT_END = 4, // nothing
    AGENT_RESIZE = 5,    // u32 rows, u32 cols
    AGENT_SIGNAL = 6,    // u32 signal
    AGENT_PROCESSES = 7, // nothing
    AGENT_USAGE = 8,     // nothing
    AGENT_CONNECT =
        9, // u32 port: DONE, then the connection is a byte stream to 127.0.0.1:port inside
    AGENT_FILES =
        10, // text user ("" = default): files mode, see wire/files_msg.h. No answer but FAILED

    AGENT_SIGNAL_TO =
        11, // u32 pid, u32 signal: DONE. As SIGNAL, past input that a command does not read
    AGENT_GUEST = 12, // nothing; sandboxes-vmm alone, with a guest that it saves: DONE with two
                      // descriptors, the guest's memory and the state of all else

    // Answers (agent to host).
    AGENT_READY = 32,   // u32 AGENT_PROTOCOL; once, on the first connection, when commands can run
    AGENT_STARTED = 33, // u32 pid
    AGENT_OUTPUT = 34,  // u32 enum sbx_stream, then raw bytes
    AGENT_EXIT = 35,    // u32 code, u32 signal, u32 enum sbx_outcome_flags, u64 duration_us
    AGENT_FAILED =
        36, // i32 as u32 code, u32 errno, text message, text remedy; final for the request
    AGENT_PROCESS =
        37, // one process: u32 pid, flags, running, exit_code; u64 started_ms; text command
    AGENT_DONE = 38, // end of a list, or success without a value
    AGENT_USED = 39  // struct agent_usage
};

// What the agent is told at its start. Arrays as in agent_exec.
struct agent_config {
    const char *user;    // default user, a name or number
    const char *workdir; // "" = that user's home
    struct sbx_pair *env;
    size_t env_count;
    const char *machine;     // box_spec's; for sandboxes-vmm, which takes the agent's place then
    struct sbx_pair *mounts; // of a guest: target, and 'r' or 'w'
    size_t mount_count;
};

void agent_config_put(struct buf *out, const struct agent_config *config);
int agent_config_get(const void *payload, size_t size, struct agent_config *ret_config);
void agent_config_deinit(struct agent_config *config);

// A command that is nobody's: no list and no number tells of it.
#define AGENT_EXEC_UNSEEN (1u << 31)
// Only the end matters, so STARTED may come with it.
#define AGENT_EXEC_WHOLE (1u << 30)

// The agent's own program, run as a command with this one argument, does what the first command of
// a sandbox would else be the first to do, and nothing more: see agent/warm.h.
#define AGENT_WARM_PROGRAM "/proc/self/exe"
#define AGENT_WARM_ARGUMENT "warm"

// Its argument where whoever becomes the agent has no bounding set of capabilities any more, and
// ignores no signal.
#define AGENT_READY_ARGUMENT "ready"

// EXEC's payload. argv empty means `shell` is run by /bin/sh -c. Strings are borrowed.
struct agent_exec {
    uint32_t flags; // enum sbx_exec_flags, and of ours AGENT_EXEC_UNSEEN, AGENT_EXEC_WHOLE
    uint32_t rows, cols;
    uint64_t timeout_ms; // 0: none
    const char *cwd;     // "" = default
    const char *user;    // "" = default
    const char *shell;
    const char **argv; // owned array of borrowed strings, NULL-terminated
    size_t argc;
    struct sbx_pair *env; // owned array of borrowed strings
    size_t env_count;
};

void agent_exec_put(struct buf *out, const struct agent_exec *exec);
int agent_exec_get(const void *payload, size_t size,
                   struct agent_exec *ret_exec); // -1 if malformed
void agent_exec_deinit(struct agent_exec *exec);

struct agent_usage {
    uint64_t
        cpu_usec; // of all processes so far, own children included; for machines without cgroups
    uint64_t memory_bytes; // sum of resident sets, likewise
    uint64_t disk_bytes, disk_limit_bytes;
    uint32_t pids;
};

void agent_usage_put(struct buf *out, const struct agent_usage *usage);
int agent_usage_get(const void *payload, size_t size, struct agent_usage *ret_usage);

// FAILED from and to an error value. get yields PROTOCOL when the payload itself is malformed or
// claims success; texts are untrusted and are cut and cleaned of control characters.
void agent_failed_put(struct buf *out, const struct sbx_error *error);
int agent_failed_get(const void *payload, size_t size, struct sbx_error *err);
