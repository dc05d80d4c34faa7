// SPDX-License-Identifier: Apache-2.0
// sandboxes logs and top: the commands of a sandbox and what they wrote. Layer: cli.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sandboxes/process.h>

#include "base/clock.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/out.h"
#include "cli/pump.h"
#include "cli/signals.h"
#include "cli/target.h"

// Output that is already there arrives at once; a command silent for that long has said what it
// had.
#define QUIET_MS 200

struct logs_values {
    const char *provider;
    int follow, json;
};

#define FIELD(member) .offset = offsetof(struct logs_values, member)

static const struct opt_row logs_rows[] = {
    {.name = "follow",
     .letter = 'f',
     .kind = OPT_FLAG,
     FIELD(follow),
     .help = "stay until the command ends, and end with its exit status"},
    PROVIDER_ROW("look for the sandbox only there"),
};

static const struct opt_row top_rows[] = {
    {.name = "json", .kind = OPT_FLAG, FIELD(json), .help = "print JSON"},
    PROVIDER_ROW("look for the sandbox only there"),
};

// The newest command that runs in the background.
static int find_newest(struct sbx_sandbox *sandbox, uint32_t *ret_pid, struct sbx_error *err)
{
    struct sbx_process_list list = {0};
    const struct sbx_process_info *newest = NULL;
    int code = sbx_process_list(sandbox, NULL, &list, err);
    if (code < 0)
        return code;
    for (size_t i = 0; i < list.count; i++)
        if ((list.items[i].flags & SBX_EXEC_BACKGROUND) &&
            (!newest || list.items[i].started_ms >= newest->started_ms))
            newest = &list.items[i];
    if (newest)
        *ret_pid = newest->pid;
    else
        code = err_set(err, SBX_ERR_NOT_FOUND, "%s has no background command",
                       sbx_sandbox_id(sandbox));
    sbx_process_list_free(&list);
    if (code < 0)
        err_hint(err, "start one with: sandboxes exec -d %s COMMAND", sbx_sandbox_id(sandbox));
    return code;
}

static int choose_pid(struct sbx_sandbox *sandbox, const char *text, uint32_t *ret_pid,
                      struct sbx_error *err)
{
    int64_t pid;
    if (!text)
        return find_newest(sandbox, ret_pid, err);
    if (units_parse_int(text, 1, UINT32_MAX, &pid) < 0) {
        err_set(err, SBX_ERR_INVALID, "'%s' is not the number of a command", text);
        return err_hint(err, "'sandboxes top %s' shows the numbers", sbx_sandbox_id(sandbox));
    }
    *ret_pid = (uint32_t)pid;
    return 0;
}

static int show_logs(struct sbx_sandbox *sandbox, uint32_t pid, bool follow, int *ret_status,
                     struct sbx_error *err)
{
    struct pump pump = {.out_fd = STDOUT_FILENO, .err_fd = STDERR_FILENO};
    struct pump_end end;
    struct sbx_process *process;
    int code = sbx_process_attach(sandbox, pid, NULL, &process, err);
    if (code < 0)
        return code;
    code = pump_follow(process, &pump, follow ? 0 : QUIET_MS, &end, err);
    sbx_process_free(process);
    if (code == SBX_ERR_TIMEOUT && !follow) {
        *ret_status = 0;
        return 0;
    }
    if (code == 0)
        *ret_status = follow || end.output_closed ? pump_exit_status(&end) : 0;
    return code;
}

static int run_logs(struct cli *cli, struct invocation *use)
{
    const struct logs_values *values = use->values;
    struct sbx_error err;
    uint32_t pid = 0;
    int status = 0;
    cleanup_target struct sbx_sandbox *sandbox = NULL;
    int code = target_get(cli, values->provider, use->operands.items[0], &sandbox, &err);
    if (code == 0)
        code = choose_pid(sandbox, use->operands.count > 1 ? use->operands.items[1] : NULL, &pid,
                          &err);
    if (code == 0)
        code = show_logs(sandbox, pid, values->follow > 0, &status, &err);
    return code < 0 ? cli_fail(cli, &err) : status;
}

