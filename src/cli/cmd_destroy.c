// SPDX-License-Identifier: Apache-2.0
// sandboxes destroy. Layer: cli.
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/message.h"
#include "cli/target.h"

struct destroy_values {
    const char *provider;
    struct opt_list labels;
    int all, yes;
};

#define FIELD(member) .offset = offsetof(struct destroy_values, member)

static const struct opt_row rows[] = {
    {.name = "label",
     .letter = 'l',
     .kind = OPT_PAIR,
     .value = "NAME=VALUE",
     FIELD(labels),
     .help = "destroy all that have this label; repeatable: all of these labels"},
    {.name = "all",
     .letter = 'a',
     .kind = OPT_FLAG,
     FIELD(all),
     .help = "destroy every sandbox there is, after asking"},
    {.name = "yes",
     .letter = 'y',
     .alias = "force",
     .kind = OPT_FLAG,
     FIELD(yes),
     .help = "do not ask"},
    PROVIDER_ROW("only those of this provider"),
};

// True when the person at the terminal says so.
static bool ask(size_t count)
{
    char answer[16] = "";
    fprintf(stderr, "destroy %zu sandbox%s? [y/N] ", count, count == 1 ? "" : "es");
    ssize_t got = read(STDIN_FILENO, answer, sizeof(answer) - 1);
    return got > 0 && tolower((unsigned char)answer[0]) == 'y';
}

static int confirm(struct cli *cli, const struct destroy_values *values, size_t count)
{
    struct sbx_error err;
    if (values->all <= 0 || values->yes > 0 || count == 0)
        return 0;
    if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO)) {
        if (ask(count))
            return 0;
        message_note("nothing was destroyed");
        return 1;
    }
    err_set(&err, SBX_ERR_INVALID,
            "--all asks before it destroys, and there is no terminal to ask on");
    err_hint(&err, "add --yes if all %zu are to go", count);
    return cli_usage(cli, &err);
}

static int destroy_one(struct cli *cli, const char *provider, const char *id, bool gone_is_fine)
{
    struct sbx_error err;
    cleanup_target struct sbx_sandbox *sandbox = NULL;
    int code = target_get(cli, provider, id, &sandbox, &err);
    if (code == 0)
        code = sbx_sandbox_destroy(sandbox, NULL, &err);
    if (code == 0 || (gone_is_fine && code == SBX_ERR_NOT_FOUND))
        return 0;
    return cli_fail(cli, &err);
}

static int destroy_listed(struct cli *cli, const struct destroy_values *values)
{
    struct sbx_error err;
    struct sbx_list list = {0};
    if (target_list(cli, values->provider, &values->labels, &list, &err) < 0)
        return cli_fail(cli, &err);
    int status = confirm(cli, values, list.count);
    for (size_t i = 0; (status == 0 || status == EXIT_OURS) && i < list.count; i++) {
        int failed = destroy_one(cli, list.items[i].provider, list.items[i].id, true);
        status = failed ? failed : status;
    }
    sbx_list_free(&list);
    return status;
}

static int run_destroy(struct cli *cli, struct invocation *use)
{
    const struct destroy_values *values = use->values;
    bool listed = values->all > 0 || values->labels.count > 0;
    if (listed == (use->operands.count > 0)) {
        struct sbx_error err;
        err_set(&err, SBX_ERR_INVALID,
                listed ? "ids and --all or --label exclude each other" : "no sandbox is named");
        err_hint(&err, "give ids, or --label NAME=VALUE, or --all");
        return cli_usage(cli, &err);
    }
    if (listed)
        return destroy_listed(cli, values);
    int status = 0;
    for (size_t i = 0; i < use->operands.count; i++) {
        int failed = destroy_one(cli, values->provider, use->operands.items[i], false);
        status = failed ? failed : status;
    }
    return status;
}

const struct command command_destroy = {
    .name = "destroy",
    .aliases = "rm kill",
    .summary = "end sandboxes with everything in them",
    .operands = "[OPTIONS] SANDBOX... | --label NAME=VALUE | --all",
    .details =
        "Ends the sandboxes; when it returns nothing of them is left. SANDBOX is an id or the "
        "beginning of one.",
    .parts = {{"Options", rows, ARRAY_SIZE(rows), 0}},
    .values_size = sizeof(struct destroy_values),
    .most = SIZE_MAX,
    .complete = COMPLETE_SANDBOXES,
    .run = run_destroy,
};
