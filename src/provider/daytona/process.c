// SPDX-License-Identifier: Apache-2.0
// Commands in a sandbox of Daytona, each in a session of its own. Layer: provider.
#include "provider/daytona/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/id.h"
#include "base/json.h"
#include "net/url.h"
#include "provider/daytona/files.h"

#define FIRST_ID 10000000u // above what processes have

int process_new(struct daytona_box *box, struct daytona_process **ret_process,
                struct sbx_error *err)
{
    struct daytona_process *process = calloc(1, sizeof(*process));
    if (!process)
        return err_nomem(err);
    process->out.limit = 2 * WS_MESSAGE_MAX;
    cloud_limit_begin(&process->limit, 0);
    daytona_box_ref(box);
    process->box = box;
    *ret_process = process;
    return 0;
}

void process_delete(struct daytona_process *process)
{
    if (process->ws)
        ws_close(process->ws);
    http_stream_close(process->stream);
    daytona_box_unref(process->box);
    buf_deinit(&process->out);
    buf_deinit(&process->kept[0]);
    buf_deinit(&process->kept[1]);
    free(process);
}

int process_name(struct daytona_process *process, struct sbx_error *err)
{
    uint32_t number;
    if (id_random(&number, sizeof(number)) < 0)
        return err_set(err, SBX_ERR_IO, "no random numbers for a name");
    process->id = FIRST_ID + number % (INT32_MAX - FIRST_ID);
    script_name(process->flags, clock_unix_ms(), process->id, process->name);
    return 0;
}

int process_no_program(const struct sbx_exec *exec, uint32_t number, struct sbx_error *err)
{
    if (number != 0)
        return err_sys(err, SBX_ERR_EXEC, (int)number, "cannot run '%s'",
                       exec->shell ? "/bin/sh" : exec->argv[0]);
    err_set(err, SBX_ERR_EXEC, "cannot run in '%s': it is no directory there",
            exec->cwd ? exec->cwd : "the sandbox's working directory");
    err->sys_errno = ENOENT;
    return SBX_ERR_EXEC;
}

// --- The log

// The next message of the log; at its end the exit must have been told.
static int next_message(struct daytona_process *process, struct deadline deadline,
                        struct sbx_error *err)
{
    enum ws_kind kind;
    int code = ws_read(process->ws, deadline, &kind, &process->data, &process->size, err);
    if (code == 0 && kind == WS_CLOSE) {
        process->size = 0;
        err_set(err, SBX_ERR_UNAVAILABLE, "the service did not say how command %u ended",
                process->id);
        return err_hint(err, "its output may have been more than the service keeps: write to a "
                             "file, and download that");
    }
    if (code == 0 && kind != WS_BINARY && kind != WS_TEXT)
        process->size = 0;
    return code;
}

static int next_event(struct daytona_process *process, struct deadline deadline,
                      struct output_event *ret_event, struct sbx_error *err)
{
    if (process->terminal)
        return terminal_next(process, deadline, ret_event, err);
    if (process->stream)
        return follow_next(process, deadline, ret_event, err);
    for (;;) {
        int code = output_next(&process->output, &process->data, &process->size, &process->out,
                               ret_event, err);
        if (code < 0 || ret_event->kind)
            return code;
        code = next_message(process, deadline, err);
        if (code < 0)
            return code;
    }
}

// Both streams and the status have come.
static bool is_over(const struct daytona_process *process)
{
    return process->exited && process->ends[0] && process->ends[1];
}

static void note(struct daytona_process *process, const struct output_event *event)
{
    if (event->kind == OUTPUT_START)
        process->pid = event->number;
    if (event->kind == OUTPUT_END)
        process->ends[event->stream - 1] = true;
    if (event->kind == OUTPUT_EXIT) {
        process->exited = true;
        if (process->terminal || process->stream)
            process->ends[0] = process->ends[1] = true;
        else
            output_outcome(event->number, &process->outcome);
    }
}

// --- Start

static int make_session(struct daytona_process *process, struct deadline deadline,
                        struct sbx_error *err)
{
    cleanup_buf struct buf body = BUF_INIT(1000);
    struct json json = JSON_INIT(&body, false);
    json_begin_object(&json);
    json_put_text(&json, "sessionId", process->name);
    json_end_object(&json);
    return daytona_toolbox_call(process->box, "POST", "process/session", &body,
                                "cannot start the command", deadline, NULL, err);
}

