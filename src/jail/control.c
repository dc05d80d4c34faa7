// SPDX-License-Identifier: Apache-2.0
// Requests of the library to the monitor. Layer: jail.
#include "jail/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "jail/forward.h"
#include "jail/freezer.h"
#include "jail/link.h"
#include "jail/mounts.h"
#include "jail/netprocess.h"
#include "wire/agent_msg.h"

void control_accept(struct monitor *monitor)
{
    int fd = accept4(monitor->jail->control_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    for (size_t i = 0; i < MONITOR_CLIENTS_MAX; i++) {
        if (monitor->clients[i] < 0) {
            monitor->clients[i] = fd;
            return;
        }
    }
    close(fd);
}

static int do_destroy(struct monitor *monitor, struct wire_reader *in, struct buf *out,
                      struct sbx_error *err)
{
    monitor->ending = true; // no answer: the connection closes at the very end
    return 0;
}

static int do_set_ttl(struct monitor *monitor, struct wire_reader *in, struct buf *out,
                      struct sbx_error *err)
{
    int64_t ttl_ms = (int64_t)wire_u64(in);
    if (!wire_end(in) || (ttl_ms < 1 && ttl_ms != -1))
        return err_set(err, SBX_ERR_INVALID, "a time to live of %lld ms makes no sense",
                       (long long)ttl_ms);
    if (monitor_set_ttl(monitor, ttl_ms) < 0)
        return err_sys(err, 0, errno, "cannot set the time to live");
    monitor_save_state(monitor);
    wire_put_u32(out, MONITOR_OK);
    return 0;
}

static int do_set_network(struct monitor *monitor, struct wire_reader *in, struct buf *out,
                          struct sbx_error *err)
{
    int code = netprocess_change(monitor, in, err);
    if (code == 0)
        wire_put_u32(out, MONITOR_OK);
    return code;
}

static int do_expose(struct monitor *monitor, struct wire_reader *in, struct buf *out,
                     struct sbx_error *err)
{
    uint32_t port = wire_u32(in), host_port = wire_u32(in);
    if (!wire_end(in) || port == 0 || port > 65535 || host_port > 65535)
        return err_set(err, SBX_ERR_INVALID, "no such port: %u", port);
    int bound = forward_add(monitor, (uint16_t)port, (uint16_t)host_port, err);
    if (bound < 0)
        return bound;
    monitor_save_state(monitor);
    wire_put_u32(out, MONITOR_EXPOSED);
    wire_put_u32(out, (uint32_t)bound);
    return 0;
}

static int do_metrics(struct monitor *monitor, struct wire_reader *in, struct buf *out,
                      struct sbx_error *err)
{
    struct monitor_metrics metrics;
    cgroup_measure(&monitor->cgroup, &metrics);
    wire_put_u32(out, MONITOR_MEASURED);
    monitor_metrics_put(out, &metrics);
    return 0;
}

static bool is_held(const struct monitor *monitor)
{
    for (size_t i = 0; i < MONITOR_CLIENTS_MAX; i++)
        if (monitor->holds[i])
            return true;
    return false;
}

static int freeze(struct monitor *monitor, bool frozen, struct buf *out, struct sbx_error *err)
{
    if (is_held(monitor)) {
        err_set(err, SBX_ERR_CONFLICT, "a snapshot of it is being taken");
        return err_hint(err, "try again when it is done");
    }
    int code = freezer_set(&monitor->cgroup, monitor->jail, frozen, err);
    if (code < 0)
        return code;
    monitor->state.state = frozen ? SBX_STATE_PAUSED : SBX_STATE_RUNNING;
    monitor_save_state(monitor);
    wire_put_u32(out, MONITOR_OK);
    return 0;
}

static int do_pause(struct monitor *monitor, struct wire_reader *in, struct buf *out,
                    struct sbx_error *err)
{
    return freeze(monitor, true, out, err);
}

static int do_resume(struct monitor *monitor, struct wire_reader *in, struct buf *out,
                     struct sbx_error *err)
{
    return freeze(monitor, false, out, err);
}

// Asked by callers who hear nothing. Left to be reported again (WNOWAIT): each look tells how it is
// now. A frozen sandbox is not stopped.
static int do_look(struct monitor *monitor, struct wire_reader *in, struct buf *out,
                   struct sbx_error *err)
{
    const struct jail *jail = monitor->jail;
    siginfo_t stopped = {0};
    if (waitid(P_PID, (id_t)jail->init_pid, &stopped, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
        stopped.si_pid != 0) {
        err_set(err, SBX_ERR_UNAVAILABLE, "its agent, process %d, is stopped", jail->init_pid);
        return err_hint(err, "kill -CONT %d lets it go on; sandboxes destroy %s ends it",
                        jail->init_pid, jail->spec.id);
    }
    wire_put_u32(out, MONITOR_OK);
    return 0;
}

// Descriptors go along with the answer, which is not left to the caller for that.
static int send_held(const struct monitor *monitor, int fd, bool frozen, struct sbx_error *err)
{
    const struct jail *jail = monitor->jail;
    cleanup_buf struct buf out = BUF_INIT(64);
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)jail->init_pid);
    cleanup_fd int userns = jail->privileged ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (!jail->privileged && userns < 0)
        return err_sys(err, 0, errno, "cannot open the sandbox's user namespace");
    const int fds[] = {jail->disk_fd, userns};
    wire_put_u32(&out, MONITOR_HELD);
    wire_put_u32(&out, frozen);
    wire_put_u32(&out, jail->privileged ? jail->ids.base : 0);
    wire_put_u32(&out, mounts_count(&jail->spec));
    if (out.failed)
        return err_nomem(err);
    // The letter is the first byte of what is sent.
    if (link_send_data(fd, out.data[0], out.data + 1, out.size - 1, fds, 1 + (userns >= 0)) < 0)
        return err_sys(err, SBX_ERR_UNAVAILABLE, errno, "cannot hand over the sandbox's files");
    return 0;
}

