// SPDX-License-Identifier: Apache-2.0
// Process 1 of a sandbox from its first instruction to the agent's. Layer: jail.
#include "jail/init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/lean.h"
#include "jail/ids.h"
#include "jail/landlock.h"
#include "jail/link.h"
#include "jail/mounts.h"
#include "jail/network.h"
#include "jail/rlimits.h"
#include "jail/seccomp.h"
#include "wire/agent_msg.h"

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

// Takes on the first id of the sandbox, in its user namespace. Clears the dumpable flag and any
// death signal.
static int become_inside(const struct jail *jail, int limits_fd, struct sbx_error *err)
{
    uint32_t id = jail->ids.inside;
    if (jail->privileged && setns(jail->userns_fd, CLONE_NEWUSER) < 0)
        return jail_fail(err, "user namespace", "cannot enter the sandbox's user namespace");
    ids_limit(jail, limits_fd);
    if ((jail->privileged || jail->ids.sub_count) && syscall(SYS_setgroups, 0, NULL) < 0)
        return jail_fail(err, "user namespace", "cannot drop groups");
    if (syscall(SYS_setresgid, id, id, id) < 0 || syscall(SYS_setresuid, id, id, id) < 0)
        return jail_fail(err, "user namespace", "cannot become user %u of the sandbox", id);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return 0;
}

static int lost_monitor(struct sbx_error *err)
{
    return err_set(err, SBX_ERR_UNAVAILABLE, "the monitor ended while the sandbox was being built");
}

static int lost_init(struct sbx_error *err)
{
    return err_set(err, SBX_ERR_SETUP, "the sandbox's first process ended early");
}

static int share_network(struct jail *jail, pid_t pid, int link_fd, struct sbx_error *err)
{
    int code = network_join(jail, pid, err);
    if (code < 0)
        return code;
    int device = jail->shared->device_fd;
    if (link_send(link_fd, INIT_NETWORK, &device, device >= 0) < 0)
        return lost_monitor(err);
    return 0;
}

static int enter_network(const struct jail *jail, int netns_fd, struct sbx_error *err)
{
    if (setns(netns_fd, CLONE_NEWNET) < 0)
        return jail_fail(err, "network namespace", "cannot enter the network namespace");
    // Low ports for everybody inside: nobody there holds a capability over this namespace.
    (void)fd_write_file(jail->sysctl_fd, "net/ipv4/ip_unprivileged_port_start", "0");
    return 0;
}

// Places the agent's descriptors; everything else here is close-on-exec.
static int place_fds(const int fds[2], int link_fd)
{
    const int sources[] = {fds[0], fds[1], link_fd};
    const int targets[] = {AGENT_FD_LISTEN, AGENT_FD_FIRST, AGENT_FD_MONITOR};
    int high[ARRAY_SIZE(targets)];
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
        if ((high[i] = fcntl(sources[i], F_DUPFD_CLOEXEC, 16)) < 0)
            return -1;
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
        if (dup2(high[i], targets[i]) < 0)
            return -1;
    return 0;
}

// No way back: privileges, system calls and files are limited to what a sandbox may have.
static int confine(const struct jail *jail, struct sbx_error *err)
{
    struct rlimits limits = {.open_files = jail->spec.max_open_files,
                             .processes = jail->has_cgroup ? 0 : jail->spec.max_pids};
    int code = rlimits_apply(&limits, err);
    if (code < 0)
        return code;
    int dropped = jail->ids.inside ? caps_drop_all() : caps_keep_inherited(CAPS_ROOT);
    if (dropped < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return jail_fail(err, "capabilities", "cannot drop privileges");
    code = landlock_confine(err);
    return code < 0 ? code : seccomp_install(0, err);
}

static int run_agent(int agent_fd, struct sbx_error *err)
{
    static const char *const argv[] = {"sandboxes-agent", AGENT_READY_ARGUMENT, NULL};
    static const char *const envp[] = {NULL};
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    syscall(SYS_execveat, agent_fd, "", argv, envp, AT_EMPTY_PATH);
    return jail_fail(err, "agent", "cannot start the agent");
}

// The caller may run with real-time priority: not so what it locks in, which also could not enter a
// cgroup.
static void leave_realtime(void)
{
    static const struct sched_param normal;
    (void)syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &normal);
}

// Among a thousand busy processes the agent must still get to run, so that it can end them.
// Commands return to 0 (agent/rights.c). Who runs us at low priority on purpose keeps that.
static void prefer_agent(const struct jail *jail)
{
    if (jail->privileged && getpriority(PRIO_PROCESS, 0) <= 0)
        (void)setpriority(PRIO_PROCESS, 0, -20);
}

static int set_hostname(const struct jail *jail, struct sbx_error *err)
{
    if (sethostname(jail->spec.hostname, strlen(jail->spec.hostname)) < 0)
        return jail_fail(err, "hostname", "cannot set the hostname '%s'", jail->spec.hostname);
    return 0;
}

