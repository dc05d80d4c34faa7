// SPDX-License-Identifier: Apache-2.0
// Input and output of commands that go through the agent. Layer: agent.
#include "agent/stream.h"

#include <errno.h>
#include <sandboxes/process.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/clock.h"
#include "base/fd.h"

#define CHUNK_MAX (64 * 1024)
#define INPUT_WAITS_MAX (256 * 1024) // input kept for a command before its writers have to wait
#define TERMINAL_DRAIN_MAX (1024 * 1024)
#define END_OF_INPUT "\004" // VEOF of a new terminal, termios(3)

static bool is_background(const struct proc *proc)
{
    return proc->flags & SBX_EXEC_BACKGROUND;
}

// Offset of the oldest byte that some reader still waits for.
static uint64_t oldest_needed(const struct proc *proc)
{
    uint64_t oldest = proc->log.head;
    for (const struct conn *conn = proc->attached; conn; conn = conn->next_attached)
        if (!conn->may_lose && conn->cursor < oldest)
            oldest = conn->cursor;
    return oldest;
}

static void close_stream(struct agent *agent, struct stream *stream)
{
    watch_close(agent, &stream->watch);
    proc_check_end(agent, stream->proc);
}

static void send_to_all(struct agent *agent, struct proc *proc)
{
    for (struct conn *conn = proc->attached, *next; conn; conn = next) {
        next = conn->next_attached;
        stream_send(agent, conn);
        conn_update(agent, conn);
    }
}

// No room: reading goes on when a reader takes something (stream_resume), or loses it
// (stream_drop_slow).
static void block(struct agent *agent, struct stream *stream)
{
    struct proc *proc = stream->proc;
    watch_set(agent, &stream->watch, 0);
    if (is_background(proc) && !proc->stalled_ms) {
        proc->stalled_ms = clock_boot_ms();
        loop_wake_at(agent, proc->stalled_ms + STREAM_STALL_MS);
    }
}

void stream_resume(struct agent *agent, struct proc *proc)
{
    proc->stalled_ms = 0;
    for (int i = 0; i < 2; i++)
        if (proc->out[i].watch.fd >= 0 && watch_set(agent, &proc->out[i].watch, EPOLLIN) < 0)
            close_stream(agent, &proc->out[i]);
}

static size_t cut_parts(struct iovec parts[2], size_t most)
{
    if (parts[0].iov_len > most)
        parts[0].iov_len = most;
    if (parts[1].iov_len > most - parts[0].iov_len)
        parts[1].iov_len = most - parts[0].iov_len;
    return parts[0].iov_len + parts[1].iov_len;
}

static void stream_ready(struct agent *agent, struct watch *watch, uint32_t events)
{
    struct stream *stream = container_of(watch, struct stream, watch);
    struct proc *proc = stream->proc;
    struct iovec parts[2];
    if (log_room(&proc->log, oldest_needed(proc), parts) == 0) {
        block(agent, stream);
        return;
    }
    cut_parts(parts,
              stream->draining && stream->drain_left < CHUNK_MAX ? stream->drain_left : CHUNK_MAX);
    ssize_t got = readv(watch->fd, parts, 2);
    if (got < 0 && (errno == EINTR || (errno == EAGAIN && !stream->draining)))
        return;
    if (got <= 0) { // the end; EIO where the last user of a terminal is gone
        close_stream(agent, stream);
        return;
    }
    log_commit(&proc->log, stream->number, (size_t)got);
    stream->drain_left -= stream->draining ? (uint64_t)got : 0;
    send_to_all(agent, proc);
    if (stream->draining && stream->drain_left == 0)
        close_stream(agent, stream);
}

int stream_open_output(struct agent *agent, struct proc *proc, int index, int fd)
{
    struct stream *stream = &proc->out[index];
    stream->watch = (struct watch){.ready = stream_ready, .fd = fd};
    fd_set_nonblock(fd, true);
    return watch_set(agent, &stream->watch, EPOLLIN);
}

