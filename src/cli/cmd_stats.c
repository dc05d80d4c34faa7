// SPDX-License-Identifier: Apache-2.0
// sandboxes stats: what sandboxes use. Layer: cli.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "cli/command.h"
#include "cli/message.h"
#include "cli/out.h"
#include "cli/report.h"
#include "cli/target.h"
#include "cli/term.h"

struct stats_values {
    const char *provider;
    int follow, json;
};

#define FIELD(member) .offset = offsetof(struct stats_values, member)

static const struct opt_row rows[] = {
    {.name = "follow",
     .letter = 'f',
     .kind = OPT_FLAG,
     FIELD(follow),
     .help = "again every second"},
    {.name = "json",
     .kind = OPT_FLAG,
     FIELD(json),
     .help = "print JSON, one object a line for each sandbox"},
    PROVIDER_ROW("only sandboxes of this provider"),
};

static const struct table_column columns[] = {
    {"ID", TABLE_WHOLE},   {"CPU TIME", TABLE_RIGHT}, {"MEMORY", TABLE_RIGHT},
    {"PEAK", TABLE_RIGHT}, {"LIMIT", TABLE_RIGHT},    {"DISK", TABLE_RIGHT},
    {"OF", TABLE_RIGHT},   {"PIDS", TABLE_RIGHT},     {"OOM KILLS", TABLE_RIGHT},
};

// Where one round of figures goes.
struct round {
    struct cli *cli;
    bool json;
    struct table table;
    struct buf lines;
};

static void add_bytes(struct table *table, uint64_t bytes, bool zero_is_none)
{
    char text[UNITS_SIZE];
    table_add(table, zero_is_none && bytes == 0 ? "-" : units_bytes(bytes, text));
}

static void add_number(struct table *table, uint64_t number)
{
    char text[UNITS_SIZE];
    snprintf(text, sizeof(text), "%" PRIu64, number);
    table_add(table, text);
}

static void add_metrics(struct round *round, const char *id, const struct sbx_metrics *metrics)
{
    if (round->json) {
        struct json json = JSON_INIT(&round->lines, false);
        report_metrics(&json, id, metrics);
        buf_add(&round->lines, "\n", 1);
        return;
    }
    char cpu[UNITS_SIZE];
    snprintf(cpu, sizeof(cpu), "%" PRIu64 ".%03" PRIu64 "s", metrics->cpu_usec / 1000000,
             metrics->cpu_usec / 1000 % 1000);
    table_add(&round->table, id);
    table_add(&round->table, cpu);
    add_bytes(&round->table, metrics->memory_bytes, false);
    add_bytes(&round->table, metrics->memory_peak_bytes, false);
    add_bytes(&round->table, metrics->memory_limit_bytes, true);
    add_bytes(&round->table, metrics->disk_bytes, false);
    add_bytes(&round->table, metrics->disk_limit_bytes, true);
    add_number(&round->table, metrics->pids);
    add_number(&round->table, metrics->oom_kills);
}

static int measure(struct round *round, const char *provider, const char *id, struct sbx_error *err)
{
    struct sbx_metrics metrics = {.size = sizeof(metrics)};
    cleanup_target struct sbx_sandbox *sandbox = NULL;
    int code = target_get(round->cli, provider, id, &sandbox, err);
    if (code == 0)
        code = sbx_sandbox_metrics(sandbox, NULL, &metrics, err);
    if (code == 0)
        add_metrics(round, sbx_sandbox_id(sandbox), &metrics);
    return code;
}

// All that live; those that end meanwhile or can't tell are left out.
static int measure_all(struct round *round, const char *provider, struct sbx_error *err)
{
    struct sbx_client *client = NULL;
    struct sbx_list list = {0};
    int code = cli_client(round->cli, provider, &client, err);
    if (code == 0)
        code = sbx_sandbox_list(client, provider, NULL, 0, NULL, &list, err);
    if (code < 0)
        return code;
    for (size_t i = 0; i < list.count; i++) {
        struct sbx_error skipped;
        int failed = measure(round, list.items[i].provider, list.items[i].id, &skipped);
        if (failed < 0 && failed != SBX_ERR_NOT_FOUND && failed != SBX_ERR_UNSUPPORTED)
            message_error(skipped.message, skipped.remedy);
    }
    sbx_list_free(&list);
    return 0;
}

static int print_round(struct round *round, bool redraw)
{
    if (!round->json) {
        unsigned width = isatty(STDOUT_FILENO) ? term_columns(STDOUT_FILENO) : 0;
        if (redraw)
            buf_puts(&round->lines, "\033[H\033[J");
        table_print(&round->table, width, &round->lines);
    }
    return out_flush(round->cli, &round->lines);
}

static int show_round(struct cli *cli, const struct invocation *use)
{
    const struct stats_values *values = use->values;
    struct round round = {.cli = cli,
                          .json = values->json > 0,
                          .table = TABLE_INIT(columns),
                          .lines = BUF_INIT(OUT_MAX)};
    struct sbx_error err;
    int code = 0;
    if (use->operands.count == 0)
        code = measure_all(&round, values->provider, &err);
    for (size_t i = 0; code == 0 && i < use->operands.count; i++)
        code = measure(&round, values->provider, use->operands.items[i], &err);
    bool redraw = values->follow > 0 && isatty(STDOUT_FILENO);
    int status = code < 0 ? cli_fail(cli, &err) : print_round(&round, redraw);
    table_deinit(&round.table);
    buf_deinit(&round.lines);
    return status;
}

static int run_stats(struct cli *cli, struct invocation *use)
{
    const struct stats_values *values = use->values;
    cli->json = values->json > 0;
    int status = show_round(cli, use);
    while (status == 0 && values->follow > 0) {
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        status = show_round(cli, use);
    }
    return status;
}

const struct command command_stats = {
    .name = "stats",
    .aliases = "metrics",
    .summary = "show what sandboxes use: processor, memory, disk, processes",
    .operands = "[OPTIONS] [SANDBOX...]",
    .details =
        "Shows the processor time since creation, memory now and at most, what was written to "
        "disk, and the number of processes; of the sandboxes named, else of all.",
    .parts = {{"Options", rows, ARRAY_SIZE(rows), 0}},
    .values_size = sizeof(struct stats_values),
    .most = SIZE_MAX,
    .complete = COMPLETE_SANDBOXES,
    .run = run_stats,
};