static int run_line(struct daytona_process *process, const struct sbx_exec *exec,
                    struct deadline deadline, struct sbx_error *err)
{
    cleanup_buf struct buf line = BUF_INIT(SCRIPT_MAX), body = BUF_INIT(2 * SCRIPT_MAX);
    cleanup_jsonv struct jsonv *answer = NULL;
    struct json json = JSON_INIT(&body, false);
    char path[200];
    script_session(&line, exec, process->box->workdir);
    if (!buf_text(&line))
        return err_set(err, SBX_ERR_QUOTA, "the command is longer than %u bytes", SCRIPT_MAX);
    json_begin_object(&json);
    json_put_text(&json, "command", line.data);
    json_put_bool(&json, "runAsync", true);
    json_put_bool(&json, "suppressInputEcho", true);
    json_end_object(&json);
    snprintf(path, sizeof(path), "process/session/%s/exec", process->name);
    int code = daytona_toolbox_call(process->box, "POST", path, &body, "cannot start the command",
                                    deadline, &answer, err);
    const char *id = code < 0 ? NULL : jsonv_text(answer, "cmdId");
    if (code == 0 && (!cloud_is_name(id) || strlen(id) >= sizeof(process->command)))
        return err_set(err, SBX_ERR_PROTOCOL, "the service named no id of the command");
    if (code == 0)
        snprintf(process->command, sizeof(process->command), "%s", id);
    return code;
}

static int follow(struct daytona_process *process, struct deadline deadline, struct sbx_error *err)
{
    char path[400];
    snprintf(path, sizeof(path), "process/session/%s/command/%s/logs?follow=true", process->name,
             process->command);
    return daytona_toolbox_open(process->box, path, "cannot read the command's output", deadline,
                                &process->ws, err);
}

// Until the program begins. The script says so first of all.
static int await_program(struct daytona_process *process, const struct sbx_exec *exec,
                         struct deadline deadline, struct sbx_error *err)
{
    struct output_event event;
    int code = next_event(process, deadline, &event, err);
    while (code == 0 && event.kind == OUTPUT_END) { // of what could not begin
        note(process, &event);
        code = next_event(process, deadline, &event, err);
    }
    if (code == 0 && event.kind == OUTPUT_FAIL)
        return process_no_program(exec, event.number, err);
    if (code == 0 && event.kind != OUTPUT_START)
        return err_set(err, SBX_ERR_PROTOCOL, "the command's output came before its start");
    if (code == 0)
        note(process, &event);
    return code;
}

// Its session or terminal. Of a command that has ended nobody waits for that.
static void forget(struct daytona_process *process)
{
    char path[200];
    struct sbx_error ignored;
    struct http_stream *request;
    snprintf(path, sizeof(path), "process/%s/%s", process->terminal ? "pty" : "session",
             process->name);
    if (!process->ended)
        daytona_toolbox_call(process->box, "DELETE", path, NULL, "cannot forget the command",
                             deadline_in(CLOUD_KILL_MS), NULL, &ignored);
    else if (daytona_toolbox_begin(process->box, "DELETE", path, NULL, &request, &ignored) == 0)
        daytona_box_leave(process->box, request);
}

static int start(struct daytona_process *process, const struct sbx_exec *exec,
                 struct deadline deadline, struct sbx_error *err)
{
    if (process->terminal)
        return terminal_start(process, exec, deadline, err);
    int code = make_session(process, deadline, err);
    if (code == 0)
        code = run_line(process, exec, deadline, err);
    if (code == 0)
        code = follow(process, deadline, err);
    return code < 0 ? code : await_program(process, exec, deadline, err);
}

int daytona_process_start(void *self, const struct sbx_exec *exec, const struct sbx_call *call,
                          void **ret_process, struct sbx_error *err)
{
    struct deadline deadline = cloud_deadline(call);
    cleanup_process struct daytona_process *process = NULL;
    if (cancel_triggered(deadline.cancel))
        return err_set(err, SBX_ERR_CANCELLED, "cancelled before the command began");
    int code = process_new(self, &process, err);
    if (code < 0)
        return code;
    process->flags = exec->flags;
    process->terminal = exec->flags & SBX_EXEC_PTY;
    cloud_limit_begin(&process->limit, exec->timeout_ms);
    deadline = deadline_min(deadline, process->limit.at_ms); // the start is part of its time
    code = process_name(process, err);
    if (code == 0)
        code = start(process, exec, deadline, err);
    if (code < 0) {
        if (err->http_status != 404)
            forget(process);
        return code;
    }
    *ret_process = steal_ptr(process);
    return 0;
}

