// SPDX-License-Identifier: Apache-2.0
// Commands in a sandbox of E2B. Layer: provider.
#include "provider/e2b/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "provider/e2b/files.h"

static void free_process(struct e2b_process *process)
{
    connect_close(process->stream);
    e2b_box_unref(process->box);
    buf_deinit(&process->data);
    buf_deinit(&process->early);
    free(process->user);
    free(process);
}

static void free_process_fn(struct e2b_process **process)
{
    if (*process)
        free_process(*process);
}

static int new_process(struct e2b_box *box, const char *user, struct e2b_process **ret_process,
                       struct sbx_error *err)
{
    struct e2b_process *process = calloc(1, sizeof(*process));
    if (!process)
        return err_nomem(err);
    process->data.limit = process->early.limit = MESSAGE_MAX;
    cloud_limit_begin(&process->limit, 0);
    process->user = user ? strdup(user) : NULL;
    e2b_box_ref(box);
    process->box = box;
    if (user && !process->user) {
        free_process(process);
        return err_nomem(err);
    }
    *ret_process = process;
    return 0;
}

// The next event that means something; at the end of the stream none may be missing.
static int next_event(struct e2b_process *process, struct deadline deadline,
                      struct e2b_event *ret_event, struct sbx_error *err)
{
    do {
        const char *message;
        size_t size;
        int code = connect_next(process->stream, deadline, &message, &size, err);
        if (code == 0 && !message)
            code = err_set(err, SBX_ERR_UNAVAILABLE, "the service did not say how command %u ended",
                           process->pid);
        if (code == 0)
            code = e2b_event_read(message, size, &process->data, ret_event, err);
        if (code < 0)
            return code;
    } while (ret_event->kind == E2B_OTHER);
    return 0;
}

static int no_program(const struct sbx_exec *exec, int sys_errno, struct sbx_error *err)
{
    return err_sys(err, SBX_ERR_EXEC, sys_errno, "cannot run '%s'",
                   exec->shell ? "/bin/sh" : exec->argv[0]);
}

// What envd refuses at the start, told by the kind of thing that was wrong.
static int refused(const struct sbx_exec *exec, int code, struct sbx_error *err)
{
    if (code == SBX_ERR_INVALID && exec->cwd && strstr(err->message, exec->cwd)) {
        err_set(err, SBX_ERR_EXEC, "cannot run in '%s': it is no directory there", exec->cwd);
        err->sys_errno = ENOENT;
        return SBX_ERR_EXEC;
    }
    if (code == SBX_ERR_AUTH && exec->user)
        return err_set(err, SBX_ERR_NOT_FOUND, "there is no user '%s' in the sandbox", exec->user);
    return code;
}

// A part of the starting line. True when it is whole; *ret_errno then tells of the program.
static int take_line(struct e2b_process *process, char line[START_LINE_MAX], size_t *used,
                     int *ret_errno, struct sbx_error *err)
{
    size_t room = START_LINE_MAX - *used;
    size_t take = process->data.size < room ? process->data.size : room;
    memcpy(line + *used, process->data.data, take);
    int length = e2b_start_line(line, *used + take, ret_errno);
    if (length < 0)
        return err_set(err, SBX_ERR_PROTOCOL, "the sandbox's /bin/sh does not begin as asked");
    if (length > 0)
        buf_consume(&process->data, (size_t)length - *used);
    *used += take;
    return length > 0;
}

// Until the shell says that the program begins. The line comes on stderr, which the service reads
// apart from stdout: that may come first.
static int await_program(struct e2b_process *process, const struct sbx_exec *exec,
                         struct deadline deadline, struct sbx_error *err)
{
    char line[START_LINE_MAX];
    size_t used = 0;
    struct e2b_event event;
    for (;;) {
        int sys_errno = 0;
        int code = next_event(process, deadline, &event, err);
        if (code < 0)
            return code;
        if (event.kind == E2B_START) {
            process->pid = event.pid;
            continue;
        }
        if (event.kind != E2B_DATA)
            return err_set(err, SBX_ERR_PROTOCOL, "the command ended before its program began");
        if (event.stream == SBX_STDOUT && !(exec->flags & SBX_EXEC_PTY)) {
            buf_add(&process->early, process->data.data, process->data.size);
            if (process->early.failed)
                return err_set(err, SBX_ERR_PROTOCOL, "the starting line does not come");
            continue;
        }
        code = take_line(process, line, &used, &sys_errno, err);
        if (code < 0)
            return code;
        if (code > 0) {
            process->pending = process->data.size ? event.stream : 0;
            return sys_errno ? no_program(exec, sys_errno, err) : 0;
        }
    }
}

int e2b_process_start(void *self, const struct sbx_exec *exec, const struct sbx_call *call,
                      void **ret_process, struct sbx_error *err)
{
    struct e2b_box *box = self;
    struct deadline deadline = cloud_deadline(call);
    cleanup_buf struct buf message = BUF_INIT(MESSAGE_MAX);
    cleanup(free_process_fn) struct e2b_process *process = NULL;
    if (cancel_triggered(deadline.cancel))
        return err_set(err, SBX_ERR_CANCELLED, "cancelled before the command began");
    int code = new_process(box, exec->user, &process, err);
    if (code == 0)
        code = e2b_start_message(box, exec, &message, err);
    if (code < 0)
        return code;
    process->flags = exec->flags;
    process->flags_known = true;
    cloud_limit_begin(&process->limit, exec->timeout_ms);
    deadline = deadline_min(deadline, process->limit.at_ms); // the start is part of its time
    code = e2b_envd_open(box, exec->user, "process.Process/Start", &message,
                         "cannot start the command", deadline, &process->stream, err);
    if (code == 0)
        code = await_program(process, exec, deadline, err);
    if (code < 0)
        return refused(exec, code, err);
    *ret_process = steal_ptr(process);
    return 0;
}