static const struct table_column columns[] = {
    {"PID", TABLE_WHOLE | TABLE_RIGHT},
    {"STATE", TABLE_WHOLE},
    {"AGE", TABLE_WHOLE},
    {"COMMAND", 0},
};

static int print_table(struct cli *cli, const struct sbx_process_list *list)
{
    cleanup_table struct table table = TABLE_INIT(columns);
    int64_t now = clock_unix_ms();
    for (size_t i = 0; i < list->count; i++) {
        const struct sbx_process_info *info = &list->items[i];
        char text[UNITS_SIZE];
        snprintf(text, sizeof(text), "%" PRIu32, info->pid);
        table_add(&table, text);
        snprintf(text, sizeof(text), "exit %" PRId32, info->exit_code);
        table_add(&table, info->running ? "running" : text);
        int64_t age = now > info->started_ms ? now - info->started_ms : 0;
        table_add(&table, units_duration(age, text));
        table_add(&table, info->command ? info->command : "");
    }
    return table_flush(cli, &table);
}

static int print_json(struct cli *cli, const struct sbx_process_list *list)
{
    cleanup_buf struct buf buf = BUF_INIT(OUT_MAX);
    struct json json = JSON_INIT(&buf, true);
    json_begin_array(&json);
    for (size_t i = 0; i < list->count; i++) {
        const struct sbx_process_info *info = &list->items[i];
        json_begin_object(&json);
        json_put_uint(&json, "pid", info->pid);
        json_put_bool(&json, "running", info->running);
        json_put_int(&json, "exit_code", info->exit_code);
        json_put_bool(&json, "background", info->flags & SBX_EXEC_BACKGROUND);
        json_put_bool(&json, "tty", info->flags & SBX_EXEC_PTY);
        json_put_int(&json, "started_ms", info->started_ms);
        json_put_text(&json, "command", info->command);
        json_end_object(&json);
    }
    json_end_array(&json);
    return out_json(cli, &json);
}

static int run_top(struct cli *cli, struct invocation *use)
{
    const struct logs_values *values = use->values;
    struct sbx_error err;
    struct sbx_process_list list = {0};
    cleanup_target struct sbx_sandbox *sandbox = NULL;
    cli->json = values->json > 0;
    int code = target_get(cli, values->provider, use->operands.items[0], &sandbox, &err);
    if (code == 0)
        code = sbx_process_list(sandbox, NULL, &list, &err);
    if (code < 0)
        return cli_fail(cli, &err);
    int status = values->json > 0 ? print_json(cli, &list) : print_table(cli, &list);
    sbx_process_list_free(&list);
    return status;
}

const struct command command_logs = {
    .name = "logs",
    .aliases = "attach",
    .summary = "show what a background command wrote",
    .operands = "[OPTIONS] SANDBOX [PID]",
    .details =
        "Shows the kept output of a command that was started with 'sandboxes exec -d': the one "
        "numbered PID, else the newest.",
    .parts = {{"Options", logs_rows, ARRAY_SIZE(logs_rows), 0}},
    .values_size = sizeof(struct logs_values),
    .least = 1,
    .most = 2,
    .complete = COMPLETE_SANDBOX,
    .run = run_logs,
};

const struct command command_top = {
    .name = "top",
    .aliases = "processes",
    .summary = "list the commands of a sandbox",
    .operands = "[OPTIONS] SANDBOX",
    .details =
        "Lists the commands that run in the sandbox, and those that ended and whose output is "
        "still kept.",
    .parts = {{"Options", top_rows, ARRAY_SIZE(top_rows), 0}},
    .values_size = sizeof(struct logs_values),
    .least = 1,
    .most = 1,
    .complete = COMPLETE_SANDBOX,
    .run = run_top,
};