// fds: of layers and mounts.
static int complete(struct jail *jail, const int *fds, size_t count, struct sbx_error *err)
{
    int code = mounts_complete(jail, fds, count, err);
    return code < 0 ? code : set_hostname(jail, err);
}

// The request is in the monitor's memory, as we are; it changes nothing there that we still need.
static int hear_within(struct jail *jail, int link_fd, int fds[LINK_FDS_MAX], size_t *ret_count,
                       struct sbx_error *err)
{
    if (link_receive(link_fd, INIT_SPEC, fds, ret_count) < 0)
        return lost_monitor(err);
    jail->spec = jail->outer->spec;
    jail->request = jail->outer->request;
    return 0;
}

static int hear_apart(struct jail *jail, int link_fd, int fds[LINK_FDS_MAX], size_t *ret_count,
                      struct sbx_error *err)
{
    void *request;
    if (link_receive_data(link_fd, INIT_SPEC, &request, &jail->request_size, fds, ret_count) < 0)
        return lost_monitor(err);
    jail->request = request; // for good: we become another program
    if (box_spec_get(request, jail->request_size, &jail->spec) < 0)
        return err_set(err, SBX_ERR_BUG, "the jail's request is malformed");
    return 0;
}

// The request, and the descriptors that came with it.
static int hear(struct jail *jail, int link_fd, int fds[LINK_FDS_MAX], size_t *ret_count,
                struct sbx_error *err)
{
    int code = jail->outer ? hear_within(jail, link_fd, fds, ret_count, err)
                           : hear_apart(jail, link_fd, fds, ret_count, err);
    if (code == 0 && *ret_count < 1)
        return err_set(err, SBX_ERR_BUG, "the jail's request is malformed");
    jail->agent_fd = code == 0 ? fds[0] : -1;
    return code;
}

static int build_privileged(struct jail *jail, int link_fd, struct sbx_error *err)
{
    int fds[LINK_FDS_MAX];
    size_t count = 0;
    bool ahead = jail->spare && !jail->request; // in version 2 of cgroups even a spare's has one
    int code = mounts_open_disk(jail, err);
    if (code == 0)
        code = mounts_begin(jail, err);
    if (code == 0 && ahead && link_send(link_fd, INIT_WAITS, NULL, 0) < 0)
        code = lost_monitor(err);
    if (code == 0)
        code = hear(jail, link_fd, fds, &count, err);
    if (code == 0 && ahead)
        (void)setpriority(PRIO_PROCESS, 0, jail->nice);
    return code < 0 ? code : complete(jail, fds + 1, count - 1, err);
}

static int build_root(struct jail *jail, struct sbx_error *err)
{
    int fds[JAIL_LAYERS_MAX];
    size_t count = 0;
    int code = mounts_prepare(jail, fds, &count, err);
    if (code == 0)
        code = mounts_open_disk(jail, err);
    if (code == 0)
        code = mounts_begin(jail, err);
    return code < 0 ? code : complete(jail, fds, count, err);
}

// Without real root: ids, and the network process beside the mounts.
static int build_unprivileged(struct jail *jail, int link_fd, struct sbx_error *err)
{
    int fds[LINK_FDS_MAX];
    size_t count;
    if (jail->ids.sub_count && link_receive(link_fd, INIT_MAPPED, fds, &count) < 0)
        return lost_monitor(err);
    int code = jail->ids.sub_count ? 0 : ids_map_self(jail, err);
    if (code < 0 || jail->spec.network == SBX_NETWORK_HOST)
        return code < 0 ? code : build_root(jail, err);
    pid_t net_pid = network_start(jail, err);
    if (net_pid < 0)
        return net_pid;
    code = build_root(jail, err);
    return code < 0 ? code : share_network(jail, net_pid, link_fd, err);
}

// For snapshots. Nobody waits for it: a sandbox that could not send it has none.
static void share_disk(int link_fd)
{
    cleanup_fd int disk = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk >= 0)
        (void)link_send(link_fd, INIT_DISK, &disk, 1);
}

static int enter_cgroups(const int *fds, size_t count, struct sbx_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (write(fds[i], "0", 1) != 1)
            return jail_fail(err, "cgroup", "cannot enter the sandbox's cgroups");
    return 0;
}

static int enter_sandbox(struct jail *jail, int link_fd, struct sbx_error *err)
{
    int fds[LINK_FDS_MAX];
    size_t count = 0;
    if (link_receive(link_fd, INIT_GO, fds, &count) < 0 || count < GO_ENTRIES)
        return lost_monitor(err);
    int netns_fd = jail->privileged ? fds[GO_NETNS] : jail->shared->netns_fd;
    jail->has_cgroup |= count > GO_ENTRIES;
    cleanup_fd int limits_fd = ids_open_limits(jail);
    int code = enter_cgroups(fds + GO_ENTRIES, count - GO_ENTRIES, err);
    if (code == 0 && jail->spec.network != SBX_NETWORK_HOST)
        code = enter_network(jail, netns_fd, err);
    prefer_agent(jail);
    if (code == 0)
        code = become_inside(jail, limits_fd, err);
    if (code == 0 && place_fds(fds, link_fd) < 0)
        code = jail_fail(err, "agent", "cannot place the agent's descriptors");
    return code;
}

