// SPDX-License-Identifier: Apache-2.0
// Process 1 of a guest. See guest.h. Layer: vmm.
#include "vmm/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "wire/agent_msg.h"

#define DEVICES_MAX 8
#define PORT_WAIT_MS 10000
#define AGENT_WAIT_NS 5000000
#define REST_NS 50000000

char guest_error[200];

struct guest {
    struct mux mux;
    int first_fd; // our end of the agent's first connection; -1: given away
    int link_fd;  // the agent's monitor
    pid_t agent;
    bool configured, failed;
    bool rehearses, over;
};

int guest_fail(const char *what)
{
    snprintf(guest_error, sizeof(guest_error), "%s: %s", what, strerror(errno));
    return -1;
}

// The agent's socket has its name in a root that this process alone still reaches, by its
// directory.
static struct sockaddr_un agent_address(socklen_t *ret_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "agent.socket"};
    *ret_size = sizeof(address);
    return address;
}

static int connect_agent(void *user)
{
    struct guest *guest = user;
    if (!guest->configured)
        return -1;
    if (guest->first_fd >= 0)
        return steal_fd(&guest->first_fd);
    socklen_t size;
    struct sockaddr_un address = agent_address(&size);
    cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, size) < 0)
        return -1;
    return steal_fd(&fd);
}

// What the agent finds at its start; see agent_msg.h.
struct ends {
    int listen, first, monitor;
};

static int open_ends(struct guest *guest, struct ends *ret_ends)
{
    int first[2], link[2];
    socklen_t size;
    struct sockaddr_un address = agent_address(&size);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) < 0 ||
        listen(listener, 128) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, first) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) < 0)
        return guest_fail("cannot make the agent's sockets");
    guest->first_fd = first[0];
    guest->link_fd = link[0];
    *ret_ends = (struct ends){listener, first[1], link[1]};
    return 0;
}

static int place_ends(const struct ends *ends)
{
    const int sources[] = {ends->listen, ends->first, ends->monitor};
    const int targets[] = {AGENT_FD_LISTEN, AGENT_FD_FIRST, AGENT_FD_MONITOR};
    int high[ARRAY_SIZE(targets)];
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
        if ((high[i] = fcntl(sources[i], F_DUPFD_CLOEXEC, 32)) < 0)
            return -1;
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
        if (dup2(high[i], targets[i]) < 0)
            return -1;
    return 0;
}

