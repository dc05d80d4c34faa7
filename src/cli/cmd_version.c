// SPDX-License-Identifier: Apache-2.0
// sandboxes version. Layer: cli.
#include "cli/help.h"
#include "cli/out.h"

struct version_values {
    int json;
};

static const struct opt_row rows[] = {
    {.name = "json",
     .kind = OPT_FLAG,
     .offset = offsetof(struct version_values, json),
     .help = "print JSON"},
};

static int run_version(struct cli *cli, struct invocation *use)
{
    const struct version_values *values = use->values;
    if (values->json <= 0)
        return help_version(cli);
    cleanup_buf struct buf buf = BUF_INIT(1024);
    struct json json = JSON_INIT(&buf, true);
    json_begin_object(&json);
    json_put_text(&json, "version", sbx_version());
    json_end_object(&json);
    return out_json(cli, &json);
}

const struct command command_version = {
    .name = "version",
    .aliases = "",
    .summary = "show the version",
    .operands = "[OPTIONS]",
    .details = "Shows the version of the command and the library in it.",
    .parts = {{"Options", rows, ARRAY_SIZE(rows), 0}},
    .values_size = sizeof(struct version_values),
    .alone = true,
    .run = run_version,
};