/*
 * A background child may keep the pipe open and go on writing; the end of the command is what
 * counts, so only what is in the pipe now belongs to it. A terminal hides the size of what is on
 * its way: there reading goes on until nothing is left, up to a limit.
 */
void stream_drain(struct agent *agent, struct proc *proc)
{
    for (int i = 0; i < 2; i++) {
        struct stream *stream = &proc->out[i];
        int queued = 0;
        if (stream->watch.fd < 0)
            continue;
        stream->draining = true;
        stream->drain_left = TERMINAL_DRAIN_MAX;
        if (!(proc->flags & SBX_EXEC_PTY) && ioctl(stream->watch.fd, FIONREAD, &queued) == 0)
            stream->drain_left = (uint64_t)queued;
        if (stream->drain_left == 0)
            watch_close(agent, &stream->watch);
        else
            stream_ready(agent, &stream->watch, EPOLLIN);
    }
}

bool stream_all_read(const struct proc *proc)
{
    return proc->out[0].watch.fd < 0 && proc->out[1].watch.fd < 0;
}

bool stream_output_waits(const struct conn *conn)
{
    return conn->proc && (conn->chunk_left || conn->cursor < conn->proc->log.head);
}

// Header of an OUTPUT frame with the stream's number, which belongs to the payload.
struct output_header {
    uint8_t bytes[FRAME_HEADER_SIZE + 4];
};

static void encode_output(struct output_header *header, uint32_t stream, size_t size)
{
    frame_header(header->bytes, (uint32_t)size + 4, AGENT_OUTPUT, 0);
    for (int i = 0; i < 4; i++)
        header->bytes[FRAME_HEADER_SIZE + i] = (uint8_t)(stream >> (8 * i));
}

// Bytes [from, from + size) of the parts that did not go out are kept.
static void keep_parts(struct buf *out, const struct iovec *parts, int count, size_t from)
{
    for (int i = 0; i < count; i++) {
        size_t skip = from < parts[i].iov_len ? from : parts[i].iov_len;
        buf_add(out, (const char *)parts[i].iov_base + skip, parts[i].iov_len - skip);
        from -= skip;
    }
}

/*
 * After a part of a frame went out: the header's rest is kept with the connection, the payload's
 * rest stays in the log, which holds it for this reader. For one that may lose output it would not:
 * all is kept.
 */
static void after_send(struct conn *conn, const struct iovec parts[3], size_t payload, size_t sent)
{
    size_t header = parts[0].iov_len;
    if (conn->may_lose) {
        keep_parts(&conn->out, parts, 3, sent);
        conn->cursor += payload;
        conn->chunk_left = 0;
        return;
    }
    keep_parts(&conn->out, parts, 1, sent);
    size_t done = sent > header ? sent - header : 0;
    conn->cursor += done;
    conn->chunk_left = (uint32_t)(payload - done);
}

