// SPDX-License-Identifier: Apache-2.0
// sandboxes cp: files into a sandbox and out of it. Layer: cli.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <sandboxes/files.h>

#include "cli/command.h"
#include "cli/cp_stream.h"
#include "cli/signals.h"
#include "cli/spinner.h"
#include "cli/target.h"

struct cp_values {
    const char *provider, *user;
    int quiet;
};

#define FIELD(member) .offset = offsetof(struct cp_values, member)

static const struct opt_row rows[] = {
    {.name = "user",
     .letter = 'u',
     .kind = OPT_STRING,
     .value = "USER",
     FIELD(user),
     .help = "user of the sandbox that reads or owns the files"},
    {.name = "quiet", .letter = 'q', .kind = OPT_FLAG, FIELD(quiet), .help = "show no progress"},
    PROVIDER_ROW("look for the sandbox only there"),
};

// "ID:PATH" has a colon before any slash; "./a:b" is a file here. Returns the path inside, or NULL.
static const char *path_inside(const char *text)
{
    size_t length = strcspn(text, ":/");
    return length > 0 && text[0] != '.' && text[length] == ':' ? text + length + 1 : NULL;
}

static bool is_stream(const char *text)
{
    return strcmp(text, "-") == 0;
}

static int copy(struct cli *cli, const struct cp_values *values, const char *from, const char *to,
                struct sbx_error *err)
{
    const char *from_inside = path_inside(from), *to_inside = path_inside(to);
    const char *target = from_inside ? from : to, *inside = from_inside ? from_inside : to_inside;
    cleanup_free char *id = strndup(target, strcspn(target, ":"));
    cleanup_target struct sbx_sandbox *sandbox = NULL;
    struct sbx_file_options options = SBX_FILE_OPTIONS_INIT;
    options.user = values->user;
    int code = id ? target_get(cli, values->provider, id, &sandbox, err) : err_nomem(err);
    if (code < 0)
        return code;
    struct sbx_call call = SBX_CALL_INIT;
    struct spinner spinner;
    call.cancel = signals_token();
    spinner_start(&spinner, "copying", values->quiet > 0);
    // An empty path inside is the default directory.
    inside = *inside ? inside : ".";
    if (from_inside && is_stream(to))
        code = cp_stream_out(sandbox, inside, &options, &call, err);
    else if (from_inside)
        code = sbx_file_download(sandbox, inside, to, &options, &call, err);
    else if (is_stream(from))
        code = cp_stream_in(sandbox, inside, &options, &call, err);
    else
        code = sbx_file_upload(sandbox, from, inside, &options, &call, err);
    spinner_stop(&spinner);
    return code;
}

static int run_cp(struct cli *cli, struct invocation *use)
{
    const char *from = use->operands.items[0], *to = use->operands.items[1];
    struct sbx_error err;
    if ((path_inside(from) != NULL) == (path_inside(to) != NULL)) {
        err_set(&err, SBX_ERR_INVALID, "one of source and target has to be in a sandbox");
        err_hint(&err, "write that one as SANDBOX:PATH; a file here with a colon in it as ./NAME");
        return cli_usage(cli, &err);
    }
    int code = signals_install(&err);
    if (code == 0)
        code = copy(cli, use->values, from, to, &err);
    if (code < 0 && err.sys_errno == EPIPE && is_stream(to))
        return EXIT_SIGNAL + SIGPIPE; // nobody reads the archive any more: that is no error
    return code < 0 ? cli_fail(cli, &err) : 0;
}

static const struct command_example examples[] = {
    {"sandboxes cp data.csv sb-abc123:/tmp/", "into a sandbox"},
    {"sandboxes cp sb-abc123:results .", "a file or a directory with all it holds, out of it"},
    {"tar -c src | sandboxes cp - sb-abc123:work", "a tar archive's contents, into a directory"},
    {"sandboxes cp sb-abc123:results - > results.tar", "as a tar archive"},
    {NULL, NULL},
};

const struct command command_cp = {
    .name = "cp",
    .aliases = "copy",
    .summary = "copy files and directories into a sandbox or out of it",
    .operands = "[OPTIONS] SOURCE|- SANDBOX:PATH | SANDBOX:PATH TARGET|-",
    .details =
        "Copies as cp -r does: into a target that is a directory, else under the target's name. "
        "Links are copied as links. PATH is absolute, or relative to the home directory inside. "
        "\n\n"
        "With - as TARGET a tar archive goes to standard output. With - as SOURCE one is read from "
        "standard input (plain, or compressed by gzip, bzip2, xz or zstd) and its contents go into "
        "the directory PATH. Owners are not kept either way. Both need room in TMPDIR meanwhile.",
    .examples = examples,
    .parts = {{"Options", rows, ARRAY_SIZE(rows), 0}},
    .values_size = sizeof(struct cp_values),
    .least = 2,
    .most = 2,
    .complete = COMPLETE_PATHS,
    .run = run_cp,
};
