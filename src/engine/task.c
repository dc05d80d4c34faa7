// SPDX-License-Identifier: Apache-2.0
// Commands in a local sandbox: starting, reading to the end. Layer: engine.
#include "engine/task.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "engine/task_impl.h"
#include "wire/agent_msg.h"

#define REQUEST_MAX FRAME_PAYLOAD_MAX
#define OVERDUE_GRACE_MS 5000 // past its own timeout, which the agent holds

static struct task *task_new(struct box *box, uint32_t flags)
{
    struct task *task = malloc(sizeof(*task));
    if (!task)
        return NULL;
    memset(task, 0, offsetof(struct task, small));
    task->box = box_hold(box);
    task->flags = flags;
    task->direct = !(flags & (SBX_EXEC_PTY | SBX_EXEC_BACKGROUND)) && !box->in_guest;
    task->overdue_ms = DEADLINE_NEVER;
    task->conn.fd = -1;
    task->out[TASK_OUT] = task->out[TASK_ERR] = task->in = -1;
    task->kept[TASK_OUT] = task->kept[TASK_ERR] = -1;
    pthread_mutex_init(&task->lock, NULL);
    return task;
}

static void drop_ends(struct task *task)
{
    for (int i = 0; i < TASK_STREAMS; i++)
        if (task->kept[i] >= 0)
            close(steal_fd(&task->kept[i]));
}

void task_free(struct task *task)
{
    if (!task)
        return;
    conn_close(&task->conn);
    cleanup_fd_fn(&task->out[TASK_OUT]);
    cleanup_fd_fn(&task->out[TASK_ERR]);
    drop_ends(task);
    cleanup_fd_fn(&task->in);
    pthread_mutex_destroy(&task->lock);
    free(task->large);
    box_release(task->box);
    free(task);
}

static void cleanup_task_fn(struct task **task)
{
    task_free(*task);
}
#define cleanup_task cleanup(cleanup_task_fn)

uint32_t task_pid(const struct task *task)
{
    return task->pid;
}

static void encode(const struct sbx_exec *exec, struct buf *out)
{
    struct agent_exec request = {
        .flags = exec->flags,
        .rows = exec->rows ? exec->rows : 24,
        .cols = exec->cols ? exec->cols : 80,
        .timeout_ms = (uint64_t)exec->timeout_ms,
        .cwd = exec->cwd,
        .user = exec->user,
        .shell = exec->shell && !exec->shell[0] ? ":" : exec->shell, // "" is "no line" there
        .argv = (const char **)(uintptr_t)exec->argv,
        .argc = exec->argc,
        .env = (struct sbx_pair *)(uintptr_t)exec->env,
        .env_count = exec->env_count,
    };
    agent_exec_put(out, &request);
}

static bool is_whole(const struct task *task)
{
    return task->direct && (task->flags & AGENT_EXEC_WHOLE);
}

static void keep_ends(struct task *task, struct task_pipes *pipes)
{
    task->kept[TASK_OUT] = steal_fd(&pipes->theirs[1]);
    if (pipes->theirs[2] != task->kept[TASK_OUT])
        task->kept[TASK_ERR] = steal_fd(&pipes->theirs[2]);
    pipes->theirs[2] = -1;
    task->answer_ms = deadline_in(BOX_ANSWER_MS).at_ms;
}

static int send_exec(struct task *task, const struct sbx_exec *exec, struct deadline deadline,
                     struct sbx_error *err)
{
    cleanup_buf struct buf request = BUF_INIT(REQUEST_MAX);
    cleanup(task_close_pipes) struct task_pipes pipes = {{-1, -1, -1}};
    encode(exec, &request);
    if (request.failed && request.size < REQUEST_MAX / 4)
        return err_nomem(err);
    if (request.failed)
        return err_set(err, SBX_ERR_INVALID,
                       "arguments and environment are over the limit of %d KiB",
                       REQUEST_MAX / 1024);
    int code = task->direct ? task_open_pipes(task, &pipes, err) : 0;
    if (code < 0)
        return code;
    const int first = pipes.theirs[0] < 0; // the agent has a /dev/null
    code = frame_send(task->conn.fd, AGENT_EXEC, request.data, request.size, pipes.theirs + first,
                      task->direct ? 3 - first : 0, deadline, err);
    if (code == 0 && is_whole(task))
        keep_ends(task, &pipes);
    return code;
}

