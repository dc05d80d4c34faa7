// SPDX-License-Identifier: Apache-2.0
// Forked helpers that take a connection over. Layer: agent.
#include "agent/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/error.h"
#include "base/fd.h"

#define WORKER_FD 3
#define FDS_SCANNED 65536 // where close_range(2) is missing

// Other connections must not stay open because of us: their ends would not be seen.
static int keep_only(int fd)
{
    if (fd != WORKER_FD && dup2(fd, WORKER_FD) < 0)
        return -1;
    if (syscall(SYS_close_range, WORKER_FD + 1, ~0U, 0) == 0)
        return 0;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > FDS_SCANNED)
        limit.rlim_cur = FDS_SCANNED;
    for (int other = WORKER_FD + 1; other < (int)limit.rlim_cur; other++)
        close(other);
    return 0;
}

static void become_worker(struct worker *worker)
{
    sigset_t none;
    if (keep_only(worker->fd) < 0)
        _exit(1);
    worker->fd = WORKER_FD;
    fd_set_nonblock(WORKER_FD, false);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int fork_failed(struct agent *agent, struct conn *conn, int sys_errno)
{
    struct sbx_error error;
    err_sys(&error, 0, sys_errno, "cannot start a helper process in the sandbox");
    conn_fail(agent, conn, &error);
    return 0;
}

static int too_many(struct agent *agent, struct conn *conn)
{
    struct sbx_error error;
    err_set(&error, SBX_ERR_QUOTA, "the sandbox serves %d file and port connections already",
            AGENT_WORKERS_MAX);
    conn_fail(agent, conn, &error);
    return 0;
}

int worker_start(struct agent *agent, struct conn *conn,
                 void (*work)(const struct agent *agent, struct worker *worker, void *payload),
                 void *payload)
{
    struct worker worker = {
        .fd = conn->watch.fd,
        .ahead = conn->in.buffer.data + conn->in.consumed,
        .ahead_size = conn->in.buffer.size - conn->in.consumed,
    };
    if (agent->procs.worker_count >= AGENT_WORKERS_MAX)
        return too_many(agent, conn);
    pid_t pid = fork();
    if (pid < 0)
        return fork_failed(agent, conn, errno);
    if (pid == 0) {
        become_worker(&worker);
        work(agent, &worker, payload);
        _exit(0);
    }
    if (proc_add_worker(agent, pid) < 0)
        kill(pid, SIGKILL); // it would not be told apart from the sandbox's own processes
    return -1;
}

void worker_fail(int fd, const struct sbx_error *error)
{
    cleanup_buf struct buf payload = BUF_INIT(4096);
    agent_failed_put(&payload, error);
    if (!payload.failed)
        frame_send(fd, AGENT_FAILED, payload.data, payload.size, NULL, 0, deadline_in(0), NULL);
}
