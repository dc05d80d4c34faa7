// SPDX-License-Identifier: Apache-2.0
// The monitor's watch over a living sandbox. Layer: jail.
#include "jail/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/lean.h"
#include "jail/control.h"
#include "jail/freezer.h"
#include "jail/init.h"
#include "jail/link.h"
#include "jail/netprocess.h"

#define SHED_MS 200 // until then the sandbox's first command has begun
#define SHED_MOST_MS 10000
#define GET_MNT_NAMESPACE _IO(0xFF, 3) // PIDFD_GET_MNT_NAMESPACE of <linux/pidfd.h>

void monitor_init(struct monitor *monitor, struct jail *jail)
{
    *monitor = (struct monitor){.jail = jail,
                                .state = {.state = SBX_STATE_RUNNING},
                                .timer_fd = -1,
                                .directory_fd = -1,
                                .netstack_fd = -1,
                                .netstack_pidfd = -1};
    cgroup_init(&monitor->cgroup);
    for (size_t i = 0; i < MONITOR_CLIENTS_MAX; i++)
        monitor->clients[i] = -1;
    for (size_t i = 0; i < MONITOR_FORWARDS_MAX; i++)
        monitor->forwards[i] = -1;
}

int monitor_set_ttl(struct monitor *monitor, int64_t ttl_ms)
{
    if (monitor->timer_fd < 0 && ttl_ms <= 0)
        return 0;
    if (monitor->timer_fd < 0)
        monitor->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (monitor->timer_fd < 0)
        return -1;
    struct itimerspec when = {0}; // all zero disarms it
    if (ttl_ms > 0)
        when.it_value = (struct timespec){ttl_ms / 1000, ttl_ms % 1000 * 1000000 + 1};
    if (timerfd_settime(monitor->timer_fd, 0, &when, NULL) < 0)
        return -1;
    monitor->state.expires_ms = ttl_ms > 0 ? clock_unix_ms() + ttl_ms : 0;
    return 0;
}

static int write_record(int dir_fd, const char *name, const struct buf *data)
{
    char temporary[32];
    snprintf(temporary, sizeof(temporary), "%s.new", name);
    cleanup_fd int fd =
        openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || fd_write_full(fd, data->data, data->size) < 0 ||
        renameat(dir_fd, temporary, dir_fd, name) < 0) {
        unlinkat(dir_fd, temporary, 0);
        return -1;
    }
    return 0;
}

int monitor_write_record(const struct monitor *monitor, const char *name, const struct buf *data)
{
    return write_record(monitor->jail->dir_fd, name, data);
}

void monitor_save_state(struct monitor *monitor)
{
    cleanup_buf struct buf data = BUF_INIT(4096);
    monitor_state_put(&data, &monitor->state);
    if (!data.failed)
        (void)write_record(monitor->jail->dir_fd, BOX_FILE_STATE, &data);
}

enum watched {
    WATCH_INIT,
    WATCH_CONTROL,
    WATCH_BOOT,
    WATCH_TIMER,
    WATCH_DEVICE,
    WATCH_NETSTACK,
    WATCH_DIRECTORY,
    WATCH_LINK,
    WATCH_FIXED
};

static void fill_polls(const struct monitor *monitor, struct pollfd *fds)
{
    const struct jail *jail = monitor->jail;
    bool network_idle = monitor->netstack_pid == 0 && jail->spec.network != SBX_NETWORK_NONE;
    // While all places are taken, the next clients wait in the socket's queue.
    bool has_place = false;
    for (size_t i = 0; i < MONITOR_CLIENTS_MAX; i++)
        has_place |= monitor->clients[i] < 0;
    const int watched[WATCH_FIXED] = {
        [WATCH_INIT] = jail->init_pidfd,
        [WATCH_CONTROL] = has_place ? jail->control_fd : -1,
        [WATCH_BOOT] = jail->boot_fd,
        [WATCH_TIMER] = monitor->timer_fd,
        [WATCH_DEVICE] = network_idle ? jail->device_fd : -1,
        [WATCH_NETSTACK] = monitor->netstack_pidfd,
        [WATCH_DIRECTORY] = monitor->directory_fd,
        [WATCH_LINK] = monitor->heard ? -1 : jail->link_fd,
    };
    for (size_t i = 0; i < WATCH_FIXED; i++)
        fds[i] = (struct pollfd){.fd = watched[i], .events = POLLIN};
    for (size_t i = 0; i < MONITOR_CLIENTS_MAX; i++)
        fds[WATCH_FIXED + i] = (struct pollfd){.fd = monitor->clients[i], .events = POLLIN};
}

