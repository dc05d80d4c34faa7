// SPDX-License-Identifier: Apache-2.0
// sandboxes list and inspect. Layer: cli.
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/out.h"
#include "cli/report.h"
#include "cli/target.h"

struct list_values {
    const char *provider;
    struct opt_list labels;
    int json, quiet;
};

#define FIELD(member) .offset = offsetof(struct list_values, member)

static const struct opt_row list_rows[] = {
    PROVIDER_ROW("only those of this provider"),
    {.name = "label",
     .letter = 'l',
     .kind = OPT_PAIR,
     .value = "NAME=VALUE",
     FIELD(labels),
     .help = "only those with this label; repeatable"},
    {.name = "quiet", .letter = 'q', .kind = OPT_FLAG, FIELD(quiet), .help = "print only ids"},
    {.name = "json", .kind = OPT_FLAG, FIELD(json), .help = "print JSON"},
};

static int print_json(struct cli *cli, const struct sbx_list *list)
{
    cleanup_buf struct buf buf = BUF_INIT(OUT_MAX);
    struct json json = JSON_INIT(&buf, true);
    json_begin_array(&json);
    for (size_t i = 0; i < list->count; i++)
        report_info(&json, &list->items[i]);
    json_end_array(&json);
    return out_json(cli, &json);
}

static int print_ids(struct cli *cli, const struct sbx_list *list)
{
    cleanup_buf struct buf buf = BUF_INIT(OUT_MAX);
    for (size_t i = 0; i < list->count; i++) {
        utf8_add_printable(&buf, list->items[i].id, strlen(list->items[i].id));
        buf_add(&buf, "\n", 1);
    }
    return out_flush(cli, &buf);
}

static const struct table_column columns[] = {
    {"ID", TABLE_WHOLE},  {"PROVIDER", TABLE_WHOLE}, {"STATE", TABLE_WHOLE},
    {"AGE", TABLE_WHOLE}, {"ENDS IN", TABLE_WHOLE},  {"IMAGE", 0},
    {"LABELS", 0},
};

static void add_time(struct table *table, int64_t ms)
{
    char text[UNITS_SIZE];
    table_add(table, ms >= 0 ? units_duration(ms, text) : "-");
}

static void add_labels(struct table *table, const struct sbx_info *info)
{
    cleanup_buf struct buf buf = BUF_INIT(64 * 1024);
    for (size_t i = 0; i < info->label_count; i++)
        buf_printf(&buf, "%s%s=%s", i ? " " : "", info->labels[i].name, info->labels[i].value);
    const char *text = buf_text(&buf);
    table_add(table, text ? text : "...");
}

static void add_row(struct table *table, const struct sbx_info *info, int64_t now_ms)
{
    const char *state = sbx_state_name(info->state);
    table_add(table, info->id);
    table_add(table, info->provider);
    table_add(table, state ? state : "unknown");
    add_time(table, info->created_ms > 0 ? now_ms - info->created_ms : -1);
    add_time(table, info->expires_ms > now_ms ? info->expires_ms - now_ms : -1);
    table_add(table, info->image ? info->image : "-");
    add_labels(table, info);
}

static int print_table(struct cli *cli, const struct sbx_list *list)
{
    cleanup_table struct table table = TABLE_INIT(columns);
    for (size_t i = 0; i < list->count; i++)
        add_row(&table, &list->items[i], clock_unix_ms());
    return table_flush(cli, &table);
}

static int run_list(struct cli *cli, struct invocation *use)
{
    const struct list_values *values = use->values;
    struct sbx_list list = {0};
    struct sbx_error err;
    cli->json = values->json > 0;
    if (target_list(cli, values->provider, &values->labels, &list, &err) < 0)
        return cli_fail(cli, &err);
    int status;
    if (values->json > 0)
        status = print_json(cli, &list);
    else if (values->quiet > 0)
        status = print_ids(cli, &list);
    else
        status = print_table(cli, &list);
    sbx_list_free(&list);
    return status;
}

static const struct opt_row inspect_rows[] = {
    PROVIDER_ROW("look for the sandbox only there"),
    {.name = "json", .kind = OPT_FLAG, FIELD(json), .help = "print JSON, which it does anyway"},
};

static int run_inspect(struct cli *cli, struct invocation *use)
{
    const struct list_values *values = use->values;
    struct sbx_error err;
    struct sbx_info info = {.size = sizeof(info)};
    cleanup_target struct sbx_sandbox *sandbox = NULL;
    int code = target_get(cli, values->provider, use->operands.items[0], &sandbox, &err);
    if (code == 0)
        code = sbx_sandbox_info(sandbox, NULL, &info, &err);
    cli->json = values->json > 0;
    if (code < 0)
        return cli_fail(cli, &err);
    cleanup_buf struct buf buf = BUF_INIT(OUT_MAX);
    struct json json = JSON_INIT(&buf, true);
    report_info(&json, &info);
    return out_json(cli, &json);
}

static const struct command_example list_examples[] = {
    {"sandboxes list", "all that live"},
    {"sandboxes list -l env=prod --json", "some of them, for a program"},
    {"sandboxes destroy $(sandboxes list -q -l env=test)", "ids for another command"},
    {NULL, NULL},
};

const struct command command_list = {
    .name = "list",
    .aliases = "ls ps",
    .summary = "list living sandboxes",
    .operands = "[OPTIONS]",
    .details =
        "Lists the sandboxes that live, oldest first, those of all configured providers. On a "
        "terminal the table is cut to its width; ids never are.",
    .examples = list_examples,
    .parts = {{"Options", list_rows, ARRAY_SIZE(list_rows), 0}},
    .values_size = sizeof(struct list_values),
    .run = run_list,
};

const struct command command_inspect = {
    .name = "inspect",
    .aliases = "info",
    .summary = "show all facts about a sandbox as JSON",
    .operands = "[OPTIONS] SANDBOX",
    .details =
        "Prints a JSON object: id, provider, state, image, user, network, times, limits, labels "
        "and ports.",
    .parts = {{"Options", inspect_rows, ARRAY_SIZE(inspect_rows), 0}},
    .values_size = sizeof(struct list_values),
    .least = 1,
    .most = 1,
    .complete = COMPLETE_SANDBOX,
    .run = run_inspect,
};
