// SPDX-License-Identifier: Apache-2.0
// The jail's program: from the library's request to the end of the sandbox. See jail.h. Layer:
// jail.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/lean.h"
#include "jail/forked.h"
#include "jail/forward.h"
#include "jail/ids.h"
#include "jail/init.h"
#include "jail/jail.h"
#include "jail/link.h"
#include "jail/monitor.h"
#include "jail/mounts.h"
#include "jail/network.h"
#include "jail/spare.h"
#include "wire/agent_msg.h"
#include "wire/frame.h"

int jail_fail(struct sbx_error *err, const char *stage, const char *format, ...)
{
    int saved = errno;
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    int code = saved == ENOMEM ? SBX_ERR_NOMEM : saved == ENOSPC ? SBX_ERR_QUOTA : SBX_ERR_SETUP;
    err_sys(err, code, saved, "%s", text);
    err_origin(err, stage);
    return code;
}

static void quiet_stdio(void)
{
    int fd = open("/dev/null", O_RDWR);
    for (int target = 0; target <= 2; target++)
        if (fd >= 0 && fd != target)
            dup2(fd, target);
    if (fd > 2)
        close(fd);
}

static bool same_kind(uint32_t network, uint32_t other)
{
    return (network == SBX_NETWORK_NONE) == (other == SBX_NETWORK_NONE) &&
           (network == SBX_NETWORK_HOST) == (other == SBX_NETWORK_HOST);
}

// The request: box_spec with the directory and the agent's end of the first connection.
static int receive_request(struct jail *jail, struct frame_in *in, struct sbx_error *err)
{
    struct frame frame;
    char *fitting;
    uint32_t network = jail->spec.network;
    struct pollfd boot = {.fd = jail->boot_fd, .events = POLLIN};
    // To find out what to ask for may take the library minutes, of a registry.
    while (jail->boot_fd >= 0 && poll(&boot, 1, -1) < 0 && errno == EINTR)
        ;
    int code = frame_receive(jail->boot_fd, in, deadline_in(10000), &frame, err);
    if (code < 0)
        return code;
    // It stays for good, in a buffer for much more.
    fitting = realloc(in->buffer.data, in->buffer.size);
    if (frame.type != BOX_REQUEST || frame.fd_count != 2 || fitting != in->buffer.data ||
        box_spec_get(frame.payload, frame.size, &jail->spec) < 0 ||
        !same_kind(network, jail->spec.network))
        return err_set(err, SBX_ERR_BUG, "the jail's request is malformed");
    jail->request = frame.payload;
    jail->request_size = frame.size;
    jail->dir_fd = frame.fds[0];
    jail->first_fd = frame.fds[1];
    return 0;
}

// Full rights over this machine's mounts and ids, not just uid 0 in somebody's container.
static bool really_root(void)
{
    char text[64];
    if (geteuid() != 0 || fd_read_file(AT_FDCWD, "/proc/self/uid_map", text, sizeof(text)) < 0)
        return false;
    unsigned inside, outside, count;
    if (sscanf(text, "%u %u %u", &inside, &outside, &count) != 3 || count != 4294967295u)
        return false;
    return prctl(PR_CAPBSET_READ, 21 /* CAP_SYS_ADMIN */) == 1;
}

// Makes the memory that is shared, and looks at our rights.
static int begin(struct jail *jail, struct sbx_error *err)
{
    static char place[4096] __attribute__((aligned(4096))); // within our image: lean.h
    void *shared = mmap(place, sizeof(place), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (shared == MAP_FAILED)
        return jail_fail(err, "memory", "cannot share memory");
    jail->shared = shared;
    jail->shared->netns_fd = NETNS_NONE;
    jail->shared->device_fd = -1;
    if (!jail->copied)
        jail->privileged = really_root();
    if (!jail->privileged)
        bare_close(&jail->bare); // the root of a user namespace: it needs this machine's mounts
    return 0;
}

static int prepare(struct jail *jail, struct sbx_error *err)
{
    if (fchdir(jail->dir_fd) < 0 || !getcwd(jail->dir, sizeof(jail->dir)))
        return jail_fail(err, "directory", "cannot enter the sandbox's directory");
    jail->agent_fd = open(jail->spec.agent, O_RDONLY | O_CLOEXEC);
    if (jail->agent_fd < 0)
        return jail_fail(err, "agent", "cannot open '%s'", jail->spec.agent);
    return 0;
}

static int listen_at(const char *name, int type, struct sbx_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
    cleanup_fd int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 128) < 0)
        return jail_fail(err, "directory", "cannot listen on '%s'", name);
    return steal_fd(&fd);
}

