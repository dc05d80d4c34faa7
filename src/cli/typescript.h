// SPDX-License-Identifier: Apache-2.0
// What runs TypeScript in a given sandbox. Layer: cli.
#pragma once

#include "cli/language.h"

int typescript_choose(struct sbx_sandbox *sandbox, const struct sbx_call *call,
                      language_words *ret_run, struct sbx_error *err);

// The choice for the probe's output: node's version ("" when there is none) and the other tools
// that are there, a word each. NULL when nothing can run it.
language_words typescript_pick(const char *probed);

// Where there is no network, npm says so after two minutes, the time limit of most runs.
#define NPM_PATIENCE "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"
