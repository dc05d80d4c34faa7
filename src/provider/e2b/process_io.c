// SPDX-License-Identifier: Apache-2.0
// Input, size and signals of commands of E2B, and the list of them. Layer: provider.

#include "base/cleanup.h"
#include "base/json.h"
#include "provider/cloud/commands.h"
#include "provider/e2b/files.h"
#include "provider/e2b/process.h"

#define INPUT_PIECE (256u << 10)
#define SHOWN_MAX 256 // of a command in the list

static void begin(struct json *json, uint32_t pid)
{
    json_begin_object(json);
    json_key(json, "process");
    json_begin_object(json);
    json_put_uint(json, "pid", pid);
    json_end_object(json);
}

static int all_processes(struct e2b_box *box, struct deadline deadline, struct jsonv **ret_answer,
                         struct sbx_error *err)
{
    cleanup_buf struct buf message = BUF_INIT(100);
    buf_puts(&message, "{}");
    return e2b_envd_call(box, NULL, "process.Process/List", &message, "cannot list commands", true,
                         deadline, ret_answer, err);
}

// How an attached command was started tells its tag.
static int know_flags(struct e2b_process *process, struct deadline deadline, struct sbx_error *err)
{
    cleanup_jsonv struct jsonv *answer = NULL;
    int64_t started;
    if (process->flags_known)
        return 0;
    int code = all_processes(process->box, deadline, &answer, err);
    if (code < 0)
        return code;
    const struct jsonv *list = jsonv_get(answer, "processes");
    for (size_t i = 0; i < jsonv_count(list); i++) {
        const struct jsonv *item = jsonv_at(list, i);
        if (jsonv_int(item, "pid", 0) == process->pid)
            e2b_start_tag(jsonv_text(item, "tag"), &process->flags, &started);
    }
    process->flags_known = true;
    process->flags |= SBX_EXEC_BACKGROUND; // whoever attaches does not end it
    return 0;
}

static int send_piece(struct e2b_process *process, const char *data, size_t size,
                      struct deadline deadline, struct sbx_error *err)
{
    cleanup_buf struct buf message = BUF_INIT(MESSAGE_MAX);
    struct json json = JSON_INIT(&message, false);
    begin(&json, process->pid);
    json_key(&json, "input");
    json_begin_object(&json);
    json_key(&json, process->flags & SBX_EXEC_PTY ? "pty" : "stdin");
    json_base64(&json, data, size);
    json_end_object(&json);
    json_end_object(&json);
    return e2b_envd_call(process->box, process->user, "process.Process/SendInput", &message,
                         "cannot write to the command", false, deadline, NULL, err);
}

int e2b_process_write(void *self, const void *data, size_t size, const struct sbx_call *call,
                      struct sbx_error *err)
{
    struct e2b_process *process = self;
    struct deadline deadline = deadline_from_call(call);
    const char *at = data;
    int code = know_flags(process, deadline, err);
    while (code == 0 && size > 0) {
        size_t piece = size < INPUT_PIECE ? size : INPUT_PIECE;
        code = send_piece(process, at, piece, deadline, err);
        at += piece;
        size -= piece;
    }
    return code;
}

int e2b_process_close_input(void *self, struct sbx_error *err)
{
    struct e2b_process *process = self;
    struct deadline deadline = deadline_in(REQUEST_MS);
    cleanup_buf struct buf message = BUF_INIT(1000);
    struct json json = JSON_INIT(&message, false);
    int code = know_flags(process, deadline, err);
    if (code == 0 && (process->flags & SBX_EXEC_PTY))
        return send_piece(process, "\004", 1, deadline, err);
    begin(&json, process->pid);
    json_end_object(&json);
    return code < 0
               ? code
               : e2b_envd_call(process->box, process->user, "process.Process/CloseStdin", &message,
                               "cannot end the command's input", false, deadline, NULL, err);
}

int e2b_process_resize(void *self, uint16_t rows, uint16_t cols, struct sbx_error *err)
{
    struct e2b_process *process = self;
    cleanup_buf struct buf message = BUF_INIT(1000);
    struct json json = JSON_INIT(&message, false);
    begin(&json, process->pid);
    json_key(&json, "pty");
    json_begin_object(&json);
    json_key(&json, "size");
    json_begin_object(&json);
    json_put_uint(&json, "cols", cols);
    json_put_uint(&json, "rows", rows);
    json_end_object(&json);
    json_end_object(&json);
    json_end_object(&json);
    return e2b_envd_call(process->box, process->user, "process.Process/Update", &message,
                         "cannot resize the terminal", true, deadline_in(REQUEST_MS), NULL, err);
}

int e2b_process_signal(void *self, int32_t signal, struct sbx_error *err)
{
    struct e2b_process *process = self;
    if (process->ended)
        return err_set(err, SBX_ERR_NOT_FOUND, "command %u has ended", process->pid);
    return cloud_files_signal(&e2b_files, process->box, process->user, process->pid, signal,
                              deadline_in(REQUEST_MS), err);
}

static void add_process(struct cloud_commands *commands, const struct jsonv *item)
{
    cleanup_buf struct buf shown = BUF_INIT(1 << 20);
    struct sbx_process_info info = {.pid = (uint32_t)jsonv_int(item, "pid", 0), .running = 1};
    e2b_start_tag(jsonv_text(item, "tag"), &info.flags, &info.started_ms);
    e2b_start_shown(jsonv_get(item, "config"), &shown);
    cloud_commands_add(commands, &info, &shown, SHOWN_MAX);
}

int e2b_process_list(void *self, const struct sbx_call *call, struct sbx_process_list *ret_list,
                     struct sbx_error *err)
{
    cleanup_jsonv struct jsonv *answer = NULL;
    int code = all_processes(self, cloud_deadline(call), &answer, err);
    if (code < 0)
        return code;
    const struct jsonv *list = jsonv_get(answer, "processes");
    struct cloud_commands *commands = cloud_commands_new(jsonv_count(list));
    if (!commands)
        return err_nomem(err);
    for (size_t i = 0; i < jsonv_count(list); i++)
        add_process(commands, jsonv_at(list, i));
    return cloud_commands_finish(commands, ret_list, err);
}
