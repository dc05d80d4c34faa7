// SPDX-License-Identifier: Apache-2.0
// Ports of the sandbox on this machine's loopback. Layer: jail.
#include "jail/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "wire/agent_msg.h"
#include "wire/frame.h"

#define CONNECTIONS_MAX 128
#define PIECE (32 * 1024)
#define CONNECT_MS 5000

// One direction of one connection: bytes read from `from` that wait for `to`.
struct half {
    int from, to;
    size_t start, end; // of what waits in data
    bool closed;       // `from` has ended and everything was passed on
    char data[PIECE];
};

struct connection {
    struct half in, out; // from the host, from the sandbox
};

static int listen_on(uint16_t *port, struct sbx_error *err)
{
    cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int one = 1;
    if (fd < 0)
        return err_sys(err, 0, errno, "cannot make a socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 64) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
        int code = err_sys(err, errno == EADDRINUSE ? SBX_ERR_CONFLICT : 0, errno,
                           "cannot listen on 127.0.0.1:%u", *port);
        err_hint(err, "choose another port of this machine, or 0 for any free one");
        return code;
    }
    *port = ntohs(address.sin_port);
    return steal_fd(&fd);
}

// Reads DONE and not a byte more: a server that speaks first follows on its heels.
static bool is_connected(int fd, struct deadline deadline)
{
    uint8_t done[FRAME_HEADER_SIZE], got[FRAME_HEADER_SIZE];
    frame_header(done, 0, AGENT_DONE, 0);
    for (size_t have = 0; have < sizeof(got);) {
        if (deadline_wait(deadline, fd, POLLIN, NULL, NULL) < 0)
            return false;
        ssize_t size = recv(fd, got + have, sizeof(got) - have, MSG_DONTWAIT);
        if (size <= 0)
            return false;
        have += (size_t)size;
    }
    return memcmp(got, done, sizeof(done)) == 0;
}

// A connection of the agent that has become a byte stream to the port inside.
static int connect_inside(uint16_t port)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = BOX_FILE_AGENT};
    struct deadline deadline = deadline_in(CONNECT_MS);
    cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -1;
    cleanup_buf struct buf request = BUF_INIT(64);
    wire_put_u32(&request, port);
    int code = frame_send(fd, AGENT_CONNECT, request.data, request.size, NULL, 0, deadline, NULL);
    return code == 0 && is_connected(fd, deadline) ? steal_fd(&fd) : -1;
}

static void end_connection(struct connection **slot)
{
    close((*slot)->in.from);
    close((*slot)->in.to);
    free(*slot);
    *slot = NULL;
}

static void take_connection(int listen_fd, uint16_t port, struct connection **slots)
{
    cleanup_fd int host = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (host < 0)
        return;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (slots[i])
            continue;
        cleanup_fd int inside = connect_inside(port);
        if (inside < 0 || !(slots[i] = malloc(sizeof(*slots[i]))))
            return;
        fcntl(inside, F_SETFL, O_NONBLOCK);
        slots[i]->in = (struct half){.from = host, .to = inside};
        slots[i]->out = (struct half){.from = inside, .to = host};
        steal_fd(&host);
        steal_fd(&inside);
        return;
    }
}

// Moves what can be moved now; -1 when the connection is broken.
static int pump(struct half *half)
{
    if (half->start == half->end && !half->closed) {
        ssize_t got = recv(half->from, half->data, PIECE, MSG_DONTWAIT);
        if (got == 0) {
            half->closed = true;
            shutdown(half->to, SHUT_WR);
            return 0;
        }
        if (got < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        half->start = 0;
        half->end = (size_t)got;
    }
    if (half->start == half->end)
        return 0;
    ssize_t put = send(half->to, half->data + half->start, half->end - half->start,
                       MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    half->start += (size_t)put;
    return 0;
}

static void watch_half(struct pollfd *poll_fd, const struct half *half)
{
    bool waiting = half->start < half->end;
    poll_fd->fd = waiting ? half->to : half->closed ? -1 : half->from;
    poll_fd->events = waiting ? POLLOUT : POLLIN;
}

static void serve(int listen_fd, int leash_fd, uint16_t port)
{
    static struct connection *slots[CONNECTIONS_MAX];
    for (;;) {
        struct pollfd fds[2 + 2 * CONNECTIONS_MAX] = {{.fd = leash_fd, .events = POLLIN},
                                                      {.fd = listen_fd, .events = POLLIN}};
        for (size_t i = 0; i < 2 * CONNECTIONS_MAX; i++) {
            fds[2 + i].fd = -1;
            if (slots[i / 2])
                watch_half(&fds[2 + i], i % 2 ? &slots[i / 2]->out : &slots[i / 2]->in);
        }
        if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
            return;
        if (fds[0].revents)
            return;
        for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
            if (!slots[i] || !(fds[2 + 2 * i].revents | fds[3 + 2 * i].revents))
                continue;
            int broken = pump(&slots[i]->in) < 0 || pump(&slots[i]->out) < 0;
            if (broken || (slots[i]->in.closed && slots[i]->out.closed))
                end_connection(&slots[i]);
        }
        if (fds[1].revents)
            take_connection(listen_fd, port, slots);
    }
}

static void run_forwarder(int listen_fd, int leash_fd, uint16_t port)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "sandboxes-port");
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    struct rlimit files = {2 * CONNECTIONS_MAX + 64, 2 * CONNECTIONS_MAX + 64};
    setrlimit(RLIMIT_NOFILE, &files);
    serve(listen_fd, leash_fd, port);
    _exit(0);
}

int forward_add(struct monitor *monitor, uint16_t port, uint16_t host_port, struct sbx_error *err)
{
    struct monitor_state *state = &monitor->state;
    for (uint32_t i = 0; i < state->port_count; i++)
        if (state->ports[i].port == port && (!host_port || state->ports[i].host_port == host_port))
            return state->ports[i].host_port;
    if (state->port_count == MONITOR_PORTS_MAX)
        return err_set(err, SBX_ERR_QUOTA, "more than %d ports are exposed", MONITOR_PORTS_MAX);
    cleanup_fd int listen_fd = listen_on(&host_port, err);
    if (listen_fd < 0)
        return listen_fd;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, 0, errno, "cannot make a pipe");
    pid_t pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        return err_sys(err, 0, errno, "cannot start the forwarding of port %u", port);
    }
    if (pid == 0) {
        close(ends[1]);
        run_forwarder(listen_fd, ends[0], port);
    }
    close(ends[0]);
    monitor->forwards[state->port_count] = ends[1];
    state->ports[state->port_count].port = port;
    state->ports[state->port_count].host_port = host_port;
    state->port_count++;
    return host_port;
}
