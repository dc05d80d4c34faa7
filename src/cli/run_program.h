// SPDX-License-Identifier: Apache-2.0
// Between the two halves of bringing a program into the sandbox: the program, and what it needs.
// Layer: cli.
#pragma once

#include "cli/run.h"

// The manifest found beside the program, and where.
struct run_manifest {
    char dir[4096];
    const struct language_deps *row; // NULL: none
    bool locked;                     // its lock file is there too
    bool above;                      // it lies above the program's directory, which is its "src"
};

void run_find_manifest(const struct run *run, struct run_manifest *ret_manifest);

// Where the program goes beneath its directory in the sandbox. `text` has room for RUN_PLACE_SIZE
// bytes.
#define RUN_PLACE_SIZE 300
void run_choose_place(const struct run *run, const struct run_manifest *manifest, char *text);

// After the program is in its place. 1 when it failed and run->end says how.
int run_install(struct run *run, const struct run_manifest *manifest, struct sbx_error *err);

// Runs a template's command before the program itself; 1 when it failed (run->end says how).
int run_step(struct run *run, language_words words, struct sbx_error *err);

// A template's word completed; owned by the caller, NULL when out of memory.
char *run_fill_word(const struct run *run, const char *word);

// A call that interrupts cancel.
struct sbx_call run_call(void);
