// SPDX-License-Identifier: Apache-2.0
// sandboxes providers: which there are, what each can do, and why not. Layer: cli.
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/out.h"

#define PROVIDERS_MAX 32

struct providers_values {
    int capabilities, json;
};

#define FIELD(member) .offset = offsetof(struct providers_values, member)

static const struct opt_row rows[] = {
    {.name = "capabilities",
     .kind = OPT_FLAG,
     .flags = OPT_NEGATABLE,
     FIELD(capabilities),
     .help = "the table of what each can do, which is shown unless negated"},
    {.name = "json", .kind = OPT_FLAG, FIELD(json), .help = "print JSON"},
};

struct gathered {
    struct sbx_provider_info items[PROVIDERS_MAX];
    size_t count;
};

static int gather(struct sbx_client *client, struct gathered *ret_gathered, struct sbx_error *err)
{
    size_t count = sbx_provider_count(client);
    ret_gathered->count = 0;
    for (size_t i = 0; i < count && i < PROVIDERS_MAX; i++) {
        struct sbx_provider_info *info = &ret_gathered->items[i];
        info->size = sizeof(*info);
        int code = sbx_provider_get(client, i, info, err);
        if (code < 0)
            return code;
        ret_gathered->count = i + 1;
    }
    return 0;
}

static void add_provider(struct json *json, const struct sbx_provider_info *info, bool is_default)
{
    json_begin_object(json);
    json_put_text(json, "name", info->name);
    json_put_text(json, "description", info->description);
    json_put_bool(json, "configured", info->configured);
    json_put_bool(json, "default", is_default);
    json_put_text(json, "reason", info->reason);
    json_put_text(json, "remedy", info->remedy);
    json_key(json, "capabilities");
    json_begin_object(json);
    for (uint32_t bit = 1; sbx_capability_name(bit); bit <<= 1)
        json_put_bool(json, sbx_capability_name(bit), info->capabilities & bit);
    json_end_object(json);
    json_end_object(json);
}

static int print_json(struct cli *cli, const struct gathered *gathered, const char *chosen)
{
    cleanup_buf struct buf buf = BUF_INIT(OUT_MAX);
    struct json json = JSON_INIT(&buf, true);
    json_begin_array(&json);
    for (size_t i = 0; i < gathered->count; i++)
        add_provider(&json, &gathered->items[i],
                     chosen && strcmp(chosen, gathered->items[i].name) == 0);
    json_end_array(&json);
    return out_json(cli, &json);
}

static void add_states(struct buf *buf, const struct gathered *gathered, const char *chosen)
{
    for (size_t i = 0; i < gathered->count; i++) {
        const struct sbx_provider_info *info = &gathered->items[i];
        bool is_default = chosen && strcmp(chosen, info->name) == 0;
        buf_printf(buf, "%-12s %-15s %s%s\n", info->name,
                   info->configured ? "configured" : "not configured", info->description,
                   is_default ? " (default)" : "");
        if (info->reason[0])
            buf_printf(buf, "%-12s %s\n", "", info->reason);
        if (!info->configured && info->capabilities && info->remedy[0])
            buf_printf(buf, "%-12s try: %s\n", "", info->remedy);
    }
}

static void add_matrix(struct buf *buf, const struct gathered *gathered)
{
    struct table_column columns[TABLE_COLUMNS_MAX] = {{"", TABLE_WHOLE}};
    struct table table = {.columns = columns, .column_count = 1};
    for (size_t i = 0; i < gathered->count && table.column_count < TABLE_COLUMNS_MAX; i++)
        if (gathered->items[i].capabilities)
            columns[table.column_count++] =
                (struct table_column){gathered->items[i].name, TABLE_WHOLE};
    for (uint32_t bit = 1; sbx_capability_name(bit); bit <<= 1) {
        table_add(&table, sbx_capability_name(bit));
        for (size_t i = 0; i < gathered->count; i++)
            if (gathered->items[i].capabilities)
                table_add(&table, gathered->items[i].capabilities & bit ? "Y" : "-");
    }
    buf_add(buf, "\n", 1);
    table_print(&table, 0, buf);
    table_deinit(&table);
}

static int run_providers(struct cli *cli, struct invocation *use)
{
    const struct providers_values *values = use->values;
    struct sbx_error err;
    struct sbx_client *client = NULL;
    struct gathered gathered = {.count = 0};
    cli->json = values->json > 0;
    int code = cli_client(cli, NULL, &client, &err);
    if (code == 0)
        code = gather(client, &gathered, &err);
    if (code < 0)
        return cli_fail(cli, &err);
    const char *chosen = sbx_client_default_provider(client);
    if (values->json > 0)
        return print_json(cli, &gathered, chosen);
    cleanup_buf struct buf buf = BUF_INIT(OUT_MAX);
    add_states(&buf, &gathered, chosen);
    if (values->capabilities >= 0)
        add_matrix(&buf, &gathered);
    return out_flush(cli, &buf);
}

const struct command command_providers = {
    .name = "providers",
    .aliases = "",
    .summary = "show which providers there are, what each can do, and why not",
    .operands = "[OPTIONS]",
    .details =
        "Shows each provider with its state as this machine and environment have it, what would "
        "make it usable, and a table of what it can do. The order is that of auto-detection: the "
        "first that is configured is the default, unless -p, SANDBOXES_PROVIDER or the "
        "configuration names another.",
    .parts = {{"Options", rows, ARRAY_SIZE(rows), 0}},
    .values_size = sizeof(struct providers_values),
    .run = run_providers,
};
