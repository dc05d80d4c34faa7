// SPDX-License-Identifier: Apache-2.0
/*
 * A living sandbox as this process holds it: its directory and connections to its agent. Shared by
 * the handles of its commands, so it is counted. Thread-safe. Layer: engine.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "engine/conn.h"
#include "wire/agent_msg.h"

struct box {
    atomic_uint references;
    int dir_fd; // owned
    char id[64];
    bool in_guest; // the way to its agent carries bytes alone, no descriptors
    struct conn_pool pool;
    atomic_llong oom_kills; // last known count of the monitor's; -1: not asked yet
    atomic_bool quick;      // a command is likely to end at once, with little output
};

// Takes dir_fd over. NULL when out of memory (dir_fd is closed then too).
struct box *box_new(const char *id, int dir_fd);
struct box *box_hold(struct box *box);
void box_release(struct box *box);

// How long an agent may take for an answer that it can give at once.
#define BOX_ANSWER_MS 10000

/*
 * Looks after a sandbox from which nothing comes: soon once, then ever less often. Waiting goes on
 * in steps that end at box_patience_end() of the wait's own deadline; a step that ended there calls
 * box_patience_look().
 */
struct box_patience {
    int64_t step_ms, next_ms;
};

struct box_patience box_patience_begin(void);
struct deadline box_patience_end(const struct box_patience *patience, struct deadline deadline);
// 0 when there is reason to wait on; UNAVAILABLE when the agent is stopped.
int box_patience_look(struct box *box, struct box_patience *patience, struct deadline deadline,
                      struct sbx_error *err);

// What a request's silence means: CONFLICT when the sandbox is paused, UNAVAILABLE from limit_ms
// on, 0.
int box_unanswered(const struct box *box, int64_t limit_ms, struct sbx_error *err);

// Waits for one of the poll(2) events on a connection, as box_receive() does.
int box_await(struct box *box, int fd, short events, int64_t limit_ms, struct deadline deadline,
              short *ret_revents, struct sbx_error *err);

/*
 * The agent's next frame. limit_ms > 0: an agent that says nothing for that long is taken for dead
 * (UNAVAILABLE). A paused sandbox is CONFLICT rather than a timeout. AGENT_FAILED is returned as
 * its error.
 */
int box_receive(struct box *box, struct conn *conn, int64_t limit_ms, struct deadline deadline,
                struct frame *ret_frame, struct sbx_error *err);

bool box_is_paused(const struct box *box);

// What the agent counts: for machines without cgroups, and the writable layer everywhere.
int box_usage(struct box *box, struct deadline deadline, struct agent_usage *ret_usage,
              struct sbx_error *err);

// An idle connection, and its return after the final answer.
int box_connect(struct box *box, struct deadline deadline, struct conn *ret_conn,
                struct sbx_error *err);
void box_return(struct box *box, struct conn *conn);

// Whether processes were killed for lack of memory since the last time it was asked. False if
// unknown.
void box_mark_oom(struct box *box, struct deadline deadline);
bool box_had_oom(struct box *box, struct deadline deadline);
