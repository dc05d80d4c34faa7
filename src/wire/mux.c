// SPDX-License-Identifier: Apache-2.0
// Many byte streams over one. Layer: wire.
#include "wire/mux.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "wire/codec.h"
#include "wire/frame.h"

#define READ_SIZE (64 * 1024)
#define IN_MAX (FRAME_PAYLOAD_MAX + FRAME_HEADER_SIZE + READ_SIZE)
#define OUT_MAX (8 * 1024 * 1024)
#define OUT_PAUSE (256 * 1024) // with so much unsent, streams are not read

void mux_init(struct mux *mux, int fd)
{
    *mux = (struct mux){.fd = fd, .in = BUF_INIT(IN_MAX), .out = BUF_INIT(OUT_MAX)};
    fd_set_nonblock(fd, true);
}

static void stream_free(struct mux_stream *stream)
{
    close(stream->fd);
    buf_deinit(&stream->out);
    free(stream);
}

void mux_deinit(struct mux *mux)
{
    for (size_t i = 0; i < mux->count; i++)
        if (mux->streams[i])
            stream_free(mux->streams[i]);
    buf_deinit(&mux->in);
    buf_deinit(&mux->out);
    close(mux->fd);
}

static void put(struct mux *mux, uint32_t type, uint32_t number, const void *data, size_t size)
{
    frame_put(&mux->out, type, number, data, size);
}

void mux_send(struct mux *mux, uint32_t type, const void *payload, size_t size)
{
    put(mux, type, 0, payload, size);
}

static void drop(struct mux *mux, struct mux_stream *stream)
{
    for (size_t i = 0; i < mux->count; i++)
        if (mux->streams[i] == stream)
            mux->streams[i] = NULL;
    while (mux->count && !mux->streams[mux->count - 1])
        mux->count--;
    stream_free(stream);
}

static void reset(struct mux *mux, struct mux_stream *stream)
{
    put(mux, MUX_RESET, stream->number, NULL, 0);
    drop(mux, stream);
}

// NULL (and fd closed) without room.
static struct mux_stream *add(struct mux *mux, uint32_t number, int fd)
{
    size_t slot = 0;
    while (slot < mux->count && mux->streams[slot])
        slot++;
    struct mux_stream *stream = slot < MUX_STREAMS_MAX ? calloc(1, sizeof(*stream)) : NULL;
    if (!stream) {
        close(fd);
        return NULL;
    }
    *stream = (struct mux_stream){
        .number = number, .fd = fd, .out = BUF_INIT(MUX_WINDOW), .may_send = MUX_WINDOW};
    fd_set_nonblock(fd, true);
    mux->streams[slot] = stream;
    if (slot == mux->count)
        mux->count++;
    return stream;
}

void mux_add(struct mux *mux, int fd)
{
    if (add(mux, ++mux->last_number, fd))
        put(mux, MUX_OPEN, mux->last_number, NULL, 0);
}

static struct mux_stream *find(struct mux *mux, uint32_t number)
{
    for (size_t i = 0; i < mux->count; i++)
        if (mux->streams[i] && mux->streams[i]->number == number)
            return mux->streams[i];
    return NULL;
}

// Over in both directions, and all handed on.
static void drop_if_over(struct mux *mux, struct mux_stream *stream)
{
    if (stream->read_ended && stream->write_ended && stream->out.size == 0)
        drop(mux, stream);
}

static void grant(struct mux *mux, struct mux_stream *stream)
{
    if (stream->taken < MUX_WINDOW / 4 || stream->write_ended)
        return;
    char data[4];
    struct buf field = BUF_INIT(sizeof(data));
    wire_put_u32(&field, stream->taken);
    if (!field.failed)
        put(mux, MUX_CREDIT, stream->number, field.data, field.size);
    buf_deinit(&field);
    stream->taken = 0;
}

static void write_stream(struct mux *mux, struct mux_stream *stream)
{
    while (stream->out.size) {
        ssize_t sent = send(stream->fd, stream->out.data, stream->out.size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0)
            return reset(mux, stream);
        buf_consume(&stream->out, (size_t)sent);
        stream->taken += (uint32_t)sent;
    }
    grant(mux, stream);
    if (stream->out.size == 0)
        buf_deinit(&stream->out), stream->out = (struct buf)BUF_INIT(MUX_WINDOW);
    if (stream->write_ended && stream->out.size == 0)
        shutdown(stream->fd, SHUT_WR);
    drop_if_over(mux, stream);
}

static void read_stream(struct mux *mux, struct mux_stream *stream)
{
    char data[MUX_DATA_MAX];
    size_t most = stream->may_send < sizeof(data) ? stream->may_send : sizeof(data);
    ssize_t got = recv(stream->fd, data, most, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0)
        return reset(mux, stream);
    if (got > 0) {
        stream->may_send -= (uint32_t)got;
        mux->used = true;
        return put(mux, MUX_DATA, stream->number, data, (size_t)got);
    }
    stream->read_ended = true;
    put(mux, MUX_END, stream->number, NULL, 0);
    drop_if_over(mux, stream);
}

static bool take_open(struct mux *mux, uint32_t number)
{
    if (!mux->open || find(mux, number))
        return false;
    int fd = mux->open(mux->user);
    if (fd < 0 || !add(mux, number, fd))
        put(mux, MUX_RESET, number, NULL, 0);
    return true;
}

