// SPDX-License-Identifier: Apache-2.0
/*
 * How a command is started with envd. envd knows no difference between a program that is missing
 * and one that exits with 127, and no merged or clean output or environment. So a small shell
 * script goes before the program: it checks for it, says READY on stderr (a terminal's output) and
 * becomes it by exec, with the same process id. Layer: provider.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "provider/cloud/commands.h"
#include "provider/e2b/process.h"

#define MARK "\036sandboxes:" // no program begins with the character "record separator"
#define SCRIPT_NAME "sandboxes"

// $1 is the program to check for, the rest what to run.
#define CHECK                                                                                      \
    "m() { printf '\\036sandboxes:%s\\036' \"$1\" >&2; }\n"                                        \
    "case $1 in\n"                                                                                 \
    "*/*) if [ ! -e \"$1\" ]; then m 2; exit 127\n"                                                \
    "elif [ -d \"$1\" ] || [ ! -x \"$1\" ]; then m 13; exit 126; fi;;\n"                           \
    "*) command -v -- \"$1\" >/dev/null 2>&1 || { m 2; exit 127; };;\n"                            \
    "esac\n"                                                                                       \
    "m 0\nshift\n"
#define RUN "exec \"$@\"\n"

bool e2b_start_tag(const char *tag, uint32_t *ret_flags, int64_t *ret_started_ms)
{
    unsigned flags;
    long long started;
    if (!tag || sscanf(tag, "sandboxes-%x-%lld", &flags, &started) != 2)
        return false;
    *ret_flags = flags;
    *ret_started_ms = started;
    return true;
}

static void put_args(struct json *json, const struct sbx_exec *exec)
{
    bool merge = exec->flags & SBX_EXEC_MERGE;
    json_begin_array(json);
    json_text(json, "-c");
    json_text(json, merge ? CHECK "exec 2>&1\n" RUN : CHECK RUN);
    json_text(json, SCRIPT_NAME);
    json_text(json, exec->shell ? "/bin/sh" : exec->argv[0]);
    if (exec->flags & SBX_EXEC_CLEAN_ENV) {
        json_text(json, "env");
        json_text(json, "-i");
        for (size_t i = 0; i < exec->env_count; i++) {
            char pair[70000];
            snprintf(pair, sizeof(pair), "%s=%s", exec->env[i].name, exec->env[i].value);
            json_text(json, pair);
        }
    }
    cloud_put_words(json, exec);
    json_end_array(json);
}

static void put_process(struct json *json, const struct e2b_box *box, const struct sbx_exec *exec)
{
    const char *cwd = exec->cwd ? exec->cwd : exec->user ? NULL : box->workdir;
    json_key(json, "process");
    json_begin_object(json);
    json_put_text(json, "cmd", "/bin/sh");
    json_key(json, "args");
    put_args(json, exec);
    json_key(json, "envs");
    json_begin_object(json);
    if (exec->flags & SBX_EXEC_PTY)
        json_put_text(json, "TERM", "xterm-256color");
    for (size_t i = 0; i < exec->env_count; i++)
        json_put_text(json, exec->env[i].name, exec->env[i].value);
    json_end_object(json);
    if (cwd)
        json_put_text(json, "cwd", cwd);
    json_end_object(json);
}

int e2b_start_message(const struct e2b_box *box, const struct sbx_exec *exec, struct buf *message,
                      struct sbx_error *err)
{
    char tag[64];
    struct json json = JSON_INIT(message, false);
    snprintf(tag, sizeof(tag), "sandboxes-%x-%" PRId64, exec->flags, clock_unix_ms());
    json_begin_object(&json);
    put_process(&json, box, exec);
    if (exec->flags & SBX_EXEC_PTY) {
        json_key(&json, "pty");
        json_begin_object(&json);
        json_key(&json, "size");
        json_begin_object(&json);
        json_put_uint(&json, "cols", exec->cols ? exec->cols : 80);
        json_put_uint(&json, "rows", exec->rows ? exec->rows : 24);
        json_end_object(&json);
        json_end_object(&json);
    }
    json_put_text(&json, "tag", tag);
    json_put_bool(&json, "stdin", (exec->flags & SBX_EXEC_STDIN) != 0);
    json_end_object(&json);
    return message->failed
               ? err_set(err, SBX_ERR_QUOTA, "the command is longer than %u bytes", MESSAGE_MAX)
               : 0;
}

int e2b_start_line(const char *text, size_t size, int *ret_errno)
{
    size_t mark = strlen(MARK);
    if (memcmp(text, MARK, size < mark ? size : mark) != 0)
        return -1;
    const char *end = size > mark ? memchr(text + mark, '\036', size - mark) : NULL;
    if (!end)
        return size < START_LINE_MAX ? 0 : -1;
    *ret_errno = atoi(text + mark);
    return (int)(end + 1 - text);
}

void e2b_start_shown(const struct jsonv *config, struct buf *out)
{
    const struct jsonv *args = jsonv_get(config, "args");
    const char *name = jsonv_as_text(jsonv_at(args, 2)), *cmd = jsonv_text(config, "cmd");
    size_t first = 0;
    if (name && strcmp(name, SCRIPT_NAME) == 0) {
        const char *flag = jsonv_as_text(jsonv_at(args, 5)), *sh = jsonv_as_text(jsonv_at(args, 4));
        bool line = sh && flag && strcmp(sh, "/bin/sh") == 0 && strcmp(flag, "-c") == 0;
        first = line ? 6 : 4;
    } else if (cmd) {
        buf_puts(out, cmd);
    }
    for (size_t i = first; i < jsonv_count(args) && out->size < 256; i++) {
        const char *text = jsonv_as_text(jsonv_at(args, i));
        buf_puts(out, out->size ? " " : "");
        buf_puts(out, text ? text : "");
    }
}