static void release(struct monitor *monitor, size_t i)
{
    struct sbx_error ignored;
    bool held = monitor->holds[i];
    monitor->holds[i] = false;
    if (held && !is_held(monitor) && monitor->state.state != SBX_STATE_PAUSED)
        (void)freezer_set(&monitor->cgroup, monitor->jail, false, &ignored);
}

// Where nothing can be frozen, that is told, and whoever copies looks out for changes.
static int hold(struct monitor *monitor, size_t i, struct sbx_error *err)
{
    bool still = is_held(monitor) || monitor->state.state == SBX_STATE_PAUSED;
    if (monitor->jail->disk_fd < 0 || monitor->jail->spec.machine[0])
        return err_set(err, SBX_ERR_UNSUPPORTED, "its files can't be had from outside");
    int code = still ? 0 : freezer_set(&monitor->cgroup, monitor->jail, true, err);
    monitor->holds[i] = code != SBX_ERR_UNSUPPORTED; // half frozen: to be undone
    if (code < 0 && code != SBX_ERR_UNSUPPORTED) {
        release(monitor, i);
        return code;
    }
    code = send_held(monitor, monitor->clients[i], code == 0, err);
    if (code < 0)
        release(monitor, i);
    return code;
}

typedef int (*control_fn)(struct monitor *monitor, struct wire_reader *in, struct buf *out,
                          struct sbx_error *err);

static const control_fn handlers[] = {
    [MONITOR_DESTROY] = do_destroy, [MONITOR_SET_TTL] = do_set_ttl,
    [MONITOR_EXPOSE] = do_expose,   [MONITOR_METRICS] = do_metrics,
    [MONITOR_PAUSE] = do_pause,     [MONITOR_RESUME] = do_resume,
    [MONITOR_LOOK] = do_look,       [MONITOR_SET_NETWORK] = do_set_network,
};

static int dispatch(struct monitor *monitor, size_t i, struct wire_reader *in, struct buf *out,
                    struct sbx_error *err)
{
    uint32_t type = wire_u32(in);
    control_fn handler = type < ARRAY_SIZE(handlers) ? handlers[type] : NULL;
    if (type == MONITOR_HOLD)
        return hold(monitor, i, err);
    return handler ? handler(monitor, in, out, err)
                   : err_set(err, SBX_ERR_PROTOCOL, "unknown request %u", type);
}

static void answer(struct monitor *monitor, size_t i, const void *request, size_t size)
{
    struct wire_reader in = wire_reader(request, size);
    cleanup_buf struct buf out = BUF_INIT(4096);
    struct sbx_error err;
    int code = dispatch(monitor, i, &in, &out, &err);
    if (code < 0) {
        out.size = 0;
        wire_put_u32(&out, MONITOR_FAILED);
        agent_failed_put(&out, &err);
    }
    if (out.size > 0 && !out.failed)
        (void)send(monitor->clients[i], out.data, out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void control_serve(struct monitor *monitor, size_t i)
{
    char small[64];
    // One request has no bound but the packet's.
    ssize_t size =
        recv(monitor->clients[i], small, sizeof(small), MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    cleanup_free char *large = size > (ssize_t)sizeof(small) ? malloc((size_t)size) : NULL;
    char *request = large ? large : small;
    if (size > 0 && size <= MONITOR_PACKET_MAX && (large || size <= (ssize_t)sizeof(small)))
        size = recv(monitor->clients[i], request, (size_t)size, MSG_DONTWAIT);
    else
        size = -1;
    if (size > 0) {
        answer(monitor, i, request, (size_t)size);
        return;
    }
    release(monitor, i);
    close(monitor->clients[i]);
    monitor->clients[i] = -1;
}
