// SPDX-License-Identifier: Apache-2.0
// A connection in files mode. Layer: engine.
#include "engine/filelink.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/sigpipe.h"
#include "wire/monitor_msg.h"

#define OUT_FLUSH (64 * 1024)
#define OUT_MAX (4 * OUT_FLUSH)
#define IN_SIZE (256 * 1024)
#define CONTROL_MAX (16 * 1024) // of a frame that isn't DATA: two longest paths and some numbers
#define SEND_BUFFER (1024 * 1024)

int filelink_open(struct box *box, const char *user, struct deadline deadline,
                  struct filelink *ret_link, struct sbx_error *err)
{
    cleanup_filelink struct filelink link = {.box = box,
                                             .fd = -1,
                                             .deadline = deadline,
                                             .out = BUF_INIT(OUT_MAX),
                                             .capacity = IN_SIZE,
                                             .in = malloc(IN_SIZE)};
    cleanup_buf struct buf request = BUF_INIT(4096);
    const int room = SEND_BUFFER;
    if (!link.in)
        return err_nomem(err);
    int code = conn_connect(box->dir_fd, BOX_FILE_AGENT, SOCK_STREAM, deadline, &link.fd, err);
    if (code < 0)
        return err_wrap(err, "sandbox %s", box->id), code;
    (void)setsockopt(link.fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)); // only root may
    wire_put_text(&request, user);
    code = filelink_put(&link, AGENT_FILES, &request, err);
    if (code < 0)
        return code;
    *ret_link = link;
    link = (struct filelink)FILELINK_NONE;
    return 0;
}

void filelink_close(struct filelink *link)
{
    if (link->fd >= 0)
        close(link->fd);
    buf_deinit(&link->out);
    free(link->in);
    *link = (struct filelink)FILELINK_NONE;
}

// A stream that never pauses must not outrun the deadline or the cancel token.
static int check_time(const struct filelink *link, struct sbx_error *err)
{
    if (deadline_poll_ms(link->deadline) == 0)
        return err_set(err, SBX_ERR_TIMEOUT, "timed out");
    if (link->deadline.cancel && cancel_triggered(link->deadline.cancel))
        return err_set(err, SBX_ERR_CANCELLED, "cancelled");
    return 0;
}

// An answer while we are still sending can only be a refusal: it is what the caller wants to know.
static int read_refusal(struct filelink *link, struct sbx_error *err)
{
    struct frame frame;
    int code = filelink_next(link, &frame, err);
    return code < 0 ? code : conn_nonsense(err);
}

// Waits for room. The socket is the agent's end too: bytes from there mean a refusal.
static int wait_room(struct filelink *link, struct sbx_error *err)
{
    short events = 0;
    int code = box_await(link->box, link->fd, POLLIN | POLLOUT, 0, link->deadline, &events, err);
    if (code == 0 && (events & POLLIN))
        code = read_refusal(link, err);
    return code;
}

static int send_failed(struct filelink *link, struct sbx_error *err)
{
    int sys_errno = errno;
    if (sys_errno == EINTR)
        return 0;
    if (sys_errno == EAGAIN)
        return wait_room(link, err);
    if (sys_errno != EPIPE && sys_errno != ECONNRESET)
        return err_sys(err, 0, sys_errno, "cannot send to the sandbox");
    return read_refusal(link, err); // said before the end, if it was said
}

static int send_parts(struct filelink *link, struct iovec *parts, int count, struct sbx_error *err)
{
    while (count > 0) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
        int code = check_time(link, err);
        ssize_t sent = code < 0 ? 0 : sendmsg(link->fd, &message, MSG_NOSIGNAL);
        if (code == 0 && sent < 0)
            code = send_failed(link, err);
        if (code < 0)
            return code;
        for (size_t done = sent > 0 ? (size_t)sent : 0; count > 0; parts++, count--) {
            if (done < parts->iov_len) {
                parts->iov_base = (char *)parts->iov_base + done;
                parts->iov_len -= done;
                break;
            }
            done -= parts->iov_len;
        }
    }
    return 0;
}

int filelink_flush(struct filelink *link, struct sbx_error *err)
{
    struct iovec part = {link->out.data, link->out.size};
    if (link->out.failed)
        return err_nomem(err);
    int code = part.iov_len ? send_parts(link, &part, 1, err) : 0;
    link->out.size = 0;
    return code;
}

int filelink_put(struct filelink *link, uint32_t type, const struct buf *payload,
                 struct sbx_error *err)
{
    if (payload && payload->failed)
        return err_set(err, SBX_ERR_INVALID, "a path is too long");
    frame_put(&link->out, type, 0, payload ? payload->data : NULL, payload ? payload->size : 0);
    if (link->out.failed)
        return err_nomem(err);
    return link->out.size >= OUT_FLUSH ? filelink_flush(link, err) : 0;
}

// Adds the header of a DATA frame to what waits.
static int put_header(struct filelink *link, size_t size, struct sbx_error *err)
{
    uint8_t header[FRAME_HEADER_SIZE];
    frame_header(header, (uint32_t)size, FILES_DATA, 0);
    buf_add(&link->out, header, sizeof(header));
    return link->out.failed ? err_nomem(err) : 0;
}

int filelink_send(struct filelink *link, const void *data, size_t size, struct sbx_error *err)
{
    for (size_t done = 0; done < size;) {
        size_t step = size - done < AGENT_DATA_MAX ? size - done : AGENT_DATA_MAX;
        int code = put_header(link, step, err);
        if (code < 0)
            return code;
        struct iovec parts[] = {{link->out.data, link->out.size},
                                {(char *)(uintptr_t)data + done, step}};
        code = send_parts(link, parts, 2, err);
        if (code < 0)
            return code;
        link->out.size = 0;
        done += step;
    }
    return 0;
}