static int take_started(struct task *task, const struct frame *frame, struct sbx_error *err)
{
    struct wire_reader in = wire_reader(frame->payload, frame->size);
    task->pid = wire_u32(&in);
    task->answer_ms = 0;
    if (frame->type != AGENT_STARTED || !wire_end(&in) || task->pid == 0)
        return conn_nonsense(err);
    return 0;
}

static int receive_started(struct task *task, struct deadline deadline, struct sbx_error *err)
{
    struct frame frame;
    int code = box_receive(task->box, &task->conn, BOX_ANSWER_MS, deadline, &frame, err);
    return code < 0 ? code : take_started(task, &frame, err);
}

static int request_exec(struct task *task, const struct sbx_exec *exec, struct deadline deadline,
                        struct sbx_error *err)
{
    int code = box_connect(task->box, deadline, &task->conn, err);
    if (code == 0)
        code = send_exec(task, exec, deadline, err);
    return code < 0 || is_whole(task) ? code : receive_started(task, deadline, err);
}

int task_start(struct box *box, const struct sbx_exec *exec, struct deadline deadline,
               struct task **ret_task, struct sbx_error *err)
{
    cleanup_task struct task *task = task_new(box, exec->flags);
    if (!task)
        return err_nomem(err);
    box_mark_oom(box, deadline);
    if (exec->timeout_ms > 0)
        task->overdue_ms = deadline_in(exec->timeout_ms + OVERDUE_GRACE_MS).at_ms;
    int code = request_exec(task, exec, deadline_min(deadline, task->overdue_ms), err);
    if (code < 0)
        return code;
    *ret_task = steal_ptr(task);
    return 0;
}

int task_attach(struct box *box, uint32_t pid, struct deadline deadline, struct task **ret_task,
                struct sbx_error *err)
{
    cleanup_task struct task *task = task_new(box, SBX_EXEC_BACKGROUND);
    if (!task)
        return err_nomem(err);
    cleanup_buf struct buf request = BUF_INIT(64);
    wire_put_u32(&request, pid);
    int code = box_connect(box, deadline, &task->conn, err);
    if (code == 0)
        code = conn_send(&task->conn, AGENT_ATTACH, &request, deadline, err);
    if (code == 0)
        code = receive_started(task, deadline, err);
    if (code < 0)
        return code;
    *ret_task = steal_ptr(task);
    return 0;
}

static int get_outcome(const struct frame *frame, struct sbx_outcome *ret_outcome,
                       struct sbx_error *err)
{
    struct wire_reader in = wire_reader(frame->payload, frame->size);
    uint32_t code = wire_u32(&in), signal = wire_u32(&in), flags = wire_u32(&in);
    uint64_t duration_us = wire_u64(&in);
    if (!wire_end(&in) || code > 255 || signal > 64 ||
        (flags & ~(uint32_t)(SBX_OUTCOME_TIMED_OUT | SBX_OUTCOME_TRUNCATED)))
        return conn_nonsense(err);
    *ret_outcome = (struct sbx_outcome){.exit_code = (int32_t)code,
                                        .signal = (int32_t)signal,
                                        .flags = flags,
                                        .duration_us = duration_us};
    return 0;
}

// A command that did well was not the one to be killed, and need not pay for the question.
static void note_oom(struct task *task, struct deadline deadline)
{
    struct sbx_outcome *outcome = &task->outcome;
    if (outcome->exit_code == 0 || (outcome->flags & SBX_OUTCOME_TIMED_OUT))
        return;
    if (box_had_oom(task->box, deadline))
        outcome->flags |= SBX_OUTCOME_OOM;
}

// The connection is idle again. Writers and signallers must not touch it from now on.
static void return_conn(struct task *task)
{
    pthread_mutex_lock(&task->lock);
    struct conn conn = task->conn;
    task->conn.fd = -1;
    pthread_mutex_unlock(&task->lock);
    box_return(task->box, &conn);
}

static int take_exit(struct task *task, const struct frame *frame, struct deadline deadline,
                     struct sbx_error *err)
{
    int code = get_outcome(frame, &task->outcome, err);
    if (code < 0)
        return code;
    task->ended = true;
    return_conn(task);
    note_oom(task, deadline);
    return 0;
}

static int take_output(const struct frame *frame, struct sbx_event *ret_event,
                       struct sbx_error *err)
{
    struct wire_reader in = wire_reader(frame->payload, frame->size);
    uint32_t stream = wire_u32(&in);
    if (in.failed || in.left == 0 || in.left > AGENT_DATA_MAX ||
        (stream != SBX_STDOUT && stream != SBX_STDERR))
        return conn_nonsense(err);
    *ret_event = (struct sbx_event){
        .kind = SBX_EVENT_OUTPUT, .stream = stream, .data = in.at, .size = in.left};
    return 0;
}