static int write_record(const char *name, const void *data, size_t size, struct sbx_error *err)
{
    cleanup_fd int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || fd_write_full(fd, data, size) < 0)
        return jail_fail(err, "directory", "cannot write the record '%s'", name);
    return 0;
}

// Records of the sandbox's directory. `spec` comes last: who sees it sees a complete sandbox.
static int write_records(struct jail *jail, struct sbx_error *err)
{
    cleanup_buf struct buf spec = BUF_INIT(BOX_SPEC_MAX);
    box_spec_put(&spec, &jail->spec);
    if (spec.failed)
        return err_nomem(err);
    int code = write_record(BOX_FILE_SPEC ".new", spec.data, spec.size, err);
    if (code == 0 && rename(BOX_FILE_SPEC ".new", BOX_FILE_SPEC) < 0)
        code = jail_fail(err, "directory", "cannot write the record '%s'", BOX_FILE_SPEC);
    return code;
}

// A guest mounts by itself what the jail gives to QEMU; paths of this machine are not its business.
// That there are no more than that, mounts_prepare() saw to.
static size_t list_mounts(const struct box_spec *spec, struct sbx_pair ret_mounts[JAIL_LAYERS_MAX])
{
    size_t count = spec->machine[0] ? spec->mount_count : 0;
    for (size_t i = 0; i < count; i++)
        ret_mounts[i] =
            (struct sbx_pair){spec->mounts[i].name, spec->mounts[i].value[0] == 'w' ? "w" : "r"};
    return count;
}

