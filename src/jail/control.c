// SPDX-License-Identifier: Apache-2.0
// Requests of the library to the monitor. Layer: jail.
#include "jail/control.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "jail/forward.h"
#include "jail/freezer.h"
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

static int freeze(struct monitor *monitor, bool frozen, struct buf *out, struct sbx_error *err)
{
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

typedef int (*control_fn)(struct monitor *monitor, struct wire_reader *in, struct buf *out,
                          struct sbx_error *err);

static const control_fn handlers[] = {
    [MONITOR_DESTROY] = do_destroy, [MONITOR_SET_TTL] = do_set_ttl, [MONITOR_EXPOSE] = do_expose,
    [MONITOR_METRICS] = do_metrics, [MONITOR_PAUSE] = do_pause,     [MONITOR_RESUME] = do_resume,
    [MONITOR_LOOK] = do_look,
};

static void answer(struct monitor *monitor, int fd, const void *request, size_t size)
{
    struct wire_reader in = wire_reader(request, size);
    cleanup_buf struct buf out = BUF_INIT(4096);
    struct sbx_error err;
    uint32_t type = wire_u32(&in);
    control_fn handler = type < ARRAY_SIZE(handlers) ? handlers[type] : NULL;
    int code = handler ? handler(monitor, &in, &out, &err)
                       : err_set(&err, SBX_ERR_PROTOCOL, "unknown request %u", type);
    if (code < 0) {
        out.size = 0;
        wire_put_u32(&out, MONITOR_FAILED);
        agent_failed_put(&out, &err);
    }
    if (out.size > 0 && !out.failed)
        (void)send(fd, out.data, out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void control_serve(struct monitor *monitor, size_t i)
{
    char request[64];
    ssize_t size = recv(monitor->clients[i], request, sizeof(request), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size > 0) {
        answer(monitor, monitor->clients[i], request, (size_t)size);
        return;
    }
    close(monitor->clients[i]);
    monitor->clients[i] = -1;
}
