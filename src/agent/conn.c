// SPDX-License-Identifier: Apache-2.0
// Connections from the host. Layer: agent.
#include "agent/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "agent/agent.h"
#include "agent/request.h"
#include "agent/stream.h"
#include "base/error.h"
#include "base/fd.h"

#define OUT_MAX (1024 * 1024)     // a list of all commands fits
#define OUT_PAUSE (64 * 1024)     // with so much unsent no further request is read
#define SPARE_KEPT (64 * 1024)    // capacity of a read buffer that is kept
#define SPARE_TOUCHED (16 * 1024) // a buffer that held more is given back to the kernel

void conns_init(struct conns *conns)
{
    struct frame_in in;
    frame_in_init(&in);
    conns->spare = in.buffer;
}

static void take_spare(struct conns *conns, struct conn *conn)
{
    if (conn->in.buffer.data || !conns->spare.data)
        return;
    conn->in.buffer = conns->spare;
    conns->spare = (struct buf){.limit = conns->spare.limit};
}

static void give_spare(struct conns *conns, struct conn *conn, size_t touched)
{
    if (conn->in.buffer.size > conn->in.consumed || !conn->in.buffer.data)
        return;
    conn->in.consumed = 0;
    conn->in.buffer.size = 0;
    if (conns->spare.data || touched > SPARE_TOUCHED || conn->in.buffer.capacity > SPARE_KEPT) {
        buf_deinit(&conn->in.buffer);
        return;
    }
    conns->spare = conn->in.buffer;
    conn->in.buffer = (struct buf){.limit = conns->spare.limit};
}

static bool is_paused(const struct conn *conn)
{
    return conn->out.size > OUT_PAUSE || (conn->proc && stream_input_full(conn->proc));
}

void conn_update(struct agent *agent, struct conn *conn)
{
    if (conn->closed || conn->held)
        return;
    uint32_t events = EPOLLRDHUP;
    if (!is_paused(conn))
        events |= EPOLLIN;
    if (conn->out.size || stream_output_waits(conn))
        events |= EPOLLOUT;
    if (watch_set(agent, &conn->watch, events) < 0)
        conn_close(agent, conn);
}

// Hands out whole frames while nothing holds them up. -1 when the connection must end.
static int hand_out(struct agent *agent, struct conn *conn)
{
    struct frame frame;
    while (!conn->closed && !is_paused(conn)) {
        int got = frame_next(&conn->in, &frame);
        if (got <= 0)
            return got;
        // Descriptors may have come in one read with the bytes of an earlier frame: they wait for
        // the request that wants them.
        if (frame.type != AGENT_EXEC) {
            for (size_t i = 0; i < frame.fd_count; i++)
                conn->in.fds[i] = frame.fds[i];
            conn->in.fd_count = frame.fd_count;
            frame.fd_count = 0;
        }
        if (request_handle(agent, conn, &frame) < 0)
            return -1;
    }
    return 0;
}

void conn_resume(struct agent *agent, struct conn *conn)
{
    if (conn->closed)
        return;
    if (hand_out(agent, conn) < 0)
        conn_close(agent, conn);
    conn_update(agent, conn);
}

static void say_no_memory(struct agent *agent, struct conn *conn)
{
    struct sbx_error error;
    err_set(&error, SBX_ERR_NOMEM, "the sandbox has no memory for the request");
    err_hint(&error, "end some of its processes, or create it with more memory");
    conn_fail(agent, conn, &error);
}

static void read_requests(struct agent *agent, struct conn *conn)
{
    take_spare(&agent->conns, conn);
    int filled = frame_fill(conn->watch.fd, &conn->in);
    size_t touched = conn->in.buffer.size;
    if (filled < 0 && conn->in.buffer.failed)
        say_no_memory(agent, conn);
    if (filled < 0 || hand_out(agent, conn) < 0)
        conn_close(agent, conn);
    give_spare(&agent->conns, conn, touched);
}

static void flush(struct agent *agent, struct conn *conn)
{
    if (conn->out.size == 0)
        return;
    ssize_t sent =
        send(conn->watch.fd, conn->out.data, conn->out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0)
        buf_consume(&conn->out, (size_t)sent);
    else if (sent < 0 && errno != EAGAIN && errno != EINTR)
        conn_close(agent, conn);
    if (conn->out.size == 0)
        buf_deinit(&conn->out);
}

