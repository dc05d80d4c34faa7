// SPDX-License-Identifier: Apache-2.0
// Requests of the host. Layer: agent.
#include "agent/request.h"

#include <sandboxes/process.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "agent/agent.h"
#include "agent/stream.h"
#include "base/error.h"

// A refusal is an answer: the connection stays.
static int refuse(struct agent *agent, struct conn *conn, const struct sbx_error *error)
{
    conn_fail(agent, conn, error);
    return 0;
}

static int no_command(struct agent *agent, struct conn *conn, uint32_t pid)
{
    struct sbx_error error;
    err_set(&error, SBX_ERR_NOT_FOUND, "no command %u runs in the sandbox, or is kept", pid);
    err_hint(&error, "list the commands of the sandbox; ended ones are kept for a while only");
    return refuse(agent, conn, &error);
}

void request_started(struct agent *agent, struct conn *conn, const struct proc *proc)
{
    cleanup_buf struct buf payload = BUF_INIT(16);
    wire_put_u32(&payload, (uint32_t)proc->pid);
    conn_send_buf(agent, conn, AGENT_STARTED, &payload);
}

static int attach_request(struct agent *agent, struct conn *conn, struct frame *frame)
{
    struct wire_reader in = wire_reader(frame->payload, frame->size);
    struct sbx_error error;
    uint32_t pid = wire_u32(&in);
    if (!wire_end(&in))
        return -1;
    struct proc *proc = procs_find(agent, pid);
    if (!proc)
        return no_command(agent, conn, pid);
    if (!(proc->flags & SBX_EXEC_BACKGROUND)) {
        err_set(&error, SBX_ERR_CONFLICT, "command %u does not run in the background", pid);
        err_hint(&error, "start commands that shall be attached to in the background");
        return refuse(agent, conn, &error);
    }
    proc_attach(proc, conn);
    request_started(agent, conn, proc);
    stream_send(agent, conn);
    proc_check_end(agent, proc);
    return 0;
}

static int input_request(struct agent *agent, struct conn *conn, struct frame *frame)
{
    if (frame->size > AGENT_DATA_MAX)
        return -1;
    stream_write(agent, conn->proc, frame->payload, frame->size);
    return 0;
}

static int input_end_request(struct agent *agent, struct conn *conn, struct frame *frame)
{
    stream_end_input(agent, conn->proc);
    return 0;
}

static int resize_request(struct agent *agent, struct conn *conn, struct frame *frame)
{
    struct wire_reader in = wire_reader(frame->payload, frame->size);
    struct winsize size = {.ws_row = (unsigned short)wire_u32(&in)};
    size.ws_col = (unsigned short)wire_u32(&in);
    if (!wire_end(&in))
        return -1;
    if ((conn->proc->flags & SBX_EXEC_PTY) && conn->proc->out[0].watch.fd >= 0)
        ioctl(conn->proc->out[0].watch.fd, TIOCSWINSZ, &size);
    return 0;
}

static bool signal_valid(uint32_t signal)
{
    return signal > 0 && signal < NSIG;
}

static void send_signal(struct agent *agent, struct proc *proc, uint32_t signal)
{
    if (signal == SIGKILL)
        proc_kill(agent, proc);
    else if (!proc->exited)
        kill(-proc->pid, (int)signal);
}

static int signal_request(struct agent *agent, struct conn *conn, struct frame *frame)
{
    struct wire_reader in = wire_reader(frame->payload, frame->size);
    uint32_t signal = wire_u32(&in);
    if (!wire_end(&in) || !signal_valid(signal))
        return -1;
    send_signal(agent, conn->proc, signal);
    return 0;
}

static int signal_to_request(struct agent *agent, struct conn *conn, struct frame *frame)
{
    struct wire_reader in = wire_reader(frame->payload, frame->size);
    uint32_t pid = wire_u32(&in);
    uint32_t signal = wire_u32(&in);
    if (!wire_end(&in) || !signal_valid(signal))
        return -1;
    struct proc *proc = procs_find(agent, pid);
    if (!proc)
        return no_command(agent, conn, pid);
    send_signal(agent, proc, signal);
    conn_send(agent, conn, AGENT_DONE, NULL, 0);
    return 0;
}

static void put_process(struct buf *out, struct proc *proc)
{
    if (!proc->started_unix_ms)
        proc->started_unix_ms = clock_unix_ms() - (clock_boot_ns() - proc->started_ns) / 1000000;
    wire_put_u32(out, (uint32_t)proc->pid);
    wire_put_u32(out, proc->flags);
    wire_put_u32(out, !proc->exited);
    wire_put_u32(out, proc->exited ? proc_exit_code(proc) : 0);
    wire_put_u64(out, (uint64_t)proc->started_unix_ms);
    wire_put_text(out, proc->command);
}

static int processes_request(struct agent *agent, struct conn *conn, struct frame *frame)
{
    for (struct proc *proc = agent->procs.first; proc; proc = proc->next) {
        cleanup_buf struct buf payload = BUF_INIT(1024);
        if (proc->gone || !proc_is_seen(proc))
            continue;
        put_process(&payload, proc);
        conn_send_buf(agent, conn, AGENT_PROCESS, &payload);
    }
    conn_send(agent, conn, AGENT_DONE, NULL, 0);
    return 0;
}

// What steers a command may arrive when it has just ended: no error, but nothing to do.
static int too_late(struct agent *agent, struct conn *conn, struct frame *frame)
{
    return 0;
}

typedef int request_fn(struct agent *agent, struct conn *conn, struct frame *frame);

// Handlers by mode; NULL: not allowed then.
static const struct {
    request_fn *idle, *process;
} requests[] = {
    [AGENT_EXEC] = {exec_request, NULL},
    [AGENT_ATTACH] = {attach_request, NULL},
    [AGENT_INPUT] = {too_late, input_request},
    [AGENT_INPUT_END] = {too_late, input_end_request},
    [AGENT_RESIZE] = {too_late, resize_request},
    [AGENT_SIGNAL] = {too_late, signal_request},
    [AGENT_PROCESSES] = {processes_request, NULL},
    [AGENT_USAGE] = {usage_request, NULL},
    [AGENT_CONNECT] = {connect_request, NULL},
    [AGENT_FILES] = {files_request, NULL},
    [AGENT_SIGNAL_TO] = {signal_to_request, NULL},
};

int request_handle(struct agent *agent, struct conn *conn, struct frame *frame)
{
    if (frame->type >= ARRAY_SIZE(requests) || frame->channel != 0)
        return -1;
    request_fn *handle = conn->proc ? requests[frame->type].process : requests[frame->type].idle;
    return handle ? handle(agent, conn, frame) : -1;
}
