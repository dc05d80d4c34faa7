// SPDX-License-Identifier: Apache-2.0
// sandboxes create: a sandbox that stays. Layer: cli.
#include <string.h>

#include "cli/command.h"
#include "cli/out.h"
#include "cli/settings.h"
#include "cli/signals.h"
#include "cli/spec.h"
#include "cli/spinner.h"

struct create_values {
    struct spec_values spec;
    int reuse, json;
};

#define FIELD(member) .offset = offsetof(struct create_values, member)

static const struct opt_row rows[] = {
    {.name = "reuse",
     .kind = OPT_FLAG,
     .flags = OPT_NEGATABLE,
     FIELD(reuse),
     .help = "if a running one has the same labels, use that"},
    {.name = "json", .kind = OPT_FLAG, FIELD(json), .help = "print JSON: id, provider, created"},
};

static int print_result(struct cli *cli, const struct create_values *values,
                        const struct sbx_sandbox *sandbox, uint32_t created)
{
    cleanup_buf struct buf buf = BUF_INIT(64 * 1024);
    if (values->json <= 0) {
        buf_printf(&buf, "%s\n", sbx_sandbox_id(sandbox));
        return out_flush(cli, &buf);
    }
    struct json json = JSON_INIT(&buf, true);
    json_begin_object(&json);
    json_put_text(&json, "id", sbx_sandbox_id(sandbox));
    json_put_text(&json, "provider", sbx_sandbox_provider(sandbox));
    json_put_bool(&json, "created", created);
    json_end_object(&json);
    return out_json(cli, &json);
}

static int make(struct cli *cli, const struct create_values *values, const struct sbx_spec *spec,
                struct sbx_sandbox **ret_sandbox, uint32_t *ret_created, struct sbx_error *err)
{
    struct sbx_client *client = NULL;
    struct spinner spinner;
    struct sbx_call call = SBX_CALL_INIT;
    int code = signals_install(err);
    if (code == 0)
        code = cli_client(cli, values->spec.provider, &client, err);
    if (code < 0)
        return code;
    call.cancel = signals_token();
    *ret_created = 1;
    spinner_start(&spinner, "making a sandbox", false);
    if (values->reuse > 0)
        code = sbx_sandbox_get_or_create(client, spec, &call, ret_sandbox, ret_created, err);
    else
        code = sbx_sandbox_create(client, spec, &call, ret_sandbox, err);
    spinner_stop(&spinner);
    return code;
}

static int run_create(struct cli *cli, struct invocation *use)
{
    const struct create_values *values = use->values;
    struct sbx_error err;
    struct config config = {0};
    cleanup_spec struct spec spec = {0};
    cli->json = values->json > 0;
    int code = settings_apply(cli, use, "run", &config, &err);
    if (code == 0)
        code = spec_build(&values->spec, &spec, &err);
    int status;
    struct sbx_sandbox *sandbox = NULL;
    uint32_t created = 0;
    if (code < 0) {
        status = cli_usage(cli, &err);
    } else if (make(cli, values, &spec.spec, &sandbox, &created, &err) < 0) {
        status = cli_fail(cli, &err);
    } else {
        status = print_result(cli, values, sandbox, created);
        sbx_sandbox_free(sandbox);
    }
    config_deinit(&config);
    return status;
}

static const struct command_example examples[] = {
    {"sandboxes create -l project=myapp --ttl 2h", "prints its id"},
    {"sandboxes exec $(sandboxes create) \"echo hello\"", "and use it"},
    {NULL, NULL},
};

const struct command command_create = {
    .name = "create",
    .aliases = "",
    .summary = "make a sandbox that stays, and print its id",
    .operands = "[OPTIONS]",
    .details = "Makes a sandbox that lives until it is destroyed or its time to live ends.",
    .examples = examples,
    .parts = {{"Options", rows, ARRAY_SIZE(rows), 0},
              {"Options of the sandbox", spec_rows, SPEC_ROW_COUNT,
               offsetof(struct create_values, spec)}},
    .values_size = sizeof(struct create_values),
    .run = run_create,
};