// The library is gone from the boot socket: the end of a tied sandbox, of no interest to a detached
// one.
static void boot_closed(struct monitor *monitor)
{
    close(steal_fd(&monitor->jail->boot_fd));
    if (monitor->jail->spec.lifetime == SBX_LIFETIME_TIED)
        monitor->ending = true;
}

// A sandbox whose directory is removed under it (at the end of a login session, say) can't be found
// any more: it ends. The directory itself tells nothing of its end while we are in it, its record
// does. Not by inotify(7): an account has 128 instances for all that it runs.
static void watch_directory(struct monitor *monitor)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    sigprocmask(SIG_BLOCK, &set, NULL);
    monitor->directory_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (monitor->directory_fd >= 0)
        (void)fcntl(monitor->jail->dir_fd, F_NOTIFY, DN_DELETE | DN_MULTISHOT);
}

static void directory_changed(struct monitor *monitor)
{
    struct signalfd_siginfo info;
    while (read(monitor->directory_fd, &info, sizeof(info)) > 0)
        ;
    if (faccessat(monitor->jail->dir_fd, BOX_FILE_SPEC, F_OK, 0) < 0)
        monitor->ending = true;
}

// Read soon: descriptors on their way count against an account's limit. Once: the agent, which has
// the other end now, is not listened to.
static void hear_disk(struct monitor *monitor)
{
    int fds[LINK_FDS_MAX];
    size_t count = 0;
    monitor->heard = true;
    if (link_receive(monitor->jail->link_fd, INIT_DISK, fds, &count) == 0 && count == 1)
        monitor->jail->disk_fd = fds[0];
}

static void handle(struct monitor *monitor, const struct pollfd *fds)
{
    if (fds[WATCH_INIT].revents || fds[WATCH_TIMER].revents)
        monitor->ending = true;
    if (fds[WATCH_DIRECTORY].revents)
        directory_changed(monitor);
    if (fds[WATCH_LINK].revents)
        hear_disk(monitor);
    if (fds[WATCH_BOOT].revents)
        boot_closed(monitor);
    if (fds[WATCH_NETSTACK].revents)
        netprocess_reap(monitor);
    if (fds[WATCH_DEVICE].revents)
        netprocess_start(monitor);
    for (size_t i = 0; i < MONITOR_CLIENTS_MAX; i++)
        if (fds[WATCH_FIXED + i].revents)
            control_serve(monitor, i);
    if (fds[WATCH_CONTROL].revents)
        control_accept(monitor);
}

// Not while somebody else is in our memory: init, or the starter, which ends on the stack that it
// was given.
static void shed(struct monitor *monitor)
{
    if (init_is_within(monitor->jail) || getppid() == monitor->jail->starter)
        return;
    lean_shed();
    lean_trim();
    monitor->shed = true;
}

// poll(2) refuses more entries than there may be open files, and the creator may have few: only
// those in use are passed on. -1 when waiting is impossible, 0 when there is nothing.
static int wait_any(struct pollfd *fds, size_t count, int timeout_ms)
{
    struct pollfd used[WATCH_FIXED + MONITOR_CLIENTS_MAX];
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        if (fds[i].fd >= 0)
            used[total++] = fds[i];
    int ready = poll(used, total, timeout_ms);
    if (ready <= 0)
        return ready == 0 || errno == EINTR ? 0 : -1;
    for (size_t i = 0, at = 0; i < count; i++)
        if (fds[i].fd >= 0)
            fds[i].revents = used[at++].revents;
    return 1;
}

