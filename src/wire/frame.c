// SPDX-License-Identifier: Apache-2.0
// Frames on a stream. Layer: wire.
#include "wire/frame.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "wire/codec.h"

#define READ_CHUNK (64 * 1024)

void frame_in_init(struct frame_in *in)
{
    *in = (struct frame_in){.buffer = BUF_INIT(FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX + READ_CHUNK)};
}

static void close_fds(int *fds, size_t *count)
{
    for (size_t i = 0; i < *count; i++)
        close(fds[i]);
    *count = 0;
}

void frame_in_deinit(struct frame_in *in)
{
    close_fds(in->fds, &in->fd_count);
    buf_deinit(&in->buffer);
}

void frame_header(uint8_t ret_header[FRAME_HEADER_SIZE], uint32_t size, uint32_t type,
                  uint32_t channel)
{
    const uint32_t fields[3] = {size, type, channel};
    for (size_t i = 0; i < FRAME_HEADER_SIZE; i++)
        ret_header[i] = (uint8_t)(fields[i / 4] >> (8 * (i % 4)));
}

void frame_put(struct buf *out, uint32_t type, uint32_t channel, const void *payload, size_t size)
{
    uint8_t header[FRAME_HEADER_SIZE];
    if (size > FRAME_PAYLOAD_MAX) {
        out->failed = true;
        return;
    }
    frame_header(header, (uint32_t)size, type, channel);
    buf_add(out, header, sizeof(header));
    buf_add(out, payload, size);
}

static void attach_fds(struct msghdr *message, void *control, size_t control_size, const int *fds,
                       size_t fd_count)
{
    memset(control, 0, control_size);
    message->msg_control = control;
    message->msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
}

static int send_failed(int fd, struct deadline deadline, struct sbx_error *err)
{
    if (errno == EINTR)
        return 0;
    if (errno == EAGAIN)
        return deadline_wait(deadline, fd, POLLOUT, NULL, err);
    return err_sys(err, errno == EPIPE || errno == ECONNRESET ? SBX_ERR_UNAVAILABLE : 0, errno,
                   "cannot send a message");
}

// Moves past `sent` bytes of the two-part message.
static void advance(struct iovec *parts, size_t sent)
{
    for (int i = 0; i < 2; i++) {
        size_t step = sent < parts[i].iov_len ? sent : parts[i].iov_len;
        if (step) // an empty part's base may be NULL, to which nothing may be added
            parts[i].iov_base = (char *)parts[i].iov_base + step;
        parts[i].iov_len -= step;
        sent -= step;
    }
}

int frame_send(int fd, uint32_t type, const void *payload, size_t size, const int *fds,
               size_t fd_count, struct deadline deadline, struct sbx_error *err)
{
    uint8_t header[FRAME_HEADER_SIZE];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(FRAME_FDS_MAX * sizeof(int))];
    } control;
    if (size > FRAME_PAYLOAD_MAX || fd_count > FRAME_FDS_MAX)
        return err_set(err, SBX_ERR_INVALID, "a message of %zu bytes is over the limit of %d", size,
                       FRAME_PAYLOAD_MAX);
    frame_header(header, (uint32_t)size, type, 0);
    struct iovec parts[2] = {{header, sizeof(header)}, {(void *)(uintptr_t)payload, size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (fd_count > 0)
        attach_fds(&message, control.bytes, sizeof(control.bytes), fds, fd_count);
    while (parts[0].iov_len + parts[1].iov_len > 0) {
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            int code = send_failed(fd, deadline, err);
            if (code < 0)
                return code;
            continue;
        }
        message.msg_control = NULL;
        message.msg_controllen = 0;
        advance(parts, (size_t)sent);
    }
    return 0;
}

// Keeps the descriptors of a control message; surplus ones are closed, so a peer can't pile them
// up.
static void keep_fds(struct frame_in *in, struct msghdr *message)
{
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            if (in->fd_count < FRAME_FDS_MAX)
                in->fds[in->fd_count++] = fd;
            else
                close(fd);
        }
    }
}

static void drop_consumed(struct frame_in *in)
{
    if (in->consumed) {
        buf_consume(&in->buffer, in->consumed);
        in->consumed = 0;
    }
}

int frame_fill(int fd, struct frame_in *in)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(FRAME_FDS_MAX * sizeof(int))];
    } control;
    drop_consumed(in);
    char *room = buf_reserve(&in->buffer, READ_CHUNK);
    if (!room) {
        errno = ENOMEM;
        return -1;
    }
    struct iovec part = {room, READ_CHUNK};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    ssize_t got;
    do
        got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? 0 : -1;
    keep_fds(in, &message);
    if (got == 0) {
        errno = ECONNRESET;
        return -1;
    }
    buf_commit(&in->buffer, (size_t)got);
    return 1;
}

int frame_next(struct frame_in *in, struct frame *ret_frame)
{
    drop_consumed(in);
    struct wire_reader reader = wire_reader(in->buffer.data, in->buffer.size);
    uint32_t size = wire_u32(&reader);
    uint32_t type = wire_u32(&reader);
    uint32_t channel = wire_u32(&reader);
    if (reader.failed)
        return 0;
    if (size > FRAME_PAYLOAD_MAX)
        return -1;
    if (reader.left < size)
        return 0;
    *ret_frame =
        (struct frame){.type = type, .channel = channel, .payload = reader.at, .size = size};
    memcpy(ret_frame->fds, in->fds, sizeof(in->fds));
    ret_frame->fd_count = in->fd_count;
    in->fd_count = 0;
    in->consumed = FRAME_HEADER_SIZE + size;
    return 1;
}

int frame_receive(int fd, struct frame_in *in, struct deadline deadline, struct frame *ret_frame,
                  struct sbx_error *err)
{
    for (;;) {
        int ready = frame_next(in, ret_frame);
        if (ready > 0)
            return 0;
        if (ready < 0)
            return err_set(err, SBX_ERR_PROTOCOL, "the sandbox sent a message that is too large");
        int filled = frame_fill(fd, in);
        if (filled < 0 && errno == ECONNRESET)
            return err_set(err, SBX_ERR_UNAVAILABLE, "the sandbox closed the connection");
        if (filled < 0)
            return err_sys(err, 0, errno, "cannot hear the sandbox");
        int code = filled == 0 ? deadline_wait(deadline, fd, POLLIN, NULL, err) : 0;
        if (code < 0)
            return code;
    }
}
