// SPDX-License-Identifier: Apache-2.0
/*
 * Connections to a sandbox's agent, and the few idle ones that a handle keeps for its next request.
 * Whatever comes from the agent is hostile: see wire/agent_msg.h. Layer: engine.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "wire/frame.h"

struct conn {
    int fd; // -1: none
    struct frame_in in;
};

#define CONN_NONE                                                                                  \
    {                                                                                              \
        .fd = -1                                                                                   \
    }
#define cleanup_conn cleanup(conn_close)

// Takes over a connected socket.
void conn_init(struct conn *conn, int fd);
void conn_close(struct conn *conn);

/*
 * Connects to the socket `name` in the directory, of type SOCK_STREAM or SOCK_SEQPACKET; the
 * descriptor does not block. Errors: NOT_FOUND (the sandbox is gone), UNAVAILABLE (nobody listens),
 * TIMEOUT, CANCELLED.
 */
int conn_connect(int dir_fd, const char *name, int type, struct deadline deadline, int *ret_fd,
                 struct sbx_error *err);

// As frame_send() and frame_receive(). Descriptors that come with a frame are closed, and PROTOCOL.
int conn_send(struct conn *conn, uint32_t type, const struct buf *payload, struct deadline deadline,
              struct sbx_error *err);
int conn_receive(struct conn *conn, struct deadline deadline, struct frame *ret_frame,
                 struct sbx_error *err);

// The answer made no sense. Returns PROTOCOL.
int conn_nonsense(struct sbx_error *err);

// The connection was closed from the other side, as err says. Adds the likely reason; returns
// UNAVAILABLE.
int conn_ended(struct sbx_error *err);

#define CONN_POOL_MAX 4

struct conn_pool {
    pthread_mutex_t lock;
    struct conn idle[CONN_POOL_MAX];
    size_t count;
};

void conn_pool_init(struct conn_pool *pool);
void conn_pool_deinit(struct conn_pool *pool);

// An idle connection that is still good, or a new one.
int conn_pool_take(struct conn_pool *pool, int dir_fd, struct deadline deadline,
                   struct conn *ret_conn, struct sbx_error *err);
// Takes an idle connection over: for the next request, or to its end.
void conn_pool_give(struct conn_pool *pool, struct conn *conn);