static void put_selector(struct json *json, uint32_t pid)
{
    json_key(json, "process");
    json_begin_object(json);
    json_put_uint(json, "pid", pid);
    json_end_object(json);
}

int e2b_process_attach(void *self, uint32_t pid, const struct sbx_call *call, void **ret_process,
                       struct sbx_error *err)
{
    struct e2b_box *box = self;
    struct deadline deadline = cloud_deadline(call);
    cleanup_buf struct buf message = BUF_INIT(1000);
    cleanup(free_process_fn) struct e2b_process *process = NULL;
    struct e2b_event event;
    char what[64];
    snprintf(what, sizeof(what), "cannot attach to command %u", pid);
    struct json json = JSON_INIT(&message, false);
    json_begin_object(&json);
    put_selector(&json, pid);
    json_end_object(&json);
    int code = new_process(box, NULL, &process, err);
    if (code == 0)
        code = e2b_envd_open(box, NULL, "process.Process/Connect", &message, "cannot attach",
                             deadline, &process->stream, err);
    if (code == 0)
        code = next_event(process, deadline, &event, err);
    if (code == 0 && event.kind != E2B_START)
        code = err_set(err, SBX_ERR_PROTOCOL, "no command began");
    if (code < 0)
        return err_wrap(err, "%s", what), code;
    process->pid = pid;
    process->flags = SBX_EXEC_BACKGROUND;
    process->data.size = 0;
    *ret_process = steal_ptr(process);
    return 0;
}

uint32_t e2b_process_pid(void *process)
{
    return ((struct e2b_process *)process)->pid;
}

static void kill_tree(struct e2b_process *process)
{
    struct sbx_error ignored;
    cloud_files_signal(&e2b_files, process->box, process->user, process->pid, SIGKILL,
                       deadline_in(CLOUD_KILL_MS), &ignored);
}

static void set_exit(struct e2b_process *process, const struct e2b_event *event,
                     struct sbx_event *ret_event)
{
    process->ended = true;
    *ret_event =
        (struct sbx_event){.kind = SBX_EVENT_EXIT,
                           .outcome = {.exit_code = event->exit_code, .signal = event->signal}};
    cloud_limit_outcome(&process->limit, &ret_event->outcome);
}

static void set_output(const struct buf *data, uint32_t stream, struct sbx_event *ret_event)
{
    *ret_event = (struct sbx_event){
        .kind = SBX_EVENT_OUTPUT, .stream = stream, .data = data->data, .size = data->size};
}

// The command's own time limit, which envd would apply to its process alone.
static int wait_event(struct e2b_process *process, struct deadline whole,
                      struct e2b_event *ret_event, struct sbx_error *err)
{
    for (;;) {
        struct deadline deadline = deadline_min(whole, process->limit.at_ms);
        int code = next_event(process, deadline, ret_event, err);
        enum cloud_limit_step step = cloud_limit_met(&process->limit, code);
        if (step == CLOUD_LIMIT_NONE)
            return code;
        if (step == CLOUD_LIMIT_LOST) {
            *ret_event = (struct e2b_event){.kind = E2B_END};
            return 0;
        }
        kill_tree(process);
    }
}

int e2b_process_read(void *self, const struct sbx_call *call, struct sbx_event *ret_event,
                     struct sbx_error *err)
{
    struct e2b_process *process = self;
    struct deadline deadline = deadline_from_call(call);
    struct e2b_event event;
    if (process->early.size) {
        set_output(&process->early, SBX_STDOUT, ret_event);
        process->early.size = 0;
        return 0;
    }
    if (process->pending) {
        set_output(&process->data, process->pending, ret_event);
        process->pending = 0;
        return 0;
    }
    do {
        int code = wait_event(process, deadline, &event, err);
        if (code < 0)
            return e2b_envd_meaning(process->box, code, err);
    } while (event.kind == E2B_START || (event.kind == E2B_DATA && process->data.size == 0));
    if (event.kind == E2B_END)
        set_exit(process, &event, ret_event);
    else
        set_output(&process->data, event.stream, ret_event);
    return 0;
}

void e2b_process_free(void *self)
{
    struct e2b_process *process = self;
    if (!process->ended && process->pid && !(process->flags & SBX_EXEC_BACKGROUND))
        kill_tree(process);
    free_process(process);
}

int e2b_process_run(struct e2b_box *box, const char *user, const char *const *argv, size_t argc,
                    struct deadline deadline, int *ret_exit_code, struct buf *out,
                    struct sbx_error *err)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_event event = {0};
    void *process;
    exec.argv = argv;
    exec.argc = argc;
    exec.user = user;
    exec.cwd = "/";
    call.cancel = deadline.cancel;
    call.timeout_ms = deadline.at_ms - clock_boot_ms();
    if (call.timeout_ms <= 0)
        return err_set(err, SBX_ERR_TIMEOUT, "timed out");
    int code = e2b_process_start(box, &exec, &call, &process, err);
    if (code < 0)
        return code;
    while (code == 0 && event.kind != SBX_EVENT_EXIT) {
        code = e2b_process_read(process, &call, &event, err);
        if (code == 0 && event.kind == SBX_EVENT_OUTPUT && out)
            buf_add(out, event.data, event.size);
    }
    // Our own is short: it is not killed, which would take another one of our own.
    ((struct e2b_process *)process)->ended = true;
    e2b_process_free(process);
    if (code == 0)
        *ret_exit_code = event.outcome.exit_code;
    return code;
}
