// SPDX-License-Identifier: Apache-2.0
// A command in a sandbox joined to our standard streams, terminal and signals. Layer: cli.
#include "cli/pump.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/input.h"
#include "cli/signals.h"
#include "cli/term.h"

// After the user's kill the command's end is awaited this long; then the sandbox itself goes.
#define KILL_WAIT_MS 2000

// One command being pumped.
struct flow {
    struct sbx_process *process;
    const struct pump *pump;
    struct pump_end end;
};

int pump_exit_status(const struct pump_end *end)
{
    if (end->output_closed)
        return EXIT_SIGNAL + SIGPIPE;
    if (end->killed)
        return EXIT_SIGNAL + SIGINT;
    return end->outcome.exit_code & 0xff;
}

static void forward_signals(struct flow *flow, const struct signals_batch *batch)
{
    // The command may have ended meanwhile: that the signal reaches nobody is no failure.
    for (int i = 0; i < batch->count; i++)
        sbx_process_signal(flow->process, batch->forward[i], NULL);
    if (batch->kill) {
        sbx_process_signal(flow->process, SIGKILL, NULL);
        flow->end.killed = true;
    }
    if (batch->resized) {
        uint16_t rows, cols;
        term_size(&rows, &cols);
        sbx_process_resize(flow->process, rows, cols, NULL);
    }
}

static int take_signals(struct flow *flow, struct sbx_error *err)
{
    struct signals_batch batch;
    int code = signals_take(&batch, err);
    if (code < 0)
        return code;
    forward_signals(flow, &batch);
    return 0;
}

static int wait_writable(int fd)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
    return poll(&pollfd, 1, -1);
}

// A write that failed: 0 to try again.
static int recover_write(struct flow *flow, int fd, int sys_errno, struct sbx_error *err)
{
    if (sys_errno == EAGAIN) // whoever shares our stdout made it non-blocking
        return wait_writable(fd) < 0 && errno != EINTR ? err_sys(err, 0, errno, "output") : 0;
    if (sys_errno == EINTR)
        return signals_pending() ? take_signals(flow, err) : 0;
    if (sys_errno == EPIPE) {
        flow->end.output_closed = true;
        return 0;
    }
    err_sys(err, SBX_ERR_IO, sys_errno, "cannot write %s",
            fd == STDERR_FILENO ? "standard error" : "standard output");
    return err_hint(err, "check where the output goes: is its disk full?");
}

static int write_out(struct flow *flow, int fd, const char *data, size_t size,
                     struct sbx_error *err)
{
    while (size > 0 && !flow->end.output_closed && !flow->end.killed) {
        ssize_t done = write(fd, data, size);
        if (done >= 0) {
            data += done;
            size -= (size_t)done;
            continue;
        }
        int code = recover_write(flow, fd, errno, err);
        if (code < 0)
            return code;
    }
    return 0;
}

static void keep(struct flow *flow, struct buf *buf, const void *data, size_t size)
{
    size_t room = buf->limit - buf->size;
    if (size > room) {
        flow->end.truncated = true;
        size = room;
    }
    buf_add(buf, data, size);
}

static int take_output(struct flow *flow, const struct sbx_event *event, struct sbx_error *err)
{
    const struct pump *pump = flow->pump;
    bool is_err = event->stream == SBX_STDERR;
    struct buf *buf = is_err ? pump->err : pump->out;
    if (buf) {
        keep(flow, buf, event->data, event->size);
        return buf->failed ? err_nomem(err) : 0;
    }
    int fd = is_err ? pump->err_fd : pump->out_fd;
    return write_out(flow, fd, event->data, event->size, err);
}

static int read_event(struct flow *flow, int64_t quiet_ms, struct sbx_event *ret_event,
                      struct sbx_error *err)
{
    struct sbx_call call = SBX_CALL_INIT;
    call.timeout_ms = flow->end.killed ? KILL_WAIT_MS : quiet_ms;
    call.cancel = signals_token();
    return sbx_process_read(flow->process, &call, ret_event, err);
}

// 1 when it has ended, 0 to go on.
static int step(struct flow *flow, int64_t quiet_ms, struct sbx_error *err)
{
    struct sbx_event event;
    int code = read_event(flow, quiet_ms, &event, err);
    if (code == SBX_ERR_CANCELLED && signals_pending())
        return take_signals(flow, err);
    if (code == SBX_ERR_TIMEOUT && flow->end.killed)
        return 1;
    if (code < 0)
        return code;
    if (event.kind == SBX_EVENT_EXIT) {
        flow->end.outcome = event.outcome;
        return 1;
    }
    code = take_output(flow, &event, err);
    if (code == 0 && flow->end.output_closed) {
        sbx_process_signal(flow->process, SIGKILL, NULL);
        return 1;
    }
    return code;
}

int pump_follow(struct sbx_process *process, const struct pump *pump, int64_t quiet_ms,
                struct pump_end *ret_end, struct sbx_error *err)
{
    struct flow flow = {.process = process, .pump = pump};
    struct input input = {0};
    if (pump->tty) {
        signals_terminal(true);
        term_raw();
    }
    int code = pump->input ? input_start(&input, process, err) : 0;
    while (code == 0)
        code = step(&flow, quiet_ms, err);
    input_stop(&input);
    if (pump->tty) {
        term_restore();
        signals_terminal(false);
    }
    if (code < 0)
        return code;
    *ret_end = flow.end;
    return 0;
}

int pump_run(struct sbx_sandbox *sandbox, struct sbx_exec *exec, const struct pump *pump,
             struct pump_end *ret_end, struct sbx_error *err)
{
    if (pump->input)
        exec->flags |= SBX_EXEC_STDIN;
    if (pump->tty) {
        exec->flags |= SBX_EXEC_PTY;
        term_size(&exec->rows, &exec->cols);
    }
    struct sbx_call call = SBX_CALL_INIT;
    call.cancel = signals_token();
    struct sbx_process *process;
    int code = sbx_process_start(sandbox, exec, &call, &process, err);
    if (code < 0)
        return code;
    code = pump_follow(process, pump, 0, ret_end, err);
    sbx_process_free(process);
    return code;
}