static bool take_credit(struct mux_stream *stream, const struct frame *frame)
{
    struct wire_reader in = wire_reader(frame->payload, frame->size);
    uint32_t more = wire_u32(&in);
    if (!wire_end(&in) || more > MUX_WINDOW - stream->may_send)
        return false;
    stream->may_send += more;
    return true;
}

static bool take_data(struct mux *mux, struct mux_stream *stream, const struct frame *frame)
{
    if (stream->write_ended || frame->size > MUX_DATA_MAX ||
        frame->size + stream->out.size + stream->taken > MUX_WINDOW)
        return false;
    buf_add(&stream->out, frame->payload, frame->size);
    if (stream->out.failed)
        reset(mux, stream);
    else
        write_stream(mux, stream);
    return true;
}

// False for what an honest peer does not send. Frames of a stream that we have ended cross ours.
static bool take_frame(struct mux *mux, const struct frame *frame)
{
    if (frame->channel == 0)
        return frame->type >= MUX_USER &&
               mux->message(mux->user, frame->type, frame->payload, frame->size);
    if (frame->type == MUX_OPEN)
        return take_open(mux, frame->channel);
    struct mux_stream *stream = find(mux, frame->channel);
    if (!stream)
        return frame->type <= MUX_CREDIT;
    switch (frame->type) {
    case MUX_DATA:
        return take_data(mux, stream, frame);
    case MUX_CREDIT:
        return take_credit(stream, frame);
    case MUX_END:
        stream->write_ended = true;
        write_stream(mux, stream);
        return true;
    case MUX_RESET:
        drop(mux, stream);
        return true;
    default:
        return false;
    }
}

static int read_peer(struct mux *mux)
{
    char *room = buf_reserve(&mux->in, READ_SIZE);
    if (!room)
        return -1;
    ssize_t got = read(mux->fd, room, READ_SIZE);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got <= 0)
        return -1;
    buf_commit(&mux->in, (size_t)got);
    size_t used = 0;
    for (;;) {
        struct wire_reader in = wire_reader(mux->in.data + used, mux->in.size - used);
        struct frame frame = {.size = wire_u32(&in)};
        frame.type = wire_u32(&in);
        frame.channel = wire_u32(&in);
        if (!in.failed && frame.size > FRAME_PAYLOAD_MAX)
            return -1;
        if (in.failed || in.left < frame.size)
            break;
        frame.payload = in.at;
        used += FRAME_HEADER_SIZE + frame.size;
        if (!take_frame(mux, &frame))
            return -1;
    }
    buf_consume(&mux->in, used);
    return 0;
}

static int write_peer(struct mux *mux)
{
    while (mux->out.size) {
        ssize_t sent = write(mux->fd, mux->out.data, mux->out.size);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN ? 0 : -1;
        buf_consume(&mux->out, (size_t)sent);
    }
    return mux->out.failed ? -1 : 0;
}

static short wanted(const struct mux *mux, const struct mux_stream *stream)
{
    short events = 0;
    if (!stream->read_ended && stream->may_send && mux->out.size < OUT_PAUSE)
        events |= POLLIN;
    return (short)(events | (stream->out.size ? POLLOUT : 0));
}

// poll(2) tells of errors and hangups unasked: a stream that waits for nothing is left out.
static size_t fill_polls(struct mux *mux, struct pollfd *fds, struct mux_stream **ret_streams)
{
    size_t total = 0;
    for (size_t i = 0; i < mux->count; i++) {
        short events = mux->streams[i] ? wanted(mux, mux->streams[i]) : 0;
        if (!events)
            continue;
        fds[total] = (struct pollfd){.fd = mux->streams[i]->fd, .events = events};
        ret_streams[total++] = mux->streams[i];
    }
    return total;
}

static void serve_streams(struct mux *mux, const struct pollfd *fds, struct mux_stream **streams,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fds[i].revents & POLLOUT)
            write_stream(mux, streams[i]);
        else if (fds[i].revents && (fds[i].events & POLLIN))
            read_stream(mux, streams[i]);
        else if (fds[i].revents)
            reset(mux, streams[i]);
    }
}

int mux_turn(struct mux *mux, struct pollfd *extras, size_t extra_count, int timeout_ms)
{
    struct pollfd fds[1 + MUX_EXTRAS_MAX + MUX_STREAMS_MAX];
    struct mux_stream *streams[MUX_STREAMS_MAX];
    size_t fixed = 1 + extra_count;
    fds[0] =
        (struct pollfd){.fd = mux->fd, .events = (short)(POLLIN | (mux->out.size ? POLLOUT : 0))};
    for (size_t i = 0; i < extra_count; i++)
        fds[1 + i] = extras[i];
    size_t count = fill_polls(mux, fds + fixed, streams);
    if (poll(fds, fixed + count, timeout_ms) < 0)
        return errno == EINTR ? 0 : -1;
    for (size_t i = 0; i < extra_count; i++)
        extras[i].revents = fds[1 + i].revents;
    serve_streams(mux, fds + fixed, streams, count);
    if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) && read_peer(mux) < 0)
        return -1;
    return write_peer(mux);
}
