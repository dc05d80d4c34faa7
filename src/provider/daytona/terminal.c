// SPDX-License-Identifier: Apache-2.0
// Terminals of Daytona. The service starts its user's shell there, which is told to become the
// command; what it writes until then is left out. Layer: provider.
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "net/json.h"
#include "provider/daytona/process.h"

#define PREFACE_MAX (256u << 10) // what a shell may say before it listens
#define BECOME "exec /bin/sh -c \"$SANDBOXES_RUN\"\n"

static int make(struct daytona_process *process, const struct sbx_exec *exec,
                struct deadline deadline, struct sbx_error *err)
{
    cleanup_buf struct buf script = BUF_INIT(SCRIPT_MAX), body = BUF_INIT(2 * SCRIPT_MAX);
    struct json json = JSON_INIT(&body, false);
    script_terminal(&script, exec, process->box->workdir);
    if (!buf_text(&script))
        return err_set(err, SBX_ERR_QUOTA, "the command is longer than %u bytes", SCRIPT_MAX);
    json_begin_object(&json);
    json_put_text(&json, "id", process->name);
    json_put_uint(&json, "cols", exec->cols ? exec->cols : 80);
    json_put_uint(&json, "rows", exec->rows ? exec->rows : 24);
    json_key(&json, "envs");
    json_begin_object(&json);
    json_put_text(&json, "TERM", "xterm-256color");
    json_put_text(&json, "SANDBOXES_RUN", script.data);
    json_end_object(&json);
    json_end_object(&json);
    return daytona_toolbox_call(process->box, "POST", "process/pty", &body,
                                "cannot open a terminal", deadline, NULL, err);
}

// "{"exitCode":3,...}" behind the two bytes of the code of a close.
static int read_close(struct daytona_process *process, struct sbx_error *err)
{
    cleanup_jsonv struct jsonv *root = NULL;
    struct sbx_error ignored;
    int64_t status = -1;
    if (process->size > 2 &&
        jsonv_parse(process->data + 2, process->size - 2, &root, &ignored) == 0)
        status = jsonv_int(root, "exitCode", -1);
    process->size = 0;
    if (status < 0 || status > INT32_MAX)
        return err_set(err, SBX_ERR_UNAVAILABLE, "the service did not say how command %u ended",
                       process->id);
    output_outcome((uint32_t)status, &process->outcome);
    return 0;
}

int terminal_next(struct daytona_process *process, struct deadline deadline,
                  struct output_event *ret_event, struct sbx_error *err)
{
    enum ws_kind kind;
    process->out.size = 0;
    for (;;) {
        if (process->size > 0) {
            buf_add(&process->out, process->data, process->size);
            process->size = 0;
            *ret_event = (struct output_event){.kind = OUTPUT_DATA, .stream = SBX_STDOUT};
            return process->out.failed ? err_nomem(err) : 0;
        }
        int code = ws_read(process->ws, deadline, &kind, &process->data, &process->size, err);
        if (code < 0)
            return code;
        if (kind == WS_CLOSE) {
            *ret_event = (struct output_event){.kind = OUTPUT_EXIT};
            return read_close(process, err);
        }
        if (kind != WS_BINARY) // the service's own words
            process->size = 0;
    }
}

// A word of the script at the beginning of a line; its end, NULL if there is none yet.
static const char *find_word(const char *data, size_t size, char word[64])
{
    const char *end = data + size;
    for (const char *at = data; at < end; at++) {
        bool begins = at == data || at[-1] == '\n' || at[-1] == '\r';
        const char *line_end = begins && *at == '!' ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        size_t length = line_end ? (size_t)(line_end - at) : 0;
        if (length > 0 && at[length - 1] == '\r')
            length--;
        if (length == 0 || length >= 64)
            continue;
        memcpy(word, at, length);
        word[length] = '\0';
        return line_end + 1;
    }
    return NULL;
}

static int await_program(struct daytona_process *process, const struct sbx_exec *exec,
                         struct deadline deadline, struct sbx_error *err)
{
    cleanup_buf struct buf seen = BUF_INIT(PREFACE_MAX);
    struct output_event event;
    char word[64];
    const char *rest = NULL;
    while (!rest) {
        int code = terminal_next(process, deadline, &event, err);
        if (code < 0)
            return code;
        if (event.kind == OUTPUT_EXIT)
            return err_set(err, SBX_ERR_UNAVAILABLE, "the terminal's shell ended");
        buf_add(&seen, process->out.data, process->out.size);
        if (seen.failed)
            return err_set(err, SBX_ERR_PROTOCOL,
                           "the terminal's shell does not become the command");
        rest = find_word(seen.data, seen.size, word);
    }
    int code = output_word(word, &event, err);
    if (code < 0)
        return code;
    if (event.kind == OUTPUT_FAIL)
        return process_no_program(exec, event.number, err);
    process->pid = event.number;
    // What follows is the end of the last message, which stays until the next is read.
    size_t left = (size_t)(seen.data + seen.size - rest);
    process->out.size = 0;
    buf_add(&process->out, rest, left);
    process->data = process->out.data;
    process->size = left;
    return process->out.failed ? err_nomem(err) : 0;
}

int terminal_start(struct daytona_process *process, const struct sbx_exec *exec,
                   struct deadline deadline, struct sbx_error *err)
{
    char path[200];
    if (exec->flags & SBX_EXEC_BACKGROUND)
        return err_set(err, SBX_ERR_UNSUPPORTED,
                       "provider 'daytona' has no terminals in the background");
    snprintf(path, sizeof(path), "process/pty/%s/connect", process->name);
    int code = make(process, exec, deadline, err);
    if (code == 0)
        code = daytona_toolbox_open(process->box, path, "cannot open a terminal", deadline,
                                    &process->ws, err);
    if (code == 0)
        code = ws_send(process->ws, WS_BINARY, BECOME, strlen(BECOME), deadline, err);
    return code < 0 ? code : await_program(process, exec, deadline, err);
}
