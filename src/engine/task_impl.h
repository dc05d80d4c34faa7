// SPDX-License-Identifier: Apache-2.0
// What the files of engine/task share. Layer: engine.
#pragma once

#include "engine/task.h"

#define TASK_SMALL 4096 // output that needs no buffer beside the handle

enum { TASK_OUT, TASK_ERR, TASK_STREAMS };

struct task {
    struct box *box;
    uint32_t pid;
    uint32_t flags; // enum sbx_exec_flags
    bool direct;
    int64_t
        overdue_ms; // clock_boot_ms() when the agent should long have ended it; or DEADLINE_NEVER

    // Guards the sending side of conn against its return to the box. The reader alone receives.
    pthread_mutex_t lock;
    struct conn conn;  // none once the command has ended or is lost
    bool lost;         // the connection failed: nothing more will be known
    int64_t answer_ms; // when STARTED, which is not awaited by itself, is overdue; 0: it has come
    int kept[TASK_STREAMS]; // its ends of out[], or -1: so a short one wakes nobody by closing them

    int out[TASK_STREAMS];     // direct: our ends, not blocking; -1: none or at their end
    size_t rest[TASK_STREAMS]; // after EXIT: bytes that were in the pipes then and are not yet
                               // handed out
    int in;                    // direct: our end of its input, not blocking; -1: none
    int next;                  // stream that is asked first
    bool ended;                // EXIT has come
    bool measured;             // rest[] is set
    bool flows;                // the last read filled the buffer: a larger one pays
    struct sbx_outcome outcome;

    char *large; // owned, for a flow of output
    size_t large_size;
    char small[TASK_SMALL];
};

// The ends of a direct command.
struct task_pipes {
    int theirs[3]; // owned by the starter until they are sent; the first is -1 without an input
};

int task_open_pipes(struct task *task, struct task_pipes *ret_pipes, struct sbx_error *err);
void task_close_pipes(struct task_pipes *pipes);

// The next output of a direct command, or 1 when only the end is left (or something came on the
// connection).
int task_read_direct(struct task *task, struct deadline deadline, struct sbx_event *ret_event,
                     struct sbx_error *err);