uint32_t daytona_process_pid(void *process)
{
    return ((struct daytona_process *)process)->id;
}

// --- Attach

// The session of this number: its name and the id of its command.
static int find_session(struct daytona_process *process, uint32_t id, struct deadline deadline,
                        struct sbx_error *err)
{
    cleanup_jsonv struct jsonv *answer = NULL;
    int64_t started;
    int code = daytona_toolbox_call(process->box, "GET", "process/session", NULL,
                                    "cannot list commands", deadline, &answer, err);
    if (code < 0)
        return code;
    for (size_t i = 0; i < jsonv_count(answer); i++) {
        const struct jsonv *item = jsonv_at(answer, i);
        const char *name = jsonv_text(item, "sessionId");
        const char *command = jsonv_text(jsonv_at(jsonv_get(item, "commands"), 0), "id");
        if (!script_name_parse(name, &process->flags, &started, &process->id) ||
            process->id != id || !cloud_is_name(command) ||
            strlen(command) >= sizeof(process->command))
            continue;
        snprintf(process->name, sizeof(process->name), "%s", name);
        snprintf(process->command, sizeof(process->command), "%s", command);
        return 0;
    }
    return err_set(err, SBX_ERR_NOT_FOUND, "there is no command %u", id);
}

// The log begins anew for everybody who reads it.
int daytona_process_attach(void *self, uint32_t pid, const struct sbx_call *call,
                           void **ret_process, struct sbx_error *err)
{
    struct deadline deadline = cloud_deadline(call);
    cleanup_process struct daytona_process *process = NULL;
    struct output_event event;
    int code = process_new(self, &process, err);
    if (code == 0)
        code = find_session(process, pid, deadline, err);
    if (code == 0)
        code = follow(process, deadline, err);
    if (code == 0)
        code = next_event(process, deadline, &event, err);
    if (code == 0 && event.kind != OUTPUT_START)
        code = err_set(err, SBX_ERR_PROTOCOL, "no command began");
    if (code < 0)
        return err_wrap(err, "cannot attach to command %u", pid), code;
    note(process, &event);
    process->flags |= SBX_EXEC_BACKGROUND; // whoever attaches does not end it
    *ret_process = steal_ptr(process);
    return 0;
}

// --- Read

static void kill_tree(struct daytona_process *process)
{
    struct sbx_error ignored;
    cloud_files_signal(&daytona_files, process->box, NULL, process->pid, SIGKILL,
                       deadline_in(CLOUD_KILL_MS), &ignored);
}

static void set_exit(struct daytona_process *process, struct sbx_event *ret_event)
{
    process->ended = true;
    *ret_event = (struct sbx_event){.kind = SBX_EVENT_EXIT, .outcome = process->outcome};
    cloud_limit_outcome(&process->limit, &ret_event->outcome);
}

// With the command's own time limit.
static int wait_event(struct daytona_process *process, struct deadline whole,
                      struct output_event *ret_event, struct sbx_error *err)
{
    for (;;) {
        struct deadline deadline = deadline_min(whole, process->limit.at_ms);
        int code = next_event(process, deadline, ret_event, err);
        enum cloud_limit_step step = cloud_limit_met(&process->limit, code);
        if (step == CLOUD_LIMIT_NONE)
            return code;
        if (step == CLOUD_LIMIT_LOST) {
            process->exited = process->ends[0] = process->ends[1] = true;
            return 0;
        }
        kill_tree(process);
    }
}

int daytona_process_read(void *self, const struct sbx_call *call, struct sbx_event *ret_event,
                         struct sbx_error *err)
{
    struct daytona_process *process = self;
    struct deadline deadline = deadline_from_call(call);
    struct output_event event;
    if (whole_next(process, ret_event))
        return 0;
    while (!is_over(process)) {
        int code = wait_event(process, deadline, &event, err);
        if (code < 0)
            return code;
        if (event.kind == OUTPUT_DATA) {
            *ret_event = (struct sbx_event){.kind = SBX_EVENT_OUTPUT,
                                            .stream = event.stream,
                                            .data = process->out.data,
                                            .size = process->out.size};
            return 0;
        }
        note(process, &event);
    }
    set_exit(process, ret_event);
    return 0;
}

void daytona_process_free(void *self)
{
    struct daytona_process *process = self;
    bool keep = process->flags & SBX_EXEC_BACKGROUND;
    if (!process->ended && process->pid && !keep)
        kill_tree(process);
    if (!keep && !process->whole && !process->stream)
        forget(process);
    process_delete(process);
}
