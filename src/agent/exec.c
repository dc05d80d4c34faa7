// SPDX-License-Identifier: Apache-2.0
// EXEC: from the request to a running command. Layer: agent.
#include <errno.h>
#include <fcntl.h>
#include <sandboxes/process.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/child.h"
#include "agent/env.h"
#include "agent/pty.h"
#include "agent/request.h"
#include "agent/stream.h"
#include "agent/user.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"

#define DIRECT_LOG (256 * 1024) // output on its way to one reader
#define COMMAND_TEXT_MAX 256
#define WHOLE_AWAIT_MS 20 // a timer past the next tick of the kernel's costs nothing

// Everything that one start needs; released when the program runs or could not be started.
struct launch {
    struct agent_exec exec;
    bool whole; // AGENT_EXEC_WHOLE
    const struct user *user;
    const char *cwd;
    struct env env;
    int child_fds[3]; // owned
    int our_out[2];   // owned; -1: none
    int our_in;       // owned; -1: none
};

static void launch_init(struct launch *launch)
{
    *launch = (struct launch){.child_fds = {-1, -1, -1}, .our_out = {-1, -1}, .our_in = -1};
}

static void close_child_fds(struct launch *launch)
{
    for (int i = 0; i < 3; i++)
        if (launch->child_fds[i] >= 0)
            close(steal_fd(&launch->child_fds[i]));
}

static void launch_deinit(struct launch *launch)
{
    close_child_fds(launch);
    for (int i = 0; i < 2; i++)
        cleanup_fd_fn(&launch->our_out[i]);
    cleanup_fd_fn(&launch->our_in);
    env_deinit(&launch->env);
    agent_exec_deinit(&launch->exec);
}

static int make_pipe(int *ret_read, int *ret_write, struct sbx_error *err)
{
    int ends[2];
    if (fd_pipe(ends) < 0)
        return err_sys(err, 0, errno, "cannot make a pipe for the command");
    *ret_read = ends[0];
    *ret_write = ends[1];
    return 0;
}

static int make_pipes(struct launch *launch, struct sbx_error *err)
{
    uint32_t flags = launch->exec.flags;
    int code = flags & SBX_EXEC_STDIN ? make_pipe(&launch->child_fds[0], &launch->our_in, err) : 0;
    if (code == 0)
        code = make_pipe(&launch->our_out[0], &launch->child_fds[1], err);
    if (code == 0 && !(flags & SBX_EXEC_MERGE))
        code = make_pipe(&launch->our_out[1], &launch->child_fds[2], err);
    return code;
}

static int make_terminal(struct launch *launch, struct sbx_error *err)
{
    int master, slave;
    int code = pty_open(launch->exec.rows, launch->exec.cols, launch->user, &master, &slave, err);
    if (code < 0)
        return code;
    launch->our_out[0] = master;
    launch->child_fds[0] = slave;
    launch->our_in = fcntl(master, F_DUPFD_CLOEXEC, 3);
    launch->child_fds[1] = fcntl(slave, F_DUPFD_CLOEXEC, 3);
    launch->child_fds[2] = fcntl(slave, F_DUPFD_CLOEXEC, 3);
    if (launch->our_in < 0 || launch->child_fds[1] < 0 || launch->child_fds[2] < 0)
        return err_sys(err, 0, errno, "cannot copy the terminal's descriptor");
    return 0;
}

static void close_passed(const struct frame *frame)
{
    for (size_t i = 0; i < frame->fd_count; i++)
        close(frame->fds[i]);
}

static bool fds_fit(const struct launch *launch, size_t count)
{
    bool terminal = launch->exec.flags & SBX_EXEC_PTY;
    return count == 0 || ((count == 2 || count == 3) && !terminal);
}

// Those passed are used as they are: what the command writes never passes through here.
static int make_fds(struct launch *launch, const struct frame *frame, struct sbx_error *err)
{
    size_t count = frame->fd_count;
    if (!fds_fit(launch, count)) {
        close_passed(frame);
        return err_set(err, SBX_ERR_INVALID,
                       "a command takes no, two or three descriptors, and none with a terminal");
    }
    if (count) {
        memcpy(launch->child_fds + 3 - count, frame->fds, count * sizeof(frame->fds[0]));
        return 0;
    }
    return launch->exec.flags & SBX_EXEC_PTY ? make_terminal(launch, err) : make_pipes(launch, err);
}

