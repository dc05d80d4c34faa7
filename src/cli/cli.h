// SPDX-License-Identifier: Apache-2.0
// What all commands share: the client, messages, exit statuses. Layer: cli.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <sandboxes/sandboxes.h>

#include "base/error.h"

// Exit statuses that are not the command's own.
enum exit_status {
    EXIT_USAGE = 2,
    EXIT_TIMEOUT = 124,
    EXIT_OURS = 125, // sandboxes itself failed
    EXIT_NOT_EXECUTABLE = 126,
    EXIT_NOT_FOUND = 127,
    EXIT_SIGNAL = 128, // plus the signal's number
};

struct cli {
    struct sbx_client *client; // NULL until cli_client()
    const char *config_path;   // of --config, or NULL
    bool debug;
    bool quiet;
    bool json; // failures are told as JSON on stdout too
};

// Opens the client at its first use; `provider` is the default one or NULL.
int cli_client(struct cli *cli, const char *provider, struct sbx_client **ret_client,
               struct sbx_error *err);

// Says what failed and what to do on stderr (with --json on stdout too); returns the exit status.
int cli_fail(struct cli *cli, const struct sbx_error *err);

// As cli_fail for a mistake in the command line: EXIT_USAGE.
int cli_usage(struct cli *cli, const struct sbx_error *err);

int cli_exit_status(const struct sbx_error *err);
