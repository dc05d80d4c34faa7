// SPDX-License-Identifier: Apache-2.0
// One `sandboxes run`: what was asked for and how far it is. Layer: cli.
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/program.h"
#include "cli/pump.h"
#include "cli/spec.h"

struct run_values {
    struct spec_values spec;
    const char *file, *language, *fallback, *entrypoint;
    int64_t timeout, retries, pool;
    int reuse, keep, deps, json, tty, quiet;
};

struct run {
    struct cli *cli;
    const struct run_values *values;
    struct program program;
    struct spec spec;
    struct sbx_manager *manager; // with --fallback, --retries, --pool; owned
    struct sbx_sandbox *sandbox; // owned handle
    uint32_t created;            // this run made the sandbox
    struct pairs env;            // of the commands
    char dir[64];                // the program's, in the sandbox; "" when there is none
    char file[400], binary[96];  // beneath it
    language_words words;        // that start the program
    struct deadline deadline;    // of all commands together
    int64_t limit_ms;            // how long that was at first; 0: none
    struct buf out, err;         // with --json: what the commands wrote
    struct pump_end end;
    int64_t began_us, created_us, ready_us, ended_us, gone_us; // for timings; 0: not reached
};

int64_t run_now_us(void);

#define RUN_PROVIDERS_MAX 16

// Fills run->sandbox, by way of run->manager if options ask for one.
int run_make_sandbox(struct run *run, struct sbx_error *err);
int run_open_manager(struct run *run, struct sbx_error *err);

// Runs one command of this run with its streams; `step` output goes to standard error.
int run_exec(struct run *run, struct sbx_exec *exec, bool step, struct sbx_error *err);

/*
 * Brings the program's text into the sandbox, installs what it needs and compiles it. Returns 1
 * when that ended the run already (run->end says how: a compiler's complaint), 0 when run_start()
 * may follow.
 */
int run_prepare(struct run *run, struct sbx_error *err);

/*
 * The words that start the program in the sandbox's image: its entrypoint or that of --entrypoint,
 * then the given words or else the image's own. The array is owned, its words are owned by `record`
 * or the run. INVALID when there are none.
 */
struct imagerecord;
int run_image_words(const struct run *run, struct imagerecord *record, const char ***ret_words,
                    size_t *ret_count, struct sbx_error *err);

// Runs the program or command to its end.
int run_start(struct run *run, struct sbx_error *err);

// The result as JSON; err is NULL when there was none. Exit status as out_flush().
int run_report(struct run *run, const struct sbx_error *err);
