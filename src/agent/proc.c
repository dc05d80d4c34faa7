// SPDX-License-Identifier: Apache-2.0
// Commands and workers. Layer: agent.
#include "agent/proc.h"

#include <errno.h>
#include <sandboxes/process.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/stream.h"
#include "agent/tree.h"
#include "base/clock.h"

#define REAP_BATCH 256
#define REAP_AGAIN_MS 10 // after a wait that failed: SIGCHLD does not come a second time
#define KILL_STEP_MS 10
#define KILL_PATIENCE_MS 2000
#define LOG_BUDGET (64 * 1024 * 1024)
#define INPUT_REST_MAX (1024 * 1024)
#define TIMED_OUT_CODE 124

void procs_init(struct procs *procs)
{
    procs->log_budget = LOG_BUDGET;
    procs->reap_ms = DEADLINE_NEVER;
}

static struct proc **slot_of(struct procs *procs, pid_t pid)
{
    return &procs->slots[(unsigned)pid % PROC_SLOTS];
}

struct proc *proc_new(struct agent *agent, uint32_t flags, size_t log_limit)
{
    struct proc *proc = calloc(1, sizeof(*proc));
    if (!proc)
        return NULL;
    proc->flags = flags;
    proc->tag = ++agent->procs.last_tag;
    proc->deadline_ms = DEADLINE_NEVER;
    proc->kill_ms = DEADLINE_NEVER;
    for (int i = 0; i < 2; i++)
        proc->out[i] =
            (struct stream){.watch.fd = -1, .proc = proc, .number = i ? SBX_STDERR : SBX_STDOUT};
    proc->in = (struct input){.watch.fd = -1, .proc = proc, .rest = BUF_INIT(INPUT_REST_MAX)};
    log_init(&proc->log, log_limit, &agent->procs.log_budget);
    return proc;
}

void proc_free(struct agent *agent, struct proc *proc)
{
    stream_close_all(agent, proc);
    log_deinit(&proc->log);
    free(proc->command);
    free(proc);
}

static void link_in(struct procs *procs, struct proc *proc)
{
    struct proc **slot = slot_of(procs, proc->pid);
    proc->next_slot = *slot;
    *slot = proc;
    proc->previous = procs->last;
    *(procs->last ? &procs->last->next : &procs->first) = proc;
    procs->last = proc;
}

static void link_out(struct procs *procs, struct proc *proc)
{
    struct proc **at = slot_of(procs, proc->pid);
    while (*at != proc)
        at = &(*at)->next_slot;
    *at = proc->next_slot;
    *(proc->previous ? &proc->previous->next : &procs->first) = proc->next;
    *(proc->next ? &proc->next->previous : &procs->last) = proc->previous;
}

void proc_add(struct agent *agent, struct proc *proc, pid_t pid)
{
    proc->pid = pid;
    link_in(&agent->procs, proc);
    agent->procs.command_count++;
}

int proc_add_worker(struct agent *agent, pid_t pid)
{
    struct proc *proc = proc_new(agent, 0, 0);
    if (!proc)
        return -1;
    proc->pid = pid;
    proc->tag = 0;
    link_in(&agent->procs, proc);
    agent->procs.worker_count++;
    return 0;
}

// Off the table now, freed after this turn of the loop.
static void drop(struct agent *agent, struct proc *proc)
{
    struct procs *procs = &agent->procs;
    if (proc->gone)
        return;
    proc->gone = true;
    procs->sweep = true;
    if (!proc->tag)
        procs->worker_count--;
    else
        procs->command_count--;
}

void procs_sweep(struct agent *agent)
{
    struct procs *procs = &agent->procs;
    if (!procs->sweep)
        return;
    procs->sweep = false;
    for (struct proc *proc = procs->first, *next; proc; proc = next) {
        next = proc->next;
        if (!proc->gone)
            continue;
        link_out(procs, proc);
        proc_free(agent, proc);
    }
}

static void drop_oldest_finished(struct agent *agent)
{
    for (struct proc *proc = agent->procs.first; proc; proc = proc->next)
        if (proc->finished && !proc->gone && !proc->attached) {
            agent->procs.finished_count--;
            drop(agent, proc);
            return;
        }
}