static void conn_ready(struct agent *agent, struct watch *watch, uint32_t events)
{
    struct conn *conn = container_of(watch, struct conn, watch);
    if (events & EPOLLOUT) {
        flush(agent, conn);
        stream_send(agent, conn);
        if (!conn->closed && hand_out(agent, conn) < 0)
            conn_close(agent, conn);
    }
    if ((events & EPOLLIN) && !conn->closed && !is_paused(conn))
        read_requests(agent, conn);
    else if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
        conn_close(agent, conn);
    conn_update(agent, conn);
}

struct conn *conn_open(struct agent *agent, int fd)
{
    struct conn *conn = calloc(1, sizeof(*conn));
    if (!conn) {
        close(fd);
        return NULL;
    }
    *conn = (struct conn){.watch = {.ready = conn_ready, .fd = fd}, .out = BUF_INIT(OUT_MAX)};
    frame_in_init(&conn->in);
    if (watch_set(agent, &conn->watch, EPOLLIN | EPOLLRDHUP) < 0) {
        close(fd);
        free(conn);
        return NULL;
    }
    conn->next = agent->conns.first;
    agent->conns.first = conn;
    agent->conns.count++;
    return conn;
}

void conn_close(struct agent *agent, struct conn *conn)
{
    if (conn->closed)
        return;
    conn->closed = true;
    agent->conns.sweep = true;
    watch_close(agent, &conn->watch);
    proc_detach(agent, conn);
}

static void conn_free(struct agent *agent, struct conn *conn)
{
    agent->conns.count--;
    frame_in_deinit(&conn->in);
    buf_deinit(&conn->out);
    free(conn);
}

void conns_sweep(struct agent *agent)
{
    if (!agent->conns.sweep)
        return;
    agent->conns.sweep = false;
    for (struct conn **at = &agent->conns.first; *at;) {
        struct conn *conn = *at;
        if (!conn->closed) {
            at = &conn->next;
            continue;
        }
        *at = conn->next;
        conn_free(agent, conn);
    }
}

// The part of a two-part message that was not sent.
static void keep_rest(struct buf *out, const struct iovec parts[2], size_t sent)
{
    for (int i = 0; i < 2; i++) {
        size_t skip = sent < parts[i].iov_len ? sent : parts[i].iov_len;
        buf_add(out, (const char *)parts[i].iov_base + skip, parts[i].iov_len - skip);
        sent -= skip;
    }
}

void conn_send(struct agent *agent, struct conn *conn, uint32_t type, const void *payload,
               size_t size)
{
    if (conn->closed)
        return;
    uint8_t header[FRAME_HEADER_SIZE];
    frame_header(header, (uint32_t)size, type, 0);
    struct iovec parts[2] = {{header, sizeof(header)}, {(void *)(uintptr_t)payload, size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t sent = 0;
    if (conn->out.size == 0 && !conn->held)
        sent = sendmsg(conn->watch.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        conn_close(agent, conn);
        return;
    }
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done == sizeof(header) + size)
        return;
    keep_rest(&conn->out, parts, done);
    if (conn->out.failed)
        conn_close(agent, conn);
    else
        conn_update(agent, conn);
}

void conn_hold(struct conn *conn)
{
    conn->held = true;
}

void conn_release(struct agent *agent, struct conn *conn)
{
    conn->held = false;
    if (!conn->closed)
        flush(agent, conn);
    conn_update(agent, conn);
}

void conn_send_buf(struct agent *agent, struct conn *conn, uint32_t type, const struct buf *payload)
{
    if (payload->failed)
        conn_close(agent, conn);
    else
        conn_send(agent, conn, type, payload->data, payload->size);
}

void conn_fail(struct agent *agent, struct conn *conn, const struct sbx_error *error)
{
    cleanup_buf struct buf payload = BUF_INIT(4096);
    agent_failed_put(&payload, error);
    conn_send_buf(agent, conn, AGENT_FAILED, &payload);
}