static const char *choose_cwd(const struct agent *agent, const struct launch *launch)
{
    if (launch->exec.cwd[0])
        return launch->exec.cwd;
    return agent->config.workdir[0] ? agent->config.workdir : launch->user->home;
}

static int prepare(struct agent *agent, struct launch *launch, const struct frame *frame,
                   struct sbx_error *err)
{
    int code = make_fds(launch, frame, err);
    if (code == 0 && launch->child_fds[0] < 0 && agent->null_fd < 0)
        code = err_set(err, SBX_ERR_SETUP, "the sandbox began without a /dev/null");
    if (code < 0)
        return code;
    launch->cwd = choose_cwd(agent, launch);
    return env_build(&agent->config, &launch->exec, launch->user, launch->cwd, &launch->env, err);
}

static int clone_failed(int sys_errno, struct sbx_error *err)
{
    err_sys(err, 0, sys_errno, "cannot start another process in the sandbox");
    if (sys_errno != EAGAIN)
        return err->code;
    return err_hint(err,
                    "end some of its processes, or create it with a higher limit of processes");
}

static int start_failed(const struct launch *launch, const struct start *start,
                        struct sbx_error *err)
{
    const char *program = start->argv[0];
    switch (start->step) {
    case START_CLONE:
        return clone_failed(start->sys_errno, err);
    case START_RIGHTS:
        return rights_failed(start->rights_step, start->sys_errno, launch->user, err);
    case START_CWD:
        err_sys(err, SBX_ERR_EXEC, start->sys_errno, "cannot enter the directory '%s'",
                launch->cwd);
        return err_hint(err, "make the directory first, or start the command in another one");
    case START_EXEC:
        return err_sys(err, SBX_ERR_EXEC, start->sys_errno, "cannot run '%s'", program);
    case START_STUCK:
        return err_sys(err, SBX_ERR_TIMEOUT, start->sys_errno, "'%s' did not get started", program);
    default:
        return err_sys(err, 0, start->sys_errno, "cannot prepare the process of '%s'", program);
    }
}

// How long the host can do without STARTED. Its pipes are read meanwhile, and who else wants
// something ends the wait.
static int choose_await_ms(const struct agent *agent, const struct launch *launch)
{
    int due = deadline_poll_ms((struct deadline){.at_ms = agent->loop.next_ms});
    int most = due >= 0 && due < WHOLE_AWAIT_MS ? due : WHOLE_AWAIT_MS;
    uint64_t timeout_ms = launch->exec.timeout_ms;
    if (!launch->whole || launch->our_out[0] >= 0)
        return 0;
    return timeout_ms && timeout_ms < (uint64_t)most ? (int)timeout_ms : most;
}

// Runs the program with what was prepared.
static int launch_start(struct agent *agent, struct launch *launch, uint64_t tag, pid_t *ret_pid,
                        struct sbx_error *err)
{
    static const char *const shell[] = {"/bin/sh", "-c"};
    const char *shell_argv[] = {shell[0], shell[1], launch->exec.shell, NULL};
    const char **argv = launch->exec.argc ? launch->exec.argv : shell_argv;
    struct start start = {
        .argv = (char *const *)(uintptr_t)argv,
        .env = launch->env.vars,
        .env_pwd = launch->env.pwd,
        .path = launch->env.path,
        .cwd = launch->cwd,
        .cwd_may_fail = launch->cwd == launch->user->home,
        .config = &agent->config,
        .user = launch->user,
        .fds = {launch->child_fds[0] < 0 ? agent->null_fd : launch->child_fds[0],
                launch->child_fds[1], launch->child_fds[2]},
        .terminal = launch->exec.flags & SBX_EXEC_PTY,
        .merge = launch->exec.flags & SBX_EXEC_MERGE,
        .await_ms = choose_await_ms(agent, launch),
        .await_fd = agent->loop.fd,
        .tag = tag,
        .memory = &agent->child_memory,
    };
    if (child_start(&start, ret_pid) < 0)
        return start_failed(launch, &start, err);
    return 0;
}

