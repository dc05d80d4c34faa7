// SPDX-License-Identifier: Apache-2.0
// CONNECT: a connection becomes a byte stream to a port inside. Layer: agent.
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/request.h"
#include "agent/worker.h"
#include "base/caps.h"
#include "base/error.h"
#include "base/fd.h"

#define PUMP_SIZE (64 * 1024)

// One direction: bytes read and not yet written.
struct flow {
    int from, to;
    size_t at, size;
    bool ended;
    char bytes[PUMP_SIZE];
};

static int connect_port(uint16_t port, struct sbx_error *err)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        int code = err_sys(err, 0, errno, "cannot connect to port %u in the sandbox", port);
        if (code == SBX_ERR_UNAVAILABLE)
            err_hint(err, "start a server on 127.0.0.1:%u in the sandbox first", port);
        return code;
    }
    return steal_fd(&fd);
}

static short wanted(const struct flow *flow, int fd)
{
    if (flow->ended)
        return 0;
    if (flow->size == 0)
        return flow->from == fd ? POLLIN : 0;
    return flow->to == fd ? POLLOUT : 0;
}

// Moves what can be moved. -1 when this direction broke.
static int move(struct flow *flow)
{
    if (flow->ended)
        return 0;
    if (flow->size == 0) {
        ssize_t got = recv(flow->from, flow->bytes, PUMP_SIZE, MSG_DONTWAIT);
        if (got < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        flow->at = 0;
        flow->size = (size_t)got;
        flow->ended = got == 0;
        if (flow->ended)
            shutdown(flow->to, SHUT_WR);
    }
    if (flow->size == 0)
        return 0;
    ssize_t put = send(flow->to, flow->bytes + flow->at, flow->size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    flow->at += (size_t)put;
    flow->size -= (size_t)put;
    return 0;
}

// Until both directions have ended or one broke.
static void pump(struct flow flows[2])
{
    while (!flows[0].ended || !flows[1].ended) {
        struct pollfd fds[2];
        for (int i = 0; i < 2; i++) {
            int fd = flows[i].from;
            fds[i] = (struct pollfd){.fd = fd, .events = 0};
            fds[i].events = (short)(wanted(&flows[0], fd) | wanted(&flows[1], fd));
            if (!fds[i].events)
                fds[i].fd = -1; // a hang-up alone must not spin
        }
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return;
        if (move(&flows[0]) < 0 || move(&flows[1]) < 0)
            return;
    }
}

static void work(const struct agent *agent, struct worker *worker, void *payload)
{
    struct sbx_error error;
    int fd = connect_port(*(uint16_t *)payload, &error);
    if (fd < 0) {
        worker_fail(worker->fd, &error);
        return;
    }
    // It only moves bytes from now on. Failure is no danger: it has what rights the agent has.
    caps_drop_all();
    struct flow *flows = calloc(2, sizeof(*flows));
    if (!flows || frame_send(worker->fd, AGENT_DONE, NULL, 0, NULL, 0, deadline_in(0), NULL) < 0 ||
        fd_write_full(fd, worker->ahead, worker->ahead_size) < 0)
        return;
    flows[0].from = flows[1].to = worker->fd;
    flows[0].to = flows[1].from = fd;
    pump(flows);
}

int connect_request(struct agent *agent, struct conn *conn, struct frame *frame)
{
    struct wire_reader in = wire_reader(frame->payload, frame->size);
    uint32_t port = wire_u32(&in);
    if (!wire_end(&in) || port == 0 || port > UINT16_MAX)
        return -1;
    return worker_start(agent, conn, work, &(uint16_t){(uint16_t)port});
}