void monitor_watch(struct monitor *monitor)
{
    int shed_ms = SHED_MS;
    watch_directory(monitor);
    while (!monitor->ending) {
        struct pollfd fds[WATCH_FIXED + MONITOR_CLIENTS_MAX];
        fill_polls(monitor, fds);
        int ready = wait_any(fds, ARRAY_SIZE(fds), monitor->shed ? -1 : shed_ms);
        if (ready == 0 && !monitor->shed) {
            shed(monitor);
            shed_ms = shed_ms < SHED_MOST_MS ? 2 * shed_ms : shed_ms;
        }
        if (ready > 0)
            handle(monitor, fds);
        if (ready < 0)
            monitor->ending = true; // fail closed: nobody would enforce the time to live
    }
}

static void unlink_all(const struct jail *jail, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count && jail->dir_fd >= 0; i++)
        unlinkat(jail->dir_fd, names[i], 0);
}

// Where nobody will be reached any more.
static void remove_sockets(const struct jail *jail)
{
    static const char *const names[] = {BOX_FILE_AGENT, BOX_FILE_CONTROL};
    unlink_all(jail, names, ARRAY_SIZE(names));
}

// Whoever leaves a mount namespace last takes its file systems apart. Should be us, when all that
// anybody waits for is done: dropped with the last of our descriptors.
static void hold_mounts(const struct jail *jail)
{
    if (jail->init_pidfd >= 0)
        (void)ioctl(jail->init_pidfd, GET_MNT_NAMESPACE, 0); // Linux 6.11
}

// Killing process 1 of a pid namespace kills all of it: pid_namespaces(7).
static bool kill_all(struct monitor *monitor)
{
    struct jail *jail = monitor->jail;
    if (jail->init_pid <= 0)
        return false;
    freezer_thaw(&monitor->cgroup); // the frozen don't die: cgroup-v1/freezer-subsystem.rst
    hold_mounts(jail);
    return kill(jail->init_pid, SIGKILL) == 0;
}

// Waiting for process 1 waits for all. Not if it could not be killed: then it ends with us
// (PDEATHSIG), and a sweep removes the rest.
static void await_end(struct jail *jail)
{
    while (waitpid(jail->init_pid, NULL, 0) < 0 && errno == EINTR)
        ;
    jail->init_pid = 0;
}

static void remove_directory(const struct jail *jail)
{
    static const char *const names[] = {BOX_FILE_STATE, BOX_FILE_STATE ".new", "cgroups",
                                        BOX_FILE_SPEC ".new", BOX_FILE_SPEC};
    unlink_all(jail, names, ARRAY_SIZE(names));
    if (jail->dir_fd >= 0)
        rmdir(jail->dir); // stays if it holds files that are not ours: those are never deleted
}

void monitor_clean(struct monitor *monitor)
{
    for (size_t i = 0; i < MONITOR_FORWARDS_MAX; i++)
        if (monitor->forwards[i] >= 0)
            close(monitor->forwards[i]);
    netprocess_stop(monitor);
    bool killed = kill_all(monitor);
    if (monitor->jail->disk_fd >= 0)
        close(steal_fd(&monitor->jail->disk_fd));
    remove_sockets(monitor->jail); // while all of it ends
    if (killed)
        await_end(monitor->jail);
    if (cgroup_remove(&monitor->cgroup)) // else the records stay, for the next command to sweep it
        remove_directory(monitor->jail);
}

void monitor_part(struct monitor *monitor)
{
    for (size_t i = 0; i < MONITOR_CLIENTS_MAX; i++)
        if (monitor->clients[i] >= 0)
            close(monitor->clients[i]);
}