static int send_config(struct jail *jail, struct sbx_error *err)
{
    const struct box_spec *spec = &jail->spec;
    struct sbx_pair mounts[JAIL_LAYERS_MAX];
    struct agent_config config = {.user = spec->user,
                                  .workdir = spec->workdir,
                                  .env = spec->env,
                                  .env_count = spec->env_count,
                                  .machine = spec->machine,
                                  .mounts = mounts,
                                  .mount_count = list_mounts(spec, mounts)};
    cleanup_buf struct buf data = BUF_INIT(BOX_SPEC_MAX);
    agent_config_put(&data, &config);
    link_make_room(jail->link_fd, data.size);
    if (data.failed)
        return err_nomem(err);
    if (send(jail->link_fd, data.data, data.size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return jail_fail(err, "agent", "cannot configure the agent");
    return 0;
}

// Without real root init makes the network itself and hands over the device.
static int receive_device(struct jail *jail, struct sbx_error *err)
{
    int fds[LINK_FDS_MAX];
    size_t count;
    if (link_receive(jail->link_fd, INIT_NETWORK, fds, &count) < 0)
        return err_set(err, SBX_ERR_SETUP, "the sandbox's first process ended early");
    jail->device_fd = count > 0 ? fds[0] : -1;
    return 0;
}

static int join_network(struct jail *jail, struct sbx_error *err)
{
    if (jail->spec.network == SBX_NETWORK_HOST)
        return 0;
    if (!jail->privileged)
        return receive_device(jail, err);
    if (!jail->net_pid)
        return 0;
    int code = network_join(jail, jail->net_pid, err);
    jail->net_pid = 0;
    jail->device_fd = jail->shared->device_fd;
    return code;
}

/*
 * Init may enter and become the agent, which waits for its configuration: that comes when all is
 * ready. The network needs no more than to exist for it, its devices are made meanwhile.
 */
static int release_init(struct jail *jail, const struct cgroup *cgroup, struct sbx_error *err)
{
    if (jail->privileged && jail->net_pid)
        network_await_namespace(jail, jail->net_pid);
    int netns_fd = jail->shared->netns_fd;
    if (jail->privileged && jail->net_pid && netns_fd < 0)
        return join_network(jail, err);
    bool ours = jail->privileged && netns_fd >= 0; // else the number is one of init's own table
    int fds[GO_ENTRIES + CGROUP_LIMITS] = {jail->listen_fd, jail->first_fd,
                                           ours ? netns_fd : jail->listen_fd};
    int count = cgroup_open_entries(cgroup, fds + GO_ENTRIES, err);
    if (count < 0)
        return count;
    int failed = link_send(jail->link_fd, INIT_GO, fds, GO_ENTRIES + (size_t)count);
    for (int i = 0; i < count; i++)
        close(fds[GO_ENTRIES + i]);
    if (failed)
        return jail_fail(err, "init", "the sandbox's first process is gone");
    int *const done[] = {&jail->listen_fd, &jail->first_fd, &jail->agent_fd, &jail->userns_fd};
    for (size_t i = 0; i < ARRAY_SIZE(done); i++)
        if (*done[i] >= 0)
            close(steal_fd(done[i]));
    if (ours)
        close(netns_fd);
    return 0;
}

static int open_ports(struct monitor *monitor, struct sbx_error *err)
{
    const struct box_spec *spec = &monitor->jail->spec;
    int code = 0;
    for (size_t i = 0; i < spec->port_count && code >= 0; i++) {
        unsigned port = 0, host_port = 0;
        if (sscanf(spec->ports[i], "%u:%u", &port, &host_port) != 2 || port > 65535 ||
            host_port > 65535)
            return err_set(err, SBX_ERR_INVALID, "no such port: '%s'", spec->ports[i]);
        code = forward_add(monitor, (uint16_t)port, (uint16_t)host_port, err);
    }
    if (code > 0)
        monitor_save_state(monitor);
    return code < 0 ? code : 0;
}

static int start_init(struct jail *jail, const struct cgroup *cgroup, struct sbx_error *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return jail_fail(err, "init", "cannot make a socket pair");
    jail->link_fd = ends[0];
    pid_t pid = init_start(jail, ends[1], cgroup->v2 ? cgroup->fds[CGROUP_MEMORY] : -1, err);
    close(ends[1]);
    if (pid < 0)
        return pid;
    jail->init_pid = pid;
    if (!jail->ids.sub_count)
        return 0;
    int code = ids_map_subordinate(jail, pid, err);
    if (code == 0 && link_send(jail->link_fd, INIT_MAPPED, NULL, 0) < 0)
        code = jail_fail(err, "init", "the sandbox's first process is gone");
    return code;
}

// With real root: the sandbox's user namespace, in which the network process (if any) is at work.
static int start_namespace(struct jail *jail, struct sbx_error *err)
{
    bool network = jail->spec.network != SBX_NETWORK_HOST;
    pid_t pid = network ? network_start(jail, err) : ids_fork_holder(jail);
    if (pid < 0)
        return network ? pid : jail_fail(err, "user namespace", "cannot make a user namespace");
    int code = jail->userns_fd = ids_open_namespace(pid, err);
    if (code >= 0 && !(network && jail->copied))
        code = ids_map(jail, pid, err);
    if (network)
        jail->net_pid = pid;
    else
        ids_kill_holder(pid);
    return code < 0 ? code : 0;
}

/*
 * As long as the user namespace has no ids, the kernel's objects of the network belong to the
 * machine's root. Else each of their hundred files in sysfs would have memory for its owner. One
 * sandbox alone is ready sooner if it has ids at once.
 */
static int map_late(struct jail *jail, struct sbx_error *err)
{
    if (!jail->net_pid || !jail->copied)
        return 0;
    if (jail->spare)
        network_await_end(jail->net_pid);
    else
        network_await_namespace(jail, jail->net_pid);
    return jail->shared->netns_fd == NETNS_FAILED ? join_network(jail, err)
                                                  : ids_map(jail, jail->net_pid, err);
}

static int settle(struct jail *jail, struct sbx_error *err)
{
    int code = map_late(jail, err);
    if (code == 0)
        code = join_network(jail, err);
    return code == 0 && jail->init_pid ? init_settle(jail, err) : code;
}

// What needs no request. In version 2 of cgroups init is born in its own, which needs one: to enter
// one later can take many milliseconds.
static int build_ahead(struct monitor *monitor, struct sbx_error *err)
{
    struct jail *jail = monitor->jail;
    int code = begin(jail, err);
    if (code < 0 || !jail->privileged)
        return code < 0 || !jail->spare ? code : err_set(err, SBX_ERR_SETUP, "no spares");
    code = ids_choose(jail, err);
    if (code == 0)
        code = start_namespace(jail, err);
    if (code == 0 && !monitor->cgroup.unified)
        code = start_init(jail, &monitor->cgroup, err);
    return code == 0 && jail->spare ? settle(jail, err) : code;
}

// Init gets its request. The groups of version 1 can be made beside its work.
static int start_root(struct monitor *monitor, struct sbx_error *err)
{
    struct jail *jail = monitor->jail;
    // One of many has no ids before its network is there: meanwhile the groups.
    bool first = monitor->cgroup.unified || (jail->copied && !jail->spare);
    int code = jail->privileged ? 0 : ids_choose(jail, err);
    if (code == 0 && first)
        code = cgroup_create(&monitor->cgroup, jail, err);
    if (code == 0 && !jail->init_pid)
        code = start_init(jail, &monitor->cgroup, err);
    if (code == 0 && jail->privileged)
        code = map_late(jail, err);
    if (code == 0 && jail->privileged)
        code = init_tell(jail, err);
    if (code == 0 && !first)
        code = cgroup_create(&monitor->cgroup, jail, err);
    return code;
}

static int build(struct monitor *monitor, struct sbx_error *err)
{
    struct jail *jail = monitor->jail;
    int code = prepare(jail, err);
    if (code == 0)
        code = start_root(monitor, err);
    if (code == 0)
        code = jail->listen_fd = listen_at(BOX_FILE_AGENT, SOCK_STREAM, err);
    if (code >= 0)
        code = jail->control_fd = listen_at(BOX_FILE_CONTROL, SOCK_SEQPACKET, err);
    if (code >= 0)
        code = write_records(jail, err);
    if (code == 0)
        code = open_ports(monitor, err);
    if (code == 0)
        code = release_init(jail, &monitor->cgroup, err);
    if (code == 0)
        code = join_network(jail, err);
    if (code == 0)
        code = send_config(jail, err);
    if (code == 0 && monitor_set_ttl(monitor, jail->spec.ttl_ms) < 0)
        code = jail_fail(err, "timer", "cannot set the time to live");
    return code;
}

// Says why there is no sandbox, now that nothing of it is left. Init's own error is the deeper
// cause: the monitor only saw it end.
static void report_failure(struct jail *jail, struct sbx_error *err)
{
    if (jail->shared && jail->shared->init_error.code)
        *err = jail->shared->init_error;
    if (jail->boot_fd >= 0)
        (void)frame_send(jail->boot_fd, BOX_FAILED, err, sizeof(*err), NULL, 0, deadline_in(5000),
                         NULL);
}

// Up to the living sandbox: true if there is one. A failure ahead of the request is told when that
// is there: with it comes the directory, which must go too.
static bool start(struct monitor *monitor, struct frame_in *in, int *ret_code,
                  struct sbx_error *err)
{
    struct jail *jail = monitor->jail;
    struct sbx_error lost = {0};
    int code = build_ahead(monitor, err);
    if (jail->spare && (code < 0 || !spare_wait(jail)))
        return false; // nobody knows it yet
    if (receive_request(jail, in, &lost) < 0)
        return false; // nobody is there
    prctl(PR_SET_NAME, "sandboxes-monit");
    if (jail->spare)
        spare_wake(jail);
    if (code == 0)
        code = build(monitor, err);
    prctl(PR_SET_DUMPABLE, 0); // the environment of its commands is in our memory
    *ret_code = code;
    return code == 0;
}

#define FORK_TRIES 500

static int finish(struct monitor *monitor, int code, struct sbx_error *err)
{
    struct jail *jail = monitor->jail;
    monitor_clean(monitor);
    bool failed = code < 0 || (jail->shared && jail->shared->init_error.code);
    bool gone = forked_remove(&jail->spec, 1);
    // Nothing is left: say so now. Our own end waits for the kernel to take the network device
    // apart.
    monitor_part(monitor);
    if (failed)
        report_failure(jail, err);
    if (jail->boot_fd >= 0)
        close(jail->boot_fd);
    if (!gone)
        (void)forked_remove(&jail->spec, FORK_TRIES);
    return failed;
}

// These two by themselves, that what they need of the stack is not kept for the sandbox's life.
static __attribute__((noinline)) bool raise_sandbox(struct monitor *monitor, struct frame_in *in,
                                                    int *ret_status)
{
    struct sbx_error err = {0};
    int code = 0;
    bool lives = start(monitor, in, &code, &err);
    if (!lives)
        *ret_status = finish(monitor, code, &err);
    return lives;
}

static __attribute__((noinline)) int end_sandbox(struct monitor *monitor)
{
    struct sbx_error err = {0};
    return finish(monitor, 0, &err);
}

struct arguments {
    uint32_t network; // enum sbx_network: the kind of the sandbox to come
    bool spares;      // be the helper that makes spares
    pid_t starter;
};

static int run_monitor(void *payload)
{
    const struct arguments *arguments = payload;
    struct jail jail = {.bare = BARE_INIT,
                        .dir_fd = -1,
                        .boot_fd = -1,
                        .first_fd = -1,
                        .link_fd = -1,
                        .listen_fd = -1,
                        .control_fd = -1,
                        .agent_fd = -1,
                        .userns_fd = -1,
                        .sysctl_fd = -1,
                        .resolv_fd = -1,
                        .disk_fd = -1,
                        .device_fd = -1,
                        .init_pidfd = -1};
    struct monitor monitor;
    struct frame_in in;
    jail.spec.network = arguments->network;
    jail.starter = arguments->starter;
    setsid();
    quiet_stdio();
    frame_in_init(&in);
    monitor_init(&monitor, &jail);
    jail.boot_fd = fcntl(BOOT_FD, F_DUPFD_CLOEXEC, 16);
    if (arguments->spares) {
        jail.copied = true;
        jail.privileged = really_root();
        cgroup_open_groups(&monitor.cgroup);
    }
    if (arguments->spares && !spare_fork(&jail))
        return 1;
    close(BOOT_FD);
    int status = 0;
    if (!raise_sandbox(&monitor, &in, &status))
        return status;
    monitor_watch(&monitor);
    return end_sandbox(&monitor);
}

// NETWORK, or NETWORK "spares".
static bool read_arguments(int argc, char **argv, struct arguments *ret_arguments)
{
    char *end = NULL;
    if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "spares") != 0))
        return false;
    ret_arguments->network = (uint32_t)strtoul(argv[1], &end, 10);
    ret_arguments->spares = argc == 3;
    return *argv[1] && !*end;
}

// Leaves the library's family: the starter ends at once, the monitor goes on in its memory, which
// spares copying it. The starter must not touch that memory any more.
int main(int argc, char **argv)
{
    static struct arguments arguments;
    lean_begin(argv);
    if (!read_arguments(argc, argv, &arguments))
        return 2;
    arguments.starter = getpid();
    syscall(SYS_close_range, BOOT_FD + 1, ~0u, 0);
    umask(022);
    // What our caller ignores every command would ignore.
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a record past the caller's file size limit is an error, not the end
    int pid = clone(run_monitor, lean_stack_end(), CLONE_VM | SIGCHLD, &arguments);
    _exit(pid < 0);
}