bool procs_have_room(struct agent *agent)
{
    if (agent->procs.command_count >= AGENT_COMMANDS_MAX)
        drop_oldest_finished(agent);
    return agent->procs.command_count < AGENT_COMMANDS_MAX;
}

struct proc *procs_find(struct agent *agent, uint32_t pid)
{
    for (struct proc *proc = *slot_of(&agent->procs, (pid_t)pid); proc; proc = proc->next_slot)
        if ((uint32_t)proc->pid == pid && !proc->gone && proc_is_seen(proc))
            return proc;
    return NULL;
}

bool proc_is_seen(const struct proc *proc)
{
    return proc->tag && !(proc->flags & AGENT_EXEC_UNSEEN);
}

uint32_t proc_exit_code(const struct proc *proc)
{
    if (proc->timed_out)
        return TIMED_OUT_CODE;
    if (WIFSIGNALED(proc->status))
        return 128 + (uint32_t)WTERMSIG(proc->status);
    return (uint32_t)WEXITSTATUS(proc->status);
}

static void send_exit(struct agent *agent, const struct proc *proc, struct conn *conn)
{
    cleanup_buf struct buf payload = BUF_INIT(64);
    uint32_t flags = proc->timed_out ? SBX_OUTCOME_TIMED_OUT : 0;
    flags |= conn->truncated ? SBX_OUTCOME_TRUNCATED : 0;
    wire_put_u32(&payload, proc_exit_code(proc));
    wire_put_u32(&payload, WIFSIGNALED(proc->status) ? (uint32_t)WTERMSIG(proc->status) : 0);
    wire_put_u32(&payload, flags);
    wire_put_u64(&payload, (uint64_t)(proc->ended_ns - proc->started_ns) / 1000);
    conn_send_buf(agent, conn, AGENT_EXIT, &payload);
}

static void unlink_conn(struct proc *proc, struct conn *conn)
{
    struct conn **at = &proc->attached;
    while (*at != conn)
        at = &(*at)->next_attached;
    *at = conn->next_attached;
    conn->proc = NULL;
}

static struct conn *find_served(const struct proc *proc)
{
    for (struct conn *conn = proc->attached; conn; conn = conn->next_attached)
        if (conn->cursor == proc->log.head && !conn->chunk_left)
            return conn;
    return NULL;
}

static void finish(struct agent *agent, struct proc *proc)
{
    stream_close_all(agent, proc);
    if (!(proc->flags & SBX_EXEC_BACKGROUND)) {
        if (!proc->attached)
            drop(agent, proc);
        return;
    }
    if (!proc->finished) {
        proc->finished = true;
        if (++agent->procs.finished_count > AGENT_FINISHED_MAX)
            drop_oldest_finished(agent);
    }
}

void proc_check_end(struct agent *agent, struct proc *proc)
{
    struct conn *conn;
    if (!proc->exited || proc->killing || proc->gone || !stream_all_read(proc))
        return;
    while ((conn = find_served(proc))) {
        unlink_conn(proc, conn);
        send_exit(agent, proc, conn);
        conn_update(agent, conn);
    }
    finish(agent, proc);
}

// One look at the tree; again in a while if there was something to kill.
static void kill_step(struct agent *agent, struct proc *proc)
{
    int64_t now = clock_boot_ms();
    int found = tree_kill(proc->exited ? 0 : proc->pid, proc->tag);
    if (found < 0 && !proc->exited) // without /proc: at least what can be named
        kill(-proc->pid, SIGKILL);
    if ((found <= 0 && proc->exited) || now >= proc->kill_end_ms) {
        proc->killing = false;
        proc->kill_ms = DEADLINE_NEVER;
        return;
    }
    proc->kill_ms = now + KILL_STEP_MS;
    loop_wake_at(agent, proc->kill_ms);
}

void proc_kill(struct agent *agent, struct proc *proc)
{
    if (proc->killing || proc->gone)
        return;
    proc->killing = true;
    proc->kill_end_ms = clock_boot_ms() + KILL_PATIENCE_MS;
    kill_step(agent, proc);
    proc_check_end(agent, proc);
}

