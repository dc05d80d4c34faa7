// SPDX-License-Identifier: Apache-2.0
// sandboxes serve: becomes the helper program that serves. Its libraries burden no other command.
// Layer: cli.
#include <string.h>

#include "base/cleanup.h"
#include "cli/become.h"
#include "cli/command.h"
#include "serve/options.h"

static int run_serve(struct cli *cli, struct invocation *use)
{
    struct sbx_error err;
    cleanup_free const char **argv = calloc((size_t)use->argc + 2, sizeof(*argv));
    if (!argv) {
        err_nomem(&err);
        return cli_fail(cli, &err);
    }
    argv[0] = "sandboxes serve";
    memcpy(argv + 1, use->argv, (size_t)use->argc * sizeof(*argv));
    return cli_become(cli, "sandboxes-serve",
                      "build sandboxes with libmicrohttpd, jansson and zlib", argv);
}

static const struct command_example examples[] = {
    {"sandboxes serve key create laptop", "prints a new API key, this once"},
    {"sandboxes serve", "serves the E2B and Daytona APIs at http://127.0.0.1:3000"},
    {"sandboxes serve key revoke key-abc12345", "a key stops working at once"},
    {NULL, NULL},
};

static const char *const forms[] = {"key create", "key list", "key revoke", "routes", NULL};

const struct command command_serve = {
    .name = "serve",
    .aliases = "",
    .summary = "serve the E2B and Daytona APIs on this machine",
    .operands = "[OPTIONS] [key create [NAME] | key list | key revoke ID | routes]",
    .details =
        "Serves what the official E2B and Daytona clients need to make and use sandboxes, on the "
        "local engine: point them here with E2B_API_URL and E2B_SANDBOX_URL, or DAYTONA_API_URL. "
        "Sandboxes outlive the server and are found again by the next one.\n\n"
        "Clients need a key. 'key create' makes one and shows it once; only its hash is kept.\n\n"
        "It listens on loopback unless told otherwise. Told to stop, it takes no new requests, "
        "lets running ones end, and leaves the sandboxes alone.",
    .examples = examples,
    .parts = {{"Options", serve_rows, SERVE_ROW_COUNT, 0}},
    .values_size = sizeof(struct serve_values),
    .most = 3,
    .forms = forms,
    .run = run_serve,
};
