// SPDX-License-Identifier: Apache-2.0
/*
 * sandboxes-agent: process 1 of every sandbox. Starts commands, carries their streams, reaps,
 * serves files. Seccomp, namespaces, mounts and the bounding set are in force before it starts. It
 * ends, and the kernel ends the sandbox with it, when the monitor's socket does. Layer: agent.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/warm.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/lean.h"

#define ACCEPT_BATCH 16
#define LISTEN_PAUSE_MS 50

// Without descriptors or memory for another connection, new ones wait in the socket's queue for a
// while.
static void pause_listening(struct agent *agent)
{
    watch_set(agent, &agent->listen, 0);
    agent->listen_again_ms = clock_boot_ms() + LISTEN_PAUSE_MS;
    loop_wake_at(agent, agent->listen_again_ms);
}

static void resume_listening(struct agent *agent)
{
    if (!agent->listen_again_ms)
        return;
    if (clock_boot_ms() < agent->listen_again_ms || watch_set(agent, &agent->listen, EPOLLIN) < 0)
        loop_wake_at(agent, agent->listen_again_ms);
    else
        agent->listen_again_ms = 0;
}

static void refuse_conn(int fd)
{
    struct sbx_error error;
    cleanup_buf struct buf payload = BUF_INIT(4096);
    err_set(&error, SBX_ERR_QUOTA, "the sandbox has %d connections already", AGENT_CONNS_MAX);
    agent_failed_put(&payload, &error);
    if (!payload.failed)
        frame_send(fd, AGENT_FAILED, payload.data, payload.size, NULL, 0,
                   (struct deadline){.at_ms = 0}, NULL);
    close(fd);
}

static void listen_ready(struct agent *agent, struct watch *watch, uint32_t events)
{
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                pause_listening(agent);
            return;
        }
        if (agent->conns.count >= AGENT_CONNS_MAX)
            refuse_conn(fd);
        else
            conn_open(agent, fd);
    }
}

static void signals_ready(struct agent *agent, struct watch *watch, uint32_t events)
{
    procs_reap(agent);
}

static void monitor_ready(struct agent *agent, struct watch *watch, uint32_t events)
{
    char byte;
    ssize_t got = recv(watch->fd, &byte, 1, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        _exit(0);
}

// Handlers that whoever started us had ignored would stay ignored in every command.
static void reset_signals(void)
{
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
}

static int block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGPIPE);
    return sigprocmask(SIG_SETMASK, &set, NULL);
}

// Whatever the outside had there stays outside; and descriptors of commands are always above them.
static int replace_standard_fds(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        null = open("/", O_PATH | O_CLOEXEC);
    for (int fd = 0; fd < 3; fd++)
        if (null < 0 || (fd != null && dup2(null, fd) < 0))
            return -1;
    return 0; // a copy above them is closed with all others
}

// We may run before others, they may not: sched(7). Raw, as musl's calls only say that they are not
// POSIX's. Where this fails, rights.c gives the preference up in each child.
static bool keep_preference(void)
{
    struct sched_param normal = {0};
    return syscall(SYS_sched_setscheduler, 0, SCHED_OTHER | SCHED_RESET_ON_FORK, &normal) == 0;
}

static int set_up_process(bool ready)
{
    // Nobody inside may look into this process: /proc/1, ptrace(2).
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || replace_standard_fds() < 0)
        return -1;
    syscall(SYS_close_range, AGENT_FD_MONITOR + 1, ~0U, 0);
    for (int fd = AGENT_FD_LISTEN; fd <= AGENT_FD_MONITOR; fd++)
        if (fd_set_cloexec(fd, true) < 0)
            return -1;
    umask(022);
    if (!ready)
        reset_signals();
    return block_signals();
}

static int watch_children(struct agent *agent)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    agent->signals = (struct watch){.ready = signals_ready, .fd = fd};
    return fd < 0 ? -1 : watch_set(agent, &agent->signals, EPOLLIN);
}

static int open_agent(struct agent *agent, bool ready)
{
    agent->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    procs_init(&agent->procs);
    conns_init(&agent->conns);
    if (config_read(AGENT_FD_MONITOR, ready, &agent->config) < 0 || loop_init(&agent->loop) < 0)
        return -1;
    agent->config.keeps_nice = keep_preference();
    agent->listen = (struct watch){.ready = listen_ready, .fd = AGENT_FD_LISTEN};
    agent->monitor = (struct watch){.ready = monitor_ready, .fd = AGENT_FD_MONITOR};
    fd_set_nonblock(AGENT_FD_LISTEN, true);
    if (watch_set(agent, &agent->listen, EPOLLIN) < 0 ||
        watch_set(agent, &agent->monitor, EPOLLIN) < 0 || watch_children(agent) < 0)
        return -1;
    return 0;
}

static int greet(struct agent *agent)
{
    cleanup_buf struct buf payload = BUF_INIT(16);
    fd_set_nonblock(AGENT_FD_FIRST, true);
    struct conn *conn = conn_open(agent, AGENT_FD_FIRST);
    if (!conn)
        return -1;
    wire_put_u32(&payload, AGENT_PROTOCOL);
    conn_send_buf(agent, conn, AGENT_READY, &payload);
    return conn->closed ? -1 : 0; // else our creator would wait for the greeting for ever
}

static _Noreturn void serve(bool ready)
{
    static struct agent agent;
    lean_shed();
    if (set_up_process(ready) < 0 || open_agent(&agent, ready) < 0 || greet(&agent) < 0)
        _exit(1);
    for (;;) {
        loop_turn(&agent);
        procs_tick(&agent);
        conns_sweep(&agent);
        procs_sweep(&agent);
        resume_listening(&agent);
    }
}

static void serve_ready(void)
{
    serve(true);
}

static void serve_any(void)
{
    serve(false);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], AGENT_WARM_ARGUMENT) == 0)
        return warm_main();
    lean_begin(argv);
    lean_run(argc == 2 && strcmp(argv[1], AGENT_READY_ARGUMENT) == 0 ? serve_ready : serve_any);
}