// As in a sandbox in namespaces: the kernel below is another one, what is allowed is the same.
static int confine(void)
{
    if (caps_keep_inherited(CAPS_ROOT) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return guest_fail("cannot drop privileges");
    return 0;
}

static int run_agent(const struct ends *ends, int program)
{
    static const char *const argv[] = {"sandboxes-agent", NULL};
    static const char *const envp[] = {NULL};
    int high = fcntl(program, F_DUPFD_CLOEXEC, 32);
    if (high < 0 || guest_mount_own() < 0 || place_ends(ends) < 0 || confine() < 0)
        return -1;
    (void)setpriority(PRIO_PROCESS, 0, -20); // commands return to 0: agent/rights.c
    syscall(SYS_execveat, high, "", argv, envp, AT_EMPTY_PATH);
    return guest_fail("cannot start the agent");
}

static void make_group(void)
{
    mkdir("/group", 0755);
    if (mount("cgroup2", "/group", "cgroup2", 0, NULL) < 0)
        return; // a kernel without: the number of its processes is the guest's own affair
    (void)fd_write_file(AT_FDCWD, "/group/cgroup.subtree_control", "+pids");
    rmdir("/group/box"); // of a rehearsal, with its limit
    mkdir("/group/box", 0755);
}

static void limit_processes(const struct guest_config *config)
{
    char text[16];
    if (!config->processes)
        return;
    snprintf(text, sizeof(text), "%u", config->processes + 1); // the agent is one of them
    (void)fd_write_file(AT_FDCWD, "/group/box/pids.max", text);
}

// It waits for its configuration, in a root that will be replaced.
static int start_agent(struct guest *guest, int program)
{
    struct ends ends = {-1, -1, -1};
    int running[2]; // closes when it is executed, or fails
    char none;
    if (open_ends(guest, &ends) < 0)
        return -1;
    if (fd_pipe(running) < 0)
        return guest_fail("cannot make a pipe");
    int high = fcntl(running[1], F_DUPFD_CLOEXEC, 32); // where place_ends() puts nothing
    close(running[1]);
    make_group();
    guest->agent =
        (pid_t)syscall(SYS_clone, SIGCHLD | CLONE_NEWPID | CLONE_NEWCGROUP, NULL, NULL, NULL, NULL);
    if (guest->agent < 0)
        return guest_fail("cannot make the agent's namespaces");
    if (guest->agent == 0) {
        (void)fd_write_file(AT_FDCWD, "/group/box/cgroup.procs", "0");
        run_agent(&ends, program);
        mux_send(&guest->mux, GUEST_FAILED, guest_error, strlen(guest_error) + 1);
        mux_turn(&guest->mux, NULL, 0, 0);
        _exit(1);
    }
    close(ends.listen);
    close(ends.first);
    close(ends.monitor);
    close(high);
    (void)fd_read_full(running[0], &none, sizeof(none));
    close(running[0]);
    return 0;
}

// All that a saved guest has done already.
static int prepare(struct guest *guest)
{
    const struct timespec pause = {0, AGENT_WAIT_NS};
    cleanup_fd int program = open("/agent", O_RDONLY | O_CLOEXEC);
    if (program < 0)
        return guest_fail("cannot open the agent's program");
    if (guest_leave_disk() < 0 || start_agent(guest, program) < 0)
        return -1;
    nanosleep(&pause, NULL); // it goes before us, for its priority, until it waits too
    return 0;
}

static int configure_agent(struct guest *guest, const struct guest_config *config)
{
    const struct rlimit files = {config->open_files, config->open_files};
    int room = (int)config->agent_size * 2;
    limit_processes(config);
    if (config->open_files && prlimit(guest->agent, RLIMIT_NOFILE, &files, NULL) < 0)
        return guest_fail("cannot limit open files");
    if (guest_enter_root(config) < 0)
        return -1;
    if (config->agent_size > 65536)
        (void)setsockopt(guest->link_fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
    if (send(guest->link_fd, config->agent, config->agent_size, MSG_NOSIGNAL) < 0)
        return guest_fail("cannot configure the agent");
    return 0;
}

static void report_failure(struct guest *guest)
{
    mux_send(&guest->mux, GUEST_FAILED, guest_error, strlen(guest_error) + 1);
    guest->failed = true;
}

static bool take_message(void *user, uint32_t type, const void *payload, size_t size)
{
    struct guest *guest = user;
    struct guest_config config;
    if (type == GUEST_OVER && guest->rehearses)
        return guest->over = true;
    if (type != GUEST_CONFIG || guest->configured || guest_config_get(payload, size, &config) < 0)
        return false;
    guest->configured = true;
    if (guest_become(&config) < 0 || configure_agent(guest, &config) < 0)
        report_failure(guest);
    else
        mux_send(&guest->mux, GUEST_READY, NULL, 0);
    return true;
}

// Port 1 of the one device that has ports; which number that has, its neighbours decide.
static int try_port(void)
{
    for (int i = 0; i < DEVICES_MAX; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/dev/vport%dp1", i);
        int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (fd >= 0)
            return fd;
    }
    return -1;
}

// It appears with its device.
static int open_port(void)
{
    const struct timespec pause = {0, 1000000};
    int fd = try_port();
    for (int i = 0; fd < 0 && i < PORT_WAIT_MS; i++) {
        nanosleep(&pause, NULL);
        fd = try_port();
    }
    return fd;
}

static void end(void)
{
    sync();
    reboot(RB_AUTOBOOT); // QEMU is told to end instead
    for (;;)
        pause();
}

static void greet(struct guest *guest)
{
    cleanup_buf struct buf hello = BUF_INIT(16);
    wire_put_u32(&hello, GUEST_PROTOCOL);
    mux_send(&guest->mux, GUEST_HELLO, hello.data, hello.size);
}

static void play(int port, bool rehearses, int network)
{
    struct guest guest = {.first_fd = -1, .link_fd = -1, .rehearses = rehearses};
    mux_init(&guest.mux, port);
    guest.mux.user = &guest;
    guest.mux.open = connect_agent;
    guest.mux.message = take_message;
    if (network < 0 || prepare(&guest) < 0)
        report_failure(&guest);
    else
        greet(&guest);
    for (bool ended = false; !ended && !guest.over;) {
        // Its end of the link closes when the agent ends, and with it all processes of the sandbox.
        struct pollfd link = {.fd = guest.link_fd, .events = POLLIN};
        if (mux_turn(&guest.mux, &link, 1, -1) < 0)
            break;
        ended = link.revents || (guest.failed && guest.mux.out.size == 0);
    }
    if (!guest.over)
        end();
    kill(guest.agent, SIGKILL);
    waitpid(guest.agent, NULL, 0);
}

/*
 * A guest that will be saved is a sandbox once before, in namespaces of its own: what copies do,
 * mounts and a first command, an emulated processor has translated then, and nothing else is left
 * of it.
 */
static void rehearse(int port, int network)
{
    const struct timespec pause = {0, REST_NS};
    pid_t pid =
        (pid_t)syscall(SYS_clone, SIGCHLD | CLONE_NEWNS | CLONE_NEWUTS, NULL, NULL, NULL, NULL);
    if (pid < 0)
        return;
    if (pid == 0) {
        play(port, true, network);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    nanosleep(&pause, NULL); // its mounts go when it has gone
}

int main(int argc, char **argv)
{
    mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, NULL);
    signal(SIGPIPE, SIG_IGN);
    guest_load_modules();
    int port = open_port();
    if (port < 0)
        end();
    int network = guest_set_network();
    for (int i = 1; i < argc; i++) // what the kernel made nothing of
        if (strcmp(argv[i], "rehearse") == 0)
            rehearse(port, network);
    play(port, false, network);
    return 1;
}
