// SPDX-License-Identifier: Apache-2.0
// sandboxes snapshot and fork: the files of a sandbox, kept or in another one. Layer: cli.
#include "cli/command.h"
#include "cli/out.h"
#include "cli/pairs.h"
#include "cli/signals.h"
#include "cli/spinner.h"
#include "cli/target.h"

struct snapshot_values {
    const char *provider;
    int json;
};

#define FIELD(member) .offset = offsetof(struct snapshot_values, member)

static const struct opt_row snapshot_rows[] = {
    {.name = "json", .kind = OPT_FLAG, FIELD(json), .help = "print JSON: id, name"},
    PROVIDER_ROW("look for the sandbox only there"),
};

#undef FIELD
#define FIELD(member) .offset = offsetof(struct fork_values, member)

struct fork_values {
    const char *provider;
    struct opt_list env, labels;
    int64_t ttl;
    int json;
};

static const struct opt_row fork_rows[] = {
    {.name = "label",
     .letter = 'l',
     .kind = OPT_PAIR,
     .value = "NAME=VALUE",
     FIELD(labels),
     .help = "label to find it by; those of the original are not taken over; repeatable"},
    {.name = "env",
     .letter = 'e',
     .kind = OPT_PAIR,
     .value = "NAME=VALUE",
     FIELD(env),
     .flags = OPT_NAME_ALONE,
     .help = "environment variable besides those of the original; repeatable"},
    {.name = "ttl",
     .kind = OPT_DURATION,
     .value = "TIME",
     FIELD(ttl),
     .help = "destroy it after that time; else as the original from its beginning"},
    {.name = "json", .kind = OPT_FLAG, FIELD(json), .help = "print JSON: id, provider"},
    PROVIDER_ROW("look for the sandbox only there"),
};

static int print_pair(struct cli *cli, const char *name, const char *value, const char *other,
                      const char *other_value)
{
    cleanup_buf struct buf buf = BUF_INIT(64 * 1024);
    struct json json = JSON_INIT(&buf, true);
    if (!cli->json) {
        buf_printf(&buf, "%s\n", value);
        return out_flush(cli, &buf);
    }
    json_begin_object(&json);
    json_put_text(&json, name, value);
    json_put_text(&json, other, other_value);
    json_end_object(&json);
    return out_json(cli, &json);
}

// Ready for a call that may take a while: Ctrl-C ends it, a spinner shows it.
static int begin(const char *text, struct spinner *spinner, struct sbx_call *ret_call,
                 struct sbx_error *err)
{
    int code = signals_install(err);
    if (code < 0)
        return code;
    *ret_call = (struct sbx_call)SBX_CALL_INIT;
    ret_call->cancel = signals_token();
    spinner_start(spinner, text, false);
    return 0;
}

static int take(struct sbx_sandbox *sandbox, const char *name, struct sbx_error *err)
{
    struct sbx_call call;
    struct spinner spinner;
    int code = begin("keeping its files", &spinner, &call, err);
    if (code < 0)
        return code;
    code = sbx_sandbox_snapshot(sandbox, name, &call, err);
    spinner_stop(&spinner);
    return code;
}

static int run_snapshot(struct cli *cli, struct invocation *use)
{
    const struct snapshot_values *values = use->values;
    const char *name = use->operands.items[1];
    struct sbx_error err;
    cleanup_target struct sbx_sandbox *sandbox = NULL;
    cli->json = values->json > 0;
    if (target_get(cli, values->provider, use->operands.items[0], &sandbox, &err) < 0 ||
        take(sandbox, name, &err) < 0)
        return cli_fail(cli, &err);
    return print_pair(cli, "name", name, "id", sbx_sandbox_id(sandbox));
}

static int fork_it(struct sbx_sandbox *sandbox, const struct sbx_fork *fork,
                   struct sbx_sandbox **ret_made, struct sbx_error *err)
{
    struct sbx_call call;
    struct spinner spinner;
    int code = begin("copying its files", &spinner, &call, err);
    if (code < 0)
        return code;
    code = sbx_sandbox_fork(sandbox, fork, &call, ret_made, err);
    spinner_stop(&spinner);
    return code;
}

static int run_fork(struct cli *cli, struct invocation *use)
{
    const struct fork_values *values = use->values;
    struct sbx_error err;
    struct sbx_fork fork = SBX_FORK_INIT;
    cleanup_pairs struct pairs env = {0}, labels = {0};
    cleanup_target struct sbx_sandbox *sandbox = NULL, *made = NULL;
    cli->json = values->json > 0;
    if (pairs_add_list(&env, &values->env, &err) < 0 ||
        pairs_add_list(&labels, &values->labels, &err) < 0)
        return cli_usage(cli, &err);
    fork.env = env.items;
    fork.env_count = env.count;
    fork.labels = labels.items;
    fork.label_count = labels.count;
    fork.ttl_ms = values->ttl;
    if (target_get(cli, values->provider, use->operands.items[0], &sandbox, &err) < 0 ||
        fork_it(sandbox, &fork, &made, &err) < 0)
        return cli_fail(cli, &err);
    return print_pair(cli, "id", sbx_sandbox_id(made), "provider", sbx_sandbox_provider(made));
}

static const struct command_example snapshot_examples[] = {
    {"sandboxes snapshot sb-abc123 prepared", "keeps its files"},
    {"sandboxes run --image prepared ./task.py", "begins with them"},
    {"sandboxes image rm prepared", "forgets them"},
    {NULL, NULL},
};

static const struct command_example fork_examples[] = {
    {"sandboxes fork sb-abc123", "prints the id of the copy"},
    {"sandboxes exec $(sandboxes fork sb-abc123) \"./try --other\"", "tries something in a copy"},
    {NULL, NULL},
};

const struct command command_snapshot = {
    .name = "snapshot",
    .aliases = "",
    .summary = "keep the files of a sandbox as an image",
    .operands = "[OPTIONS] SANDBOX NAME",
    .details =
        "Keeps what the sandbox has written as an image, which 'run --image NAME' and its like "
        "begin with. The sandbox stands still meanwhile, where it can be frozen, and goes on "
        "after. Not kept: what runs in it, /dev/shm, mounted directories, variables that it was "
        "given. A snapshot that has the name is replaced. 'image list', 'image rm' and 'image "
        "prune' know it.",
    .examples = snapshot_examples,
    .parts = {{"Options", snapshot_rows, ARRAY_SIZE(snapshot_rows), 0}},
    .values_size = sizeof(struct snapshot_values),
    .least = 2,
    .most = 2,
    .complete = COMPLETE_SANDBOX,
    .run = run_snapshot,
};

const struct command command_fork = {
    .name = "fork",
    .aliases = "",
    .summary = "make another sandbox with the files of one",
    .operands = "[OPTIONS] SANDBOX",
    .details = "Makes a new sandbox with the files that SANDBOX has now, and its image, user, "
               "limits, network, mounts and variables. What runs there does not run in it.",
    .examples = fork_examples,
    .parts = {{"Options", fork_rows, ARRAY_SIZE(fork_rows), 0}},
    .values_size = sizeof(struct fork_values),
    .least = 1,
    .most = 1,
    .complete = COMPLETE_SANDBOX,
    .run = run_fork,
};
