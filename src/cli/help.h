// SPDX-License-Identifier: Apache-2.0
// Help from the tables. Layer: cli.
#pragma once

#include "base/buf.h"
#include "cli/command.h"

// Each prints and returns the exit status.
int help_version(struct cli *cli);
int help_command(struct cli *cli, const struct command *command);

// On stdout when it was asked for, else on stderr with EXIT_USAGE.
int help_overview(struct cli *cli, bool asked);

// "-p, --provider NAME" of a row.
void help_add_option(struct buf *buf, const struct opt_row *row);

// Options that may come from the environment or the configuration: "SANDBOXES_TIMEOUT".
void help_setting_name(const struct opt_row *row, char *text, size_t size);