static void note_end(struct agent *agent, struct proc *proc, int status)
{
    proc->exited = true;
    proc->status = status;
    proc->ended_ns = clock_boot_ns();
    proc->deadline_ms = DEADLINE_NEVER;
    if (!proc->tag) {
        drop(agent, proc);
        return;
    }
    if (proc->killing)
        kill_step(agent, proc);
    stream_drain(agent, proc);
    proc_check_end(agent, proc);
}

static struct proc *find_running(struct agent *agent, pid_t pid)
{
    for (struct proc *proc = *slot_of(&agent->procs, pid); proc; proc = proc->next_slot)
        if (proc->pid == pid && !proc->exited)
            return proc;
    return NULL;
}

static void reap_later(struct agent *agent, int64_t at_ms)
{
    agent->procs.reap_ms = at_ms;
    loop_wake_at(agent, at_ms);
}

// What a wait told of one child. A command that stops, traced by us (it called PTRACE_TRACEME) or
// not, has not ended. A worker that a program in here has stopped would keep its host waiting.
static void note_status(struct agent *agent, struct proc *proc, int status)
{
    if (WIFEXITED(status) || WIFSIGNALED(status))
        note_end(agent, proc, status);
    else if (WIFSTOPPED(status) && !proc->tag)
        kill(proc->pid, SIGKILL);
}

// Everyone's orphans end here too. The signal is taken first, so none that comes later is lost, and
// the loop need not look again for one that is dealt with.
void procs_reap(struct agent *agent)
{
    struct signalfd_siginfo info; // signals are merged: which child it was does not matter
    int status;
    (void)!read(agent->signals.fd, &info, sizeof(info));
    agent->procs.reap_ms = DEADLINE_NEVER;
    for (int i = 0; i < REAP_BATCH; i++) {
        pid_t pid = waitpid(-1, &status, WNOHANG | WUNTRACED | __WALL);
        if (pid < 0 && errno != ECHILD)
            reap_later(agent, clock_boot_ms() + REAP_AGAIN_MS);
        if (pid <= 0)
            return;
        struct proc *proc = find_running(agent, pid);
        if (proc)
            note_status(agent, proc, status);
    }
    reap_later(agent, 0);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// Runs what is due of one command; when it wants to be looked at again.
static int64_t tick(struct agent *agent, struct proc *proc, int64_t now)
{
    if (proc->gone)
        return DEADLINE_NEVER;
    if (!proc->exited && now >= proc->deadline_ms) {
        proc->deadline_ms = DEADLINE_NEVER;
        proc->timed_out = true;
        proc_kill(agent, proc);
    }
    if (now >= proc->kill_ms) {
        kill_step(agent, proc);
        proc_check_end(agent, proc);
    }
    if (proc->stalled_ms && now >= proc->stalled_ms + STREAM_STALL_MS)
        stream_drop_slow(agent, proc);
    int64_t next = earlier(proc->deadline_ms, proc->kill_ms);
    return proc->stalled_ms ? earlier(next, proc->stalled_ms + STREAM_STALL_MS) : next;
}

void procs_tick(struct agent *agent)
{
    if (agent->procs.reap_ms != DEADLINE_NEVER && clock_boot_ms() >= agent->procs.reap_ms)
        procs_reap(agent);
    if (agent->loop.next_ms == DEADLINE_NEVER)
        return;
    int64_t now = clock_boot_ms(), next = DEADLINE_NEVER;
    if (now < agent->loop.next_ms)
        return;
    agent->loop.next_ms = DEADLINE_NEVER;
    for (struct proc *proc = agent->procs.first; proc; proc = proc->next)
        next = earlier(next, tick(agent, proc, now));
    loop_wake_at(agent, earlier(next, agent->procs.reap_ms));
}

void proc_attach(struct proc *proc, struct conn *conn)
{
    conn->proc = proc;
    conn->cursor = proc->log.tail;
    conn->chunk_left = 0;
    conn->may_lose = false;
    conn->truncated = proc->log.tail > 0;
    conn->next_attached = proc->attached;
    proc->attached = conn;
}

void proc_detach(struct agent *agent, struct conn *conn)
{
    struct proc *proc = conn->proc;
    if (!proc)
        return;
    unlink_conn(proc, conn);
    if (proc->flags & SBX_EXEC_BACKGROUND) {
        stream_resume(agent, proc);
        return;
    }
    if (proc->exited)
        proc_check_end(agent, proc);
    else
        proc_kill(agent, proc);
}
