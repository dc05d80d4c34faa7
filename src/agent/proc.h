// SPDX-License-Identifier: Apache-2.0
// Commands and workers: the table, reaping, timers, the end. Layer: agent.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/conn.h"
#include "agent/log.h"
#include "agent/loop.h"

#define PROC_SLOTS 64

struct proc;

// One output of a command: the reading end of a pipe, or a terminal's master.
struct stream {
    struct watch watch; // fd -1: not piped, or at its end
    struct proc *proc;
    uint32_t number;     // enum sbx_stream
    bool draining;       // the command has ended: only what it left is still read
    uint64_t drain_left; // bytes of that
};

// The command's input: writing end of a pipe, or a second descriptor of the master.
struct input {
    struct watch watch;
    struct proc *proc;
    struct buf rest; // not yet taken by the command
    bool terminal;
    bool ended; // to be closed when rest is empty
};

struct proc {
    pid_t pid;
    uint64_t tag;   // see tree.h; 0: a worker, which is only reaped
    uint32_t flags; // struct agent_exec's
    bool exited;    // the main process is reaped
    bool killing;   // until all its descendants are gone
    bool timed_out;
    bool finished; // counted as a finished one that is kept
    bool gone;     // to be freed after this turn of the loop
    int status;    // of wait(2), once exited
    struct stream out[2];
    struct input in;
    struct log log;
    struct conn *attached; // linked by next_attached
    int64_t started_ns, ended_ns;
    int64_t started_unix_ms; // 0: nobody has asked yet
    int64_t deadline_ms;     // DEADLINE_NEVER: none
    int64_t kill_ms;         // next look whether the kill has met all
    int64_t kill_end_ms;     // then it is given up
    int64_t stalled_ms;      // since then output waits for a slow reader; 0: it does not
    char *command;           // owned, for people
    struct proc *next_slot;
    struct proc *previous, *next; // in order of start
};

struct procs {
    struct proc *slots[PROC_SLOTS]; // by pid
    struct proc *first, *last;
    size_t command_count, finished_count, worker_count;
    uint64_t last_tag;
    size_t log_budget;
    int64_t reap_ms; // when to reap without a signal; DEADLINE_NEVER: at the next one
    bool sweep;
};

void procs_init(struct procs *procs);

// A command that is not in the table yet, NULL without memory. proc_free() it, or give it a pid and
// add it.
struct proc *proc_new(struct agent *agent, uint32_t flags, size_t log_limit);
void proc_free(struct agent *agent, struct proc *proc);
void proc_add(struct agent *agent, struct proc *proc, pid_t pid);

// A forked helper of ours: only reaped. 0, or -1 without memory.
int proc_add_worker(struct agent *agent, pid_t pid);

// True when another command can be kept track of, dropping the oldest finished one if need be.
bool procs_have_room(struct agent *agent);

// Whether anybody is told of it: no worker, and not AGENT_EXEC_UNSEEN.
bool proc_is_seen(const struct proc *proc);

// The newest command with that number, running or kept. NULL: none.
struct proc *procs_find(struct agent *agent, uint32_t pid);

void procs_reap(struct agent *agent);
void procs_tick(struct agent *agent); // timers that are due
void procs_sweep(struct agent *agent);

void proc_attach(struct proc *proc, struct conn *conn);
void proc_detach(struct agent *agent, struct conn *conn);

// Kills the command with all its descendants.
void proc_kill(struct agent *agent, struct proc *proc);

// Tells the connections that have got everything, once there is nothing more to come.
void proc_check_end(struct agent *agent, struct proc *proc);

// As a shell says it: its own, 128 + signal, 124 after a timeout.
uint32_t proc_exit_code(const struct proc *proc);
