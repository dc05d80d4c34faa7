// SPDX-License-Identifier: Apache-2.0
// Input, size and signals of commands of Daytona, and the list of them. Layer: provider.
#include <stdio.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "provider/cloud/commands.h"
#include "provider/daytona/files.h"
#include "provider/daytona/process.h"

#define INPUT_PIECE (48u << 10)
#define INPUT_MAX (256u << 10)

static int send_text(struct daytona_process *process, struct buf *text, struct deadline deadline,
                     struct sbx_error *err)
{
    cleanup_buf struct buf body = BUF_INIT(INPUT_MAX);
    struct json json = JSON_INIT(&body, false);
    char path[400];
    if (!buf_text(text))
        return err_nomem(err);
    json_begin_object(&json);
    json_put_text(&json, "data", text->data);
    json_end_object(&json);
    snprintf(path, sizeof(path), "process/session/%s/command/%s/input", process->name,
             process->command);
    return daytona_toolbox_call(process->box, "POST", path, &body, "cannot write to the command",
                                deadline, NULL, err);
}

// The script's d() reads the number of bytes of Base64 first.
static int send_piece(struct daytona_process *process, const char *data, size_t size,
                      struct deadline deadline, struct sbx_error *err)
{
    cleanup_buf struct buf text = BUF_INIT(INPUT_MAX);
    buf_printf(&text, "%zu\n", (size + 2) / 3 * 4);
    base64_encode(&text, data, size);
    buf_puts(&text, "\n");
    return send_text(process, &text, deadline, err);
}

static int has_ended(const struct daytona_process *process, struct sbx_error *err)
{
    return process->exited ? err_set(err, SBX_ERR_NOT_FOUND, "command %u has ended", process->id)
                           : 0;
}

int daytona_process_write(void *self, const void *data, size_t size, const struct sbx_call *call,
                          struct sbx_error *err)
{
    struct daytona_process *process = self;
    struct deadline deadline = deadline_from_call(call);
    const char *at = data;
    int code = has_ended(process, err);
    while (code == 0 && size > 0) {
        size_t piece = size < INPUT_PIECE ? size : INPUT_PIECE;
        code = process->terminal ? ws_send(process->ws, WS_BINARY, at, piece, deadline, err)
                                 : send_piece(process, at, piece, deadline, err);
        at += piece;
        size -= piece;
    }
    return code;
}

int daytona_process_close_input(void *self, struct sbx_error *err)
{
    struct daytona_process *process = self;
    struct deadline deadline = deadline_in(REQUEST_MS);
    cleanup_buf struct buf text = BUF_INIT(16);
    if (process->terminal)
        return ws_send(process->ws, WS_BINARY, "\004", 1, deadline, err);
    buf_puts(&text, ".\n");
    return send_text(process, &text, deadline, err);
}

int daytona_process_resize(void *self, uint16_t rows, uint16_t cols, struct sbx_error *err)
{
    struct daytona_process *process = self;
    cleanup_buf struct buf body = BUF_INIT(1000);
    struct json json = JSON_INIT(&body, false);
    char path[200];
    json_begin_object(&json);
    json_put_uint(&json, "cols", cols);
    json_put_uint(&json, "rows", rows);
    json_end_object(&json);
    snprintf(path, sizeof(path), "process/pty/%s/resize", process->name);
    return daytona_toolbox_call(process->box, "POST", path, &body, "cannot resize the terminal",
                                deadline_in(REQUEST_MS), NULL, err);
}

int daytona_process_signal(void *self, int32_t signal, struct sbx_error *err)
{
    struct daytona_process *process = self;
    int code = has_ended(process, err);
    return code < 0 ? code
                    : cloud_files_signal(&daytona_files, process->box, NULL, process->pid, signal,
                                         deadline_in(REQUEST_MS), err);
}

// A session that is not one of ours is left out.
static void add_session(struct cloud_commands *commands, const struct jsonv *session)
{
    const struct jsonv *command = jsonv_at(jsonv_get(session, "commands"), 0);
    cleanup_buf struct buf shown = BUF_INIT(4096);
    struct sbx_process_info info = {.running = !jsonv_get(command, "exitCode")};
    if (!command || !script_name_parse(jsonv_text(session, "sessionId"), &info.flags,
                                       &info.started_ms, &info.pid))
        return;
    script_shown(jsonv_text(command, "command"), &shown);
    cloud_commands_add(commands, &info, &shown, shown.size);
}

int daytona_process_list(void *self, const struct sbx_call *call, struct sbx_process_list *ret_list,
                         struct sbx_error *err)
{
    cleanup_jsonv struct jsonv *answer = NULL;
    daytona_box_leave(self, NULL);
    int code = daytona_toolbox_call(self, "GET", "process/session", NULL, "cannot list commands",
                                    cloud_deadline(call), &answer, err);
    if (code < 0)
        return code;
    struct cloud_commands *commands = cloud_commands_new(jsonv_count(answer));
    if (!commands)
        return err_nomem(err);
    for (size_t i = 0; i < jsonv_count(answer); i++)
        add_session(commands, jsonv_at(answer, i));
    return cloud_commands_finish(commands, ret_list, err);
}
