// SPDX-License-Identifier: Apache-2.0
// Requests to a sandbox's monitor. Layer: engine.
#include "engine/monitor_client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/conn.h"
#include "wire/agent_msg.h"

#define ANSWER_MAX 8192

static int send_packet(int fd, const struct buf *request, struct deadline deadline,
                       struct sbx_error *err)
{
    if (request->failed)
        return err_nomem(err);
    while (send(fd, request->data, request->size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return err_sys(err, 0, errno, "cannot ask the sandbox's monitor");
        int code = errno == EINTR ? 0 : deadline_wait(deadline, fd, POLLOUT, NULL, err);
        if (code < 0)
            return code;
    }
    return 0;
}

// One packet; *ret_size 0 at the end of the connection.
static int receive_packet(int fd, void *data, size_t size, struct deadline deadline,
                          size_t *ret_size, struct sbx_error *err)
{
    for (;;) {
        int code = deadline_wait(deadline, fd, POLLIN, NULL, err);
        if (code < 0)
            return code;
        ssize_t got = recv(fd, data, size, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got < 0 && errno != ECONNRESET)
            return err_sys(err, 0, errno, "cannot hear the sandbox's monitor");
        *ret_size = got < 0 ? 0 : (size_t)got;
        return 0;
    }
}

static int open_and_send(int dir_fd, const struct buf *request, struct deadline deadline,
                         int *ret_fd, struct sbx_error *err)
{
    cleanup_fd int fd = -1;
    int code = conn_connect(dir_fd, BOX_FILE_CONTROL, SOCK_SEQPACKET, deadline, &fd, err);
    if (code == 0)
        code = send_packet(fd, request, deadline, err);
    if (code == 0)
        *ret_fd = steal_fd(&fd);
    return code;
}

// Checks the answer's type; what follows it is left in ret_fields.
static int read_answer(const void *answer, size_t size, uint32_t wanted,
                       struct wire_reader *ret_fields, struct sbx_error *err)
{
    if (size == 0)
        return err_set(err, SBX_ERR_UNAVAILABLE, "the sandbox has ended");
    *ret_fields = wire_reader(answer, size);
    uint32_t type = wire_u32(ret_fields);
    if (!ret_fields->failed && type == MONITOR_FAILED)
        return agent_failed_get(ret_fields->at, ret_fields->left, err);
    if (ret_fields->failed || type != wanted)
        return conn_nonsense(err);
    return 0;
}

static int ask(int dir_fd, const struct buf *request, uint32_t wanted, struct deadline deadline,
               char answer[ANSWER_MAX], struct wire_reader *ret_fields, struct sbx_error *err)
{
    cleanup_fd int fd = -1;
    size_t size;
    int code = open_and_send(dir_fd, request, deadline, &fd, err);
    if (code == 0)
        code = receive_packet(fd, answer, ANSWER_MAX, deadline, &size, err);
    return code < 0 ? code : read_answer(answer, size, wanted, ret_fields, err);
}

int monitor_destroy(int dir_fd, struct deadline deadline, struct sbx_error *err)
{
    cleanup_buf struct buf request = BUF_INIT(64);
    cleanup_fd int fd = -1;
    char answer[64];
    size_t size = 1;
    wire_put_u32(&request, MONITOR_DESTROY);
    int code = open_and_send(dir_fd, &request, deadline, &fd, err);
    while (code == 0 && size > 0)
        code = receive_packet(fd, answer, sizeof(answer), deadline, &size, err);
    return code;
}

int monitor_set_ttl(int dir_fd, int64_t ttl_ms, struct deadline deadline, struct sbx_error *err)
{
    cleanup_buf struct buf request = BUF_INIT(64);
    char answer[ANSWER_MAX];
    struct wire_reader fields;
    wire_put_u32(&request, MONITOR_SET_TTL);
    wire_put_u64(&request, (uint64_t)ttl_ms);
    return ask(dir_fd, &request, MONITOR_OK, deadline, answer, &fields, err);
}

int monitor_set_network(int dir_fd, const struct sbx_spec *rules, struct deadline deadline,
                        struct sbx_error *err)
{
    cleanup_buf struct buf request = BUF_INIT(MONITOR_PACKET_MAX);
    char answer[ANSWER_MAX];
    struct wire_reader fields;
    wire_put_u32(&request, MONITOR_SET_NETWORK);
    wire_put_u32(&request, rules->network);
    wire_put_texts(&request, rules->allow, rules->allow_count);
    if (request.failed)
        return err_set(err, SBX_ERR_INVALID, "the allow list is too long");
    return ask(dir_fd, &request, MONITOR_OK, deadline, answer, &fields, err);
}

int monitor_expose(int dir_fd, struct sbx_port port, struct deadline deadline,
                   uint16_t *ret_host_port, struct sbx_error *err)
{
    cleanup_buf struct buf request = BUF_INIT(64);
    char answer[ANSWER_MAX];
    struct wire_reader fields;
    wire_put_u32(&request, MONITOR_EXPOSE);
    wire_put_u32(&request, port.port);
    wire_put_u32(&request, port.host_port);
    int code = ask(dir_fd, &request, MONITOR_EXPOSED, deadline, answer, &fields, err);
    if (code < 0)
        return code;
    uint32_t host_port = wire_u32(&fields);
    if (!wire_end(&fields) || host_port == 0 || host_port > 65535)
        return conn_nonsense(err);
    *ret_host_port = (uint16_t)host_port;
    return 0;
}

int monitor_measure(int dir_fd, struct deadline deadline, struct monitor_metrics *ret_metrics,
                    struct sbx_error *err)
{
    cleanup_buf struct buf request = BUF_INIT(64);
    char answer[ANSWER_MAX];
    struct wire_reader fields;
    wire_put_u32(&request, MONITOR_METRICS);
    int code = ask(dir_fd, &request, MONITOR_MEASURED, deadline, answer, &fields, err);
    if (code == 0 && monitor_metrics_get(&fields, ret_metrics) < 0)
        code = conn_nonsense(err);
    return code;
}

static int ask_plain(int dir_fd, uint32_t type, struct deadline deadline, struct sbx_error *err)
{
    cleanup_buf struct buf request = BUF_INIT(64);
    char answer[ANSWER_MAX];
    struct wire_reader fields;
    wire_put_u32(&request, type);
    return ask(dir_fd, &request, MONITOR_OK, deadline, answer, &fields, err);
}

int monitor_pause(int dir_fd, bool paused, struct deadline deadline, struct sbx_error *err)
{
    return ask_plain(dir_fd, paused ? MONITOR_PAUSE : MONITOR_RESUME, deadline, err);
}

int monitor_look(int dir_fd, struct deadline deadline, struct sbx_error *err)
{
    return ask_plain(dir_fd, MONITOR_LOOK, deadline, err);
}

void monitor_release(struct monitor_held *held)
{
    int *const fds[] = {&held->disk_fd, &held->userns_fd, &held->conn_fd};
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        if (*fds[i] >= 0)
            close(steal_fd(fds[i]));
}

// One packet with up to two descriptors, which stay -1 where none came.
static ssize_t receive_with(int fd, void *data, size_t size, int ret_fds[2])
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct iovec part = {data, size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    ssize_t got;
    do
        got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
        memcpy(ret_fds, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
    return got;
}

int monitor_hold(int dir_fd, struct deadline deadline, struct monitor_held *ret_held,
                 struct sbx_error *err)
{
    cleanup_monitor_held struct monitor_held held = MONITOR_HELD_NONE;
    cleanup_buf struct buf request = BUF_INIT(64);
    char answer[ANSWER_MAX];
    int fds[2] = {-1, -1};
    struct wire_reader fields;
    wire_put_u32(&request, MONITOR_HOLD);
    int code = open_and_send(dir_fd, &request, deadline, &held.conn_fd, err);
    if (code == 0)
        code = deadline_wait(deadline, held.conn_fd, POLLIN, NULL, err);
    if (code < 0)
        return code;
    ssize_t got = receive_with(held.conn_fd, answer, sizeof(answer), fds);
    held.disk_fd = fds[0];
    held.userns_fd = fds[1];
    code = read_answer(answer, got > 0 ? (size_t)got : 0, MONITOR_HELD, &fields, err);
    if (code < 0)
        return code;
    held.still = wire_u32(&fields);
    held.base = wire_u32(&fields);
    held.uppers = wire_u32(&fields);
    if (!wire_end(&fields) || held.disk_fd < 0)
        return conn_nonsense(err);
    *ret_held = held;
    // NOLINTNEXTLINE(clang-analyzer-deadcode.DeadStores): read by its cleanup
    held = (struct monitor_held)MONITOR_HELD_NONE;
    return 0;
}
