// SPDX-License-Identifier: Apache-2.0
// Connections from the host: framing, dispatch, bounded output. Layer: agent.
#pragma once

#include <stdbool.h>

#include "agent/loop.h"
#include "wire/agent_msg.h"
#include "wire/frame.h"

struct proc;

struct conn {
    struct watch watch;
    struct frame_in in;
    struct buf out;    // what the host has not yet taken
    struct proc *proc; // the command it is attached to, in process mode
    struct conn *next_attached;
    uint64_t cursor;     // offset in the command's output of what comes next
    uint32_t chunk_left; // bytes of an OUTPUT frame whose beginning has been sent
    bool may_lose;       // too slow once: the command no longer waits for it
    bool truncated;      // some output did not reach it
    bool held;           // what is sent gathers in `out`, to leave at once
    bool closed;         // to be freed after this turn of the loop
    struct conn *next;
};

struct conns {
    struct conn *first;
    size_t count;
    struct buf spare; // input buffer lent to whoever reads: idle connections hold none
    bool sweep;
};

void conns_init(struct conns *conns);

// Takes over a connected socket. NULL (and the socket closed) when out of memory or descriptors.
struct conn *conn_open(struct agent *agent, int fd);

// Ends it; a command that is not in the background is killed.
void conn_close(struct agent *agent, struct conn *conn);

// Sends a frame, or keeps what the socket does not take. A connection that can't keep it is closed.
void conn_send(struct agent *agent, struct conn *conn, uint32_t type, const void *payload,
               size_t size);
void conn_send_buf(struct agent *agent, struct conn *conn, uint32_t type,
                   const struct buf *payload);
void conn_fail(struct agent *agent, struct conn *conn, const struct sbx_error *error);

// Between the two, what is sent waits, so that the host is woken once for all of it.
void conn_hold(struct conn *conn);
void conn_release(struct agent *agent, struct conn *conn);

// Hands out frames that wait in the buffer, after what stopped them is gone.
void conn_resume(struct agent *agent, struct conn *conn);

// Chooses anew what events are wanted.
void conn_update(struct agent *agent, struct conn *conn);

// Frees what was closed.
void conns_sweep(struct agent *agent);