static int run(struct jail *jail, int link_fd, struct sbx_error *err)
{
    leave_realtime();
    int code = jail->privileged ? build_privileged(jail, link_fd, err)
                                : build_unprivileged(jail, link_fd, err);
    cleanup_fd int agent_fd = fcntl(jail->agent_fd, F_DUPFD_CLOEXEC, 16);
    if (code == 0)
        share_disk(link_fd);
    if (code == 0)
        code = mounts_enter(jail, err);
    if (code == 0)
        code = enter_sandbox(jail, link_fd, err);
    if (code == 0)
        code = confine(jail, err);
    return code < 0 ? code : run_agent(agent_fd, err);
}

static int begin(struct jail *jail, int link_fd)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(jail->link_fd); // ours ends when the monitor's copy does, whatever becomes of the signal
    _exit(run(jail, link_fd, &jail->shared->init_error) < 0);
}

struct within {
    struct jail jail;
    int link_fd;
};

static int begin_within(void *payload)
{
    struct within *within = payload;
    return begin(&within->jail, within->link_fd);
}

// In the monitor's memory, but for its own struct jail, until it is the agent: execve(2). Memory
// alone: nothing of the sandbox's can reach it before.
static pid_t clone_within(struct jail *jail, int link_fd, char *stack_end)
{
    struct within *within = (struct within *)(void *)(stack_end - sizeof(*within));
    jail->init_within = 1;
    *within = (struct within){*jail, link_fd};
    within->jail.outer = jail;
    return clone(begin_within, within,
                 NAMESPACES | CLONE_VM | CLONE_PIDFD | CLONE_CHILD_CLEARTID | SIGCHLD, within,
                 &jail->init_pidfd, NULL, &jail->init_within);
}

// A copy of us. Born in a cgroup of version 2, if it has one.
static pid_t clone_apart(struct jail *jail, int link_fd, int cgroup_fd)
{
    struct clone_args args = {
        .flags = NAMESPACES | CLONE_PIDFD | (jail->privileged ? 0 : CLONE_NEWUSER) |
                 (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0),
        .cgroup = cgroup_fd >= 0 ? (uint64_t)cgroup_fd : 0,
        .pidfd = (uint64_t)(uintptr_t)&jail->init_pidfd,
        .exit_signal = SIGCHLD,
    };
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0) {
        jail->has_cgroup = cgroup_fd >= 0;
        begin(jail, link_fd);
    }
    return pid;
}

// Its mount namespace is a copy of the one it is made in.
static pid_t clone_from_bare(struct jail *jail, int link_fd, int cgroup_fd)
{
    bool bare = jail->bare.mounts_fd >= 0;
    char *stack_end = lean_guest_stack_end(LEAN_SECOND);
    if (bare && bare_enter(&jail->bare) < 0)
        return -1;
    // Without real root the ids it takes on would be our memory's too: prctl(2), PR_SET_DUMPABLE.
    pid_t pid = stack_end && jail->privileged && cgroup_fd < 0
                    ? clone_within(jail, link_fd, stack_end)
                    : clone_apart(jail, link_fd, cgroup_fd);
    int saved = errno;
    if (bare && bare_leave(&jail->bare, jail->dir_fd) < 0)
        return -1; // init ends with us
    if (pid > 0)
        bare_close(&jail->bare);
    errno = saved;
    return pid;
}

pid_t init_start(struct jail *jail, int link_fd, int cgroup_fd, struct sbx_error *err)
{
    pid_t pid = clone_from_bare(jail, link_fd, cgroup_fd);
    if (pid < 0)
        return jail_fail(err, "user namespace", "cannot make the sandbox's namespaces");
    return pid;
}

bool init_is_within(const struct jail *jail)
{
    return __atomic_load_n(&jail->init_within, __ATOMIC_ACQUIRE) != 0;
}

int init_settle(struct jail *jail, struct sbx_error *err)
{
    int fds[LINK_FDS_MAX];
    size_t count;
    return link_receive(jail->link_fd, INIT_WAITS, fds, &count) < 0 ? lost_init(err) : 0;
}

int init_tell(struct jail *jail, struct sbx_error *err)
{
    int fds[1 + JAIL_LAYERS_MAX] = {jail->agent_fd};
    size_t count = 0;
    int code = mounts_prepare(jail, fds + 1, &count, err);
    if (code < 0)
        return code;
    size_t size = jail->init_within ? 0 : jail->request_size; // it sees ours
    link_make_room(jail->link_fd, size);
    int failed = link_send_data(jail->link_fd, INIT_SPEC, jail->request, size, fds, 1 + count);
    if (failed)
        code = lost_init(err);
    for (size_t i = 1; i <= count; i++)
        close(fds[i]);
    return code;
}
