// SPDX-License-Identifier: Apache-2.0
// USAGE: what the sandbox's processes and files take. Layer: agent.
#include <errno.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/procfs.h"
#include "agent/request.h"
#include "base/error.h"

static uint64_t count_unseen(const struct agent *agent)
{
    uint64_t count = 0;
    for (const struct proc *proc = agent->procs.first; proc; proc = proc->next)
        count += !proc->exited && (proc->flags & AGENT_EXEC_UNSEEN);
    return count;
}

// Each second of processor time is in exactly one place: with its process while that lives or is a
// zombie, with the parent (at last with us) once it is waited for.
static int count_processes(const struct agent *agent, struct agent_usage *usage)
{
    struct procfs procfs;
    struct procfs_stat stat;
    uint64_t ticks = 0, pages = 0, threads = 0;
    if (procfs_open(&procfs) < 0)
        return -1;
    while (procfs_next(&procfs, &stat)) {
        ticks += stat.ticks;
        pages += procfs_resident(&procfs, stat.pid);
        threads += stat.pid == 1 ? 0 : stat.threads;
    }
    procfs_close(&procfs);
    uint64_t ours = agent->procs.worker_count + count_unseen(agent);
    usage->cpu_usec = ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
    usage->memory_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    usage->pids = (uint32_t)(threads > ours ? threads - ours : 0);
    return 0;
}

static void measure_disk(struct agent_usage *usage)
{
    struct statfs fs;
    if (statfs("/", &fs) < 0)
        return;
    uint64_t block = fs.f_frsize ? (uint64_t)fs.f_frsize : (uint64_t)fs.f_bsize;
    usage->disk_limit_bytes = fs.f_blocks * block;
    usage->disk_bytes = (fs.f_blocks - fs.f_bfree) * block;
}

int usage_request(struct agent *agent, struct conn *conn, struct frame *frame)
{
    struct agent_usage usage = {0};
    struct sbx_error error;
    cleanup_buf struct buf payload = BUF_INIT(256);
    if (count_processes(agent, &usage) < 0) {
        err_sys(&error, 0, errno, "cannot read /proc in the sandbox");
        conn_fail(agent, conn, &error);
        return 0;
    }
    measure_disk(&usage);
    agent_usage_put(&payload, &usage);
    conn_send_buf(agent, conn, AGENT_USED, &payload);
    return 0;
}