// argv joined for people, cut.
static char *describe(const struct agent_exec *exec)
{
    char text[COMMAND_TEXT_MAX + 1];
    size_t used = 0;
    const char *one[] = {exec->shell};
    const char *const *words = exec->argc ? exec->argv : one;
    size_t count = exec->argc ? exec->argc : 1;
    for (size_t i = 0; i < count && used < COMMAND_TEXT_MAX; i++) {
        if (i > 0)
            text[used++] = ' ';
        size_t length = strnlen(words[i], COMMAND_TEXT_MAX - used);
        memcpy(text + used, words[i], length);
        used += length;
    }
    text[used] = '\0';
    return strdup(text);
}

// Connects what remains on this side. Failure leaves a command without output: it is killed then.
static int open_streams(struct agent *agent, struct proc *proc, struct launch *launch)
{
    int result = 0;
    for (int i = 0; i < 2; i++)
        if (launch->our_out[i] >= 0)
            result |= stream_open_output(agent, proc, i, steal_fd(&launch->our_out[i]));
    if (launch->our_in >= 0)
        stream_open_input(proc, steal_fd(&launch->our_in), proc->flags & SBX_EXEC_PTY);
    return result;
}

static void set_times(struct agent *agent, struct proc *proc, int64_t started_ns,
                      uint64_t timeout_ms)
{
    proc->started_ns = started_ns;
    if (timeout_ms == 0 || timeout_ms > INT64_MAX / 2)
        return;
    proc->deadline_ms = started_ns / 1000000 + (int64_t)timeout_ms;
    loop_wake_at(agent, proc->deadline_ms);
}

static struct proc *new_command(struct agent *agent, const struct agent_exec *exec)
{
    bool background = exec->flags & SBX_EXEC_BACKGROUND;
    struct proc *proc = proc_new(agent, exec->flags, background ? AGENT_LOG_MAX : DIRECT_LOG);
    if (!proc)
        return NULL;
    proc->command = describe(exec);
    if (proc->command)
        return proc;
    proc_free(agent, proc);
    return NULL;
}

// A short command may have ended by now: then one message tells its start and its end. Its own ends
// of the pipes are closed before, so that the host sees them close together with that.
static void tell_start(struct agent *agent, struct conn *conn, struct proc *proc,
                       struct launch *launch)
{
    close_child_fds(launch);
    conn_hold(conn);
    request_started(agent, conn, proc);
    if (open_streams(agent, proc, launch) < 0)
        conn_close(agent, conn);
    procs_reap(agent);
    conn_release(agent, conn);
}

static int run(struct agent *agent, struct conn *conn, struct launch *launch, struct sbx_error *err)
{
    pid_t pid;
    int64_t started_ns = clock_boot_ns();
    struct proc *proc = new_command(agent, &launch->exec);
    if (!proc)
        return err_nomem(err);
    int code = launch_start(agent, launch, proc->tag, &pid, err);
    if (code < 0) {
        proc_free(agent, proc);
        return code;
    }
    set_times(agent, proc, started_ns, launch->exec.timeout_ms);
    proc_add(agent, proc, pid);
    proc_attach(proc, conn);
    tell_start(agent, conn, proc, launch);
    return 0;
}

static int exec_command(struct agent *agent, struct conn *conn, struct frame *frame,
                        struct launch *launch, struct sbx_error *err)
{
    int code = prepare(agent, launch, frame, err);
    if (code < 0)
        return code;
    if (!procs_have_room(agent)) {
        err_set(err, SBX_ERR_QUOTA, "the sandbox runs %d commands already", AGENT_COMMANDS_MAX);
        return err_hint(err, "end some of them first");
    }
    return run(agent, conn, launch, err);
}

int exec_request(struct agent *agent, struct conn *conn, struct frame *frame)
{
    struct sbx_error error;
    struct launch launch;
    launch_init(&launch);
    if (agent_exec_get(frame->payload, frame->size, &launch.exec) < 0) {
        close_passed(frame);
        return -1;
    }
    launch.whole = launch.exec.flags & AGENT_EXEC_WHOLE;
    launch.exec.flags &= ~AGENT_EXEC_WHOLE;
    int code = user_find(agent, launch.exec.user, &launch.user, &error);
    if (code < 0)
        close_passed(frame);
    else
        code = exec_command(agent, conn, frame, &launch, &error);
    launch_deinit(&launch);
    if (code < 0)
        conn_fail(agent, conn, &error);
    return 0;
}