// One frame, or the rest of one. 1: sent whole, 0: the socket is full, -1: the connection is
// broken.
static int send_chunk(struct conn *conn)
{
    struct output_header header;
    struct iovec parts[3] = {{&header, 0}};
    struct log *log = &conn->proc->log;
    uint32_t stream;
    size_t most = conn->chunk_left ? conn->chunk_left : CHUNK_MAX;
    size_t payload = log_peek(log, conn->cursor, most, &stream, parts + 1);
    if (!conn->chunk_left) {
        encode_output(&header, stream, payload);
        parts[0].iov_len = sizeof(header);
    }
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
    size_t size = parts[0].iov_len + payload;
    ssize_t sent = sendmsg(conn->watch.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    after_send(conn, parts, payload, (size_t)sent);
    return (size_t)sent == size ? 1 : 0;
}

void stream_send(struct agent *agent, struct conn *conn)
{
    struct proc *proc = conn->proc;
    uint64_t before = conn->cursor;
    if (!proc || conn->closed)
        return;
    int state = 1;
    while (state > 0 && conn->out.size == 0 && stream_output_waits(conn)) {
        if (conn->cursor < proc->log.tail) { // only where it may lose output
            conn->cursor = proc->log.tail;
            conn->truncated = true;
        }
        state = send_chunk(conn);
    }
    if (state < 0 || conn->out.failed) {
        conn_close(agent, conn);
        return;
    }
    if (conn->cursor == before)
        return;
    if (!is_background(proc))
        log_trim(&proc->log, oldest_needed(proc));
    stream_resume(agent, proc);
    proc_check_end(agent, proc);
}

void stream_drop_slow(struct agent *agent, struct proc *proc)
{
    uint64_t oldest = oldest_needed(proc);
    for (struct conn *conn = proc->attached; conn; conn = conn->next_attached) {
        struct iovec parts[2];
        uint32_t stream;
        if (conn->may_lose || conn->cursor != oldest)
            continue;
        conn->may_lose = true;
        size_t size = log_peek(&proc->log, conn->cursor, conn->chunk_left, &stream, parts);
        if (conn->chunk_left && size)
            keep_parts(&conn->out, parts, 2, 0);
        conn->cursor += conn->chunk_left;
        conn->chunk_left = 0;
    }
    stream_resume(agent, proc);
}

static void close_input(struct agent *agent, struct input *input)
{
    watch_close(agent, &input->watch);
    buf_deinit(&input->rest);
}

static void resume_writers(struct agent *agent, struct proc *proc)
{
    for (struct conn *conn = proc->attached, *next; conn; conn = next) {
        next = conn->next_attached;
        conn_resume(agent, conn);
    }
}

static void input_ready(struct agent *agent, struct watch *watch, uint32_t events)
{
    struct input *input = container_of(watch, struct input, watch);
    bool was_full = stream_input_full(input->proc);
    ssize_t put = write(watch->fd, input->rest.data, input->rest.size);
    if (put < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (put < 0)
        close_input(agent, input);
    else
        buf_consume(&input->rest, (size_t)put);
    if (input->rest.size == 0) {
        buf_deinit(&input->rest);
        watch_set(agent, watch, 0);
        if (input->ended)
            close_input(agent, input);
    }
    if (was_full && !stream_input_full(input->proc))
        resume_writers(agent, input->proc);
}

void stream_open_input(struct proc *proc, int fd, bool terminal)
{
    fd_set_nonblock(fd, true);
    proc->in.watch = (struct watch){.ready = input_ready, .fd = fd};
    proc->in.terminal = terminal;
}

bool stream_input_full(const struct proc *proc)
{
    return proc->in.rest.size >= INPUT_WAITS_MAX;
}

void stream_write(struct agent *agent, struct proc *proc, const void *data, size_t size)
{
    struct input *input = &proc->in;
    if (input->watch.fd < 0 || input->ended || size == 0)
        return;
    ssize_t put = input->rest.size ? 0 : write(input->watch.fd, data, size);
    if (put < 0 && errno != EAGAIN && errno != EINTR) {
        close_input(agent, input); // the command has closed its input: the rest is for nobody
        return;
    }
    size_t done = put > 0 ? (size_t)put : 0;
    if (done == size)
        return;
    buf_add(&input->rest, (const char *)data + done, size - done);
    if (input->rest.failed || watch_set(agent, &input->watch, EPOLLOUT) < 0)
        close_input(agent, input);
}

void stream_end_input(struct agent *agent, struct proc *proc)
{
    if (proc->in.terminal) {
        stream_write(agent, proc, END_OF_INPUT, 1);
        return;
    }
    proc->in.ended = true;
    if (!proc->in.rest.size)
        close_input(agent, &proc->in);
}

void stream_close_all(struct agent *agent, struct proc *proc)
{
    close_input(agent, &proc->in);
    for (int i = 0; i < 2; i++)
        watch_close(agent, &proc->out[i].watch);
}