static int file_shorter(struct sbx_error *err)
{
    err_set(err, SBX_ERR_CONFLICT, "it became shorter while it was copied");
    return err_hint(err, "copy it again when nobody writes to it"), SBX_ERR_CONFLICT;
}

static int send_frame_of_file(struct filelink *link, int fd, size_t size, struct sbx_error *err)
{
    struct sigpipe guard;
    for (size_t done = 0; done < size;) {
        int code = check_time(link, err);
        if (code < 0)
            return code;
        sigpipe_block(&guard);
        ssize_t sent = sendfile(link->fd, fd, NULL, size - done);
        sigpipe_restore(&guard);
        if (sent <= 0)
            code = sent < 0 ? send_failed(link, err) : file_shorter(err);
        if (code < 0)
            return code;
        done += sent > 0 ? (size_t)sent : 0;
    }
    return 0;
}

int filelink_send_file(struct filelink *link, int fd, uint64_t size, struct sbx_error *err)
{
    while (size > 0) {
        size_t step = size < AGENT_DATA_MAX ? (size_t)size : AGENT_DATA_MAX;
        int code = put_header(link, step, err);
        if (code == 0)
            code = filelink_flush(link, err);
        if (code == 0)
            code = send_frame_of_file(link, fd, step, err);
        if (code < 0)
            return code;
        size -= step;
    }
    return 0;
}

// Bytes from the socket into the memory. recv(2), so that descriptors sent along are dropped by the
// kernel.
static int receive(struct filelink *link, void *data, size_t size, size_t *ret_size,
                   struct sbx_error *err)
{
    for (;;) {
        int code = check_time(link, err);
        if (code < 0)
            return code;
        ssize_t got = recv(link->fd, data, size, MSG_DONTWAIT);
        if (got > 0) {
            *ret_size = (size_t)got;
            return 0;
        }
        if (got == 0 || errno == ECONNRESET)
            return err_set(err, SBX_ERR_UNAVAILABLE, "the sandbox closed the connection"),
                   conn_ended(err);
        if (errno != EAGAIN && errno != EINTR)
            return err_sys(err, 0, errno, "cannot hear the sandbox");
        code = box_await(link->box, link->fd, POLLIN, 0, link->deadline, NULL, err);
        if (code < 0)
            return code;
    }
}

// At least `size` bytes in a row at in + start.
static int need(struct filelink *link, size_t size, struct sbx_error *err)
{
    if (link->start == link->end)
        link->start = link->end = 0;
    if (link->capacity - link->start < size) {
        memmove(link->in, link->in + link->start, link->end - link->start);
        link->end -= link->start;
        link->start = 0;
    }
    while (link->end - link->start < size) {
        size_t got;
        int code = receive(link, link->in + link->end, link->capacity - link->end, &got, err);
        if (code < 0)
            return code;
        link->end += got;
    }
    return 0;
}

static int take_control(struct filelink *link, struct frame *frame, struct sbx_error *err)
{
    if (frame->size > CONTROL_MAX)
        return conn_nonsense(err);
    int code = need(link, frame->size, err);
    if (code < 0)
        return code;
    frame->payload = (const uint8_t *)link->in + link->start;
    link->start += frame->size;
    if (frame->type == AGENT_FAILED)
        return agent_failed_get(frame->payload, frame->size, err);
    return 0;
}

int filelink_next(struct filelink *link, struct frame *ret_frame, struct sbx_error *err)
{
    if (link->left > 0)
        return err_set(err, SBX_ERR_BUG, "bytes of a file were not taken");
    int code = need(link, FRAME_HEADER_SIZE, err);
    if (code < 0)
        return code;
    struct wire_reader in = wire_reader(link->in + link->start, FRAME_HEADER_SIZE);
    size_t size = wire_u32(&in);
    struct frame frame = {.type = wire_u32(&in), .size = size};
    if (wire_u32(&in) != 0)
        return conn_nonsense(err);
    link->start += FRAME_HEADER_SIZE;
    if (frame.type != FILES_DATA) {
        code = take_control(link, &frame, err);
    } else if (size == 0 || size > AGENT_DATA_MAX) {
        code = conn_nonsense(err);
    } else {
        link->left = size;
    }
    if (code == 0)
        *ret_frame = frame;
    return code;
}

int filelink_take(struct filelink *link, const char **ret_data, size_t *ret_size,
                  struct sbx_error *err)
{
    *ret_size = 0;
    if (link->left == 0)
        return 0;
    int code = link->start == link->end ? need(link, 1, err) : 0;
    if (code < 0)
        return code;
    size_t size = link->end - link->start;
    *ret_size = size < link->left ? size : link->left;
    *ret_data = link->in + link->start;
    link->start += *ret_size;
    link->left -= *ret_size;
    return 0;
}

int filelink_read(struct filelink *link, char *data, size_t size, size_t *ret_size,
                  struct sbx_error *err)
{
    if (size > link->left)
        size = link->left;
    size_t buffered = link->end - link->start;
    if (buffered > 0) {
        *ret_size = size < buffered ? size : buffered;
        memcpy(data, link->in + link->start, *ret_size);
        link->start += *ret_size;
    } else {
        int code = receive(link, data, size, ret_size, err);
        if (code < 0)
            return code;
    }
    link->left -= *ret_size;
    return 0;
}

int filelink_done(struct filelink *link, struct sbx_error *err)
{
    struct frame frame = {0};
    int code = filelink_next(link, &frame, err);
    if (code < 0)
        return code;
    return frame.type == FILES_DONE && frame.size == 0 ? 0 : conn_nonsense(err);
}