// The next frame: output (framed only), or the start or the end, after which 1 is returned.
static int read_frame(struct task *task, struct deadline deadline, struct sbx_event *ret_event,
                      struct sbx_error *err)
{
    struct frame frame;
    int code = conn_receive(&task->conn, deadline, &frame, err);
    if (code < 0)
        return code;
    if (frame.type == AGENT_FAILED)
        return agent_failed_get(frame.payload, frame.size, err);
    if (task->answer_ms) {
        code = take_started(task, &frame, err);
        if (task->conn.in.buffer.size == task->conn.in.consumed)
            drop_ends(task); // it lasts: descriptors are scarcer than wake-ups
        return code < 0 ? code : 1;
    }
    if (frame.type == AGENT_OUTPUT && !task->direct)
        return take_output(&frame, ret_event, err);
    if (frame.type != AGENT_EXIT)
        return conn_nonsense(err);
    code = take_exit(task, &frame, deadline, err);
    return code < 0 ? code : 1;
}

static int give_end(const struct task *task, struct sbx_event *ret_event)
{
    *ret_event = (struct sbx_event){.kind = SBX_EVENT_EXIT, .outcome = task->outcome};
    return 0;
}

static int read_next(struct task *task, struct deadline deadline, struct sbx_event *ret_event,
                     struct sbx_error *err)
{
    int code = 1;
    if (task->direct)
        code = task_read_direct(task, deadline, ret_event, err);
    while (code == 1 && !task->ended) {
        code = read_frame(task, deadline, ret_event, err);
        if (code == 1 && task->direct)
            code = task_read_direct(task, deadline, ret_event, err);
    }
    return code == 1 ? give_end(task, ret_event) : code;
}

// What is wrong with the connection stays wrong; to be out of time or cancelled is only this call's
// matter.
static bool is_final(int code)
{
    return code < 0 && code != SBX_ERR_TIMEOUT && code != SBX_ERR_CANCELLED;
}

static int lose(struct task *task, struct sbx_error *err)
{
    pthread_mutex_lock(&task->lock);
    conn_close(&task->conn);
    task->lost = true;
    pthread_mutex_unlock(&task->lock);
    if (task->answer_ms)
        return err->code;
    return err_wrap(err, "command %u of sandbox %s", task->pid, task->box->id);
}

// The command's own time is the agent's to hold: it has stopped, or its whole sandbox is paused.
static int overdue(struct task *task, struct sbx_error *err)
{
    if (!box_is_paused(task->box))
        return err_set(err, SBX_ERR_UNAVAILABLE, "the agent did not end it when its time was over");
    task->overdue_ms = clock_boot_ms() + OVERDUE_GRACE_MS;
    return err_set(err, SBX_ERR_TIMEOUT, "timed out while the sandbox was paused");
}

// A command may say nothing for days, which only looks after the agent can tell from a lost one.
static int read_patiently(struct task *task, struct deadline deadline, struct sbx_event *ret_event,
                          struct sbx_error *err)
{
    struct box_patience patience = box_patience_begin();
    for (;;) {
        struct deadline step = box_patience_end(&patience, deadline);
        int code = read_next(task, step, ret_event, err);
        if (code != SBX_ERR_TIMEOUT || step.at_ms >= deadline.at_ms)
            return code;
        code = task->answer_ms ? box_unanswered(task->box, task->answer_ms, err) : 0;
        if (code == 0)
            code = box_patience_look(task->box, &patience, deadline, err);
        if (code < 0)
            return code;
    }
}

int task_read(struct task *task, struct deadline deadline, struct sbx_event *ret_event,
              struct sbx_error *err)
{
    if (task->lost)
        return err_set(err, SBX_ERR_UNAVAILABLE, "command %u of sandbox %s was lost", task->pid,
                       task->box->id);
    if (cancel_triggered(deadline.cancel))
        return err_set(err, SBX_ERR_CANCELLED, "cancelled");
    struct deadline bound = deadline_min(deadline, task->overdue_ms);
    int code = read_patiently(task, bound, ret_event, err);
    if (code == SBX_ERR_TIMEOUT && bound.at_ms < deadline.at_ms)
        code = overdue(task, err);
    return is_final(code) ? lose(task, err) : code;
}
