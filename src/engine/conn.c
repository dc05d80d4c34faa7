// SPDX-License-Identifier: Apache-2.0
// Connections to a sandbox's agent. Layer: engine.
#include "engine/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "wire/monitor_msg.h"

#define BUSY_PAUSE_MS 5
#define BUFFER_KEPT (128 * 1024) // of an idle connection

void conn_init(struct conn *conn, int fd)
{
    conn->fd = fd;
    frame_in_init(&conn->in);
}

void conn_close(struct conn *conn)
{
    if (conn->fd < 0)
        return;
    close(conn->fd);
    frame_in_deinit(&conn->in);
    conn->fd = -1;
}

// Through /proc: the path of a directory may be longer than what a socket address holds (108
// bytes), and the descriptor means this sandbox even when something else has come to have its name.
static void set_address(struct sockaddr_un *address, int dir_fd, const char *name)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", dir_fd, name);
}

static int connect_failed(int dir_fd, const char *name, int sys_errno, struct sbx_error *err)
{
    if (sys_errno == ECONNREFUSED || sys_errno == ECONNRESET)
        return err_sys(err, SBX_ERR_UNAVAILABLE, sys_errno, "the sandbox has ended");
    if (sys_errno == ENOENT && faccessat(dir_fd, name, F_OK, 0) == 0)
        return err_set(err, SBX_ERR_SETUP, "/proc is not mounted"),
               err_hint(err, "mount it: mount -t proc proc /proc"), SBX_ERR_SETUP;
    if (sys_errno == ENOENT)
        return err_set(err, SBX_ERR_NOT_FOUND, "the sandbox does not exist any more");
    return err_sys(err, 0, sys_errno, "cannot connect to the sandbox");
}

// EAGAIN: the listener's queue is full, because it is very busy or stopped.
static int wait_busy(struct deadline deadline, struct sbx_error *err)
{
    struct pollfd cancel = {.fd = cancel_fd(deadline.cancel), .events = POLLIN};
    if (deadline_poll_ms(deadline) == 0)
        return err_set(err, SBX_ERR_TIMEOUT, "timed out: the sandbox accepts no connection");
    if (poll(&cancel, 1, BUSY_PAUSE_MS) > 0)
        return err_set(err, SBX_ERR_CANCELLED, "cancelled");
    return 0;
}

int conn_connect(int dir_fd, const char *name, int type, struct deadline deadline, int *ret_fd,
                 struct sbx_error *err)
{
    struct sockaddr_un address;
    set_address(&address, dir_fd, name);
    cleanup_fd int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(err, 0, errno, "cannot make a socket");
    while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        int code = 0;
        if (errno == EAGAIN)
            code = wait_busy(deadline, err);
        else if (errno != EINTR)
            code = connect_failed(dir_fd, name, errno, err);
        if (code < 0)
            return code;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

int conn_send(struct conn *conn, uint32_t type, const struct buf *payload, struct deadline deadline,
              struct sbx_error *err)
{
    if (payload->failed)
        return payload->size > payload->limit / 2
                   ? err_set(err, SBX_ERR_INVALID, "the request is over the limit of %zu KiB",
                             payload->limit / 1024)
                   : err_nomem(err);
    return frame_send(conn->fd, type, payload->data, payload->size, NULL, 0, deadline, err);
}

int conn_nonsense(struct sbx_error *err)
{
    return err_set(err, SBX_ERR_PROTOCOL, "the sandbox sent an answer that makes no sense");
}

int conn_ended(struct sbx_error *err)
{
    err_hint(err, "'sandboxes list' shows whether it lives: its time may be up, or somebody has "
                  "destroyed it");
    return SBX_ERR_UNAVAILABLE;
}

int conn_receive(struct conn *conn, struct deadline deadline, struct frame *ret_frame,
                 struct sbx_error *err)
{
    int code = frame_receive(conn->fd, &conn->in, deadline, ret_frame, err);
    if (code < 0)
        return code == SBX_ERR_UNAVAILABLE ? conn_ended(err) : code;
    if (ret_frame->fd_count == 0 && ret_frame->channel == 0)
        return 0;
    for (size_t i = 0; i < ret_frame->fd_count; i++)
        close(ret_frame->fds[i]);
    return conn_nonsense(err);
}

void conn_pool_init(struct conn_pool *pool)
{
    pthread_mutex_init(&pool->lock, NULL);
    pool->count = 0;
}

void conn_pool_deinit(struct conn_pool *pool)
{
    for (size_t i = 0; i < pool->count; i++)
        conn_close(&pool->idle[i]);
    pthread_mutex_destroy(&pool->lock);
}

// An idle connection says nothing: bytes on it, or its end, make it useless.
static bool is_quiet(const struct conn *conn)
{
    char byte;
    return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static bool take_idle(struct conn_pool *pool, struct conn *ret_conn)
{
    pthread_mutex_lock(&pool->lock);
    bool found = pool->count > 0;
    if (found)
        *ret_conn = pool->idle[--pool->count];
    pthread_mutex_unlock(&pool->lock);
    return found;
}

int conn_pool_take(struct conn_pool *pool, int dir_fd, struct deadline deadline,
                   struct conn *ret_conn, struct sbx_error *err)
{
    struct conn conn;
    while (take_idle(pool, &conn)) {
        if (is_quiet(&conn)) {
            *ret_conn = conn;
            return 0;
        }
        conn_close(&conn);
    }
    int fd;
    int code = conn_connect(dir_fd, BOX_FILE_AGENT, SOCK_STREAM, deadline, &fd, err);
    if (code == 0)
        conn_init(ret_conn, fd);
    return code;
}

void conn_pool_give(struct conn_pool *pool, struct conn *conn)
{
    struct buf *buffer = &conn->in.buffer;
    bool empty = buffer->size == conn->in.consumed && conn->in.fd_count == 0;
    if (empty && buffer->capacity > BUFFER_KEPT) {
        buf_deinit(buffer);
        conn->in.consumed = 0;
    }
    pthread_mutex_lock(&pool->lock);
    bool kept = empty && pool->count < CONN_POOL_MAX;
    if (kept)
        pool->idle[pool->count++] = *conn;
    pthread_mutex_unlock(&pool->lock);
    if (kept)
        conn->fd = -1;
    else
        conn_close(conn);
}
