// SPDX-License-Identifier: Apache-2.0
/*
 * Contexts of code: a Python each, inside the sandbox, which keeps what a piece of code leaves
 * behind for the next one. inside/interpreter.py runs there and tells what happens in lines of
 * JSON; they are a sandbox's words, and are handed on as such. One piece runs at a time, others
 * wait. Layer: serve.
 */
#pragma once

#include "net/json.h"
#include "serve/session.h"

#define INTERPRETER_DEFAULT "default" // made when it is first asked for

struct interpreter_ask {
    const char *code;
    const struct jsonv *envs; // NULL: none
    bool results;             // the last expression's value and figures are told too
    int64_t timeout_ms;       // 0: none
    // A line without its end. Another value than 0: the client is gone.
    int (*take)(void *payload, const char *type, const char *line, size_t size);
    bool (*gone)(void *payload); // asked now and then
    void *payload;
};

enum interpreter_end { INTERPRETED, INTERPRETER_TIMED_OUT, INTERPRETER_GONE };

// Both with a reference. id NULL or "": the default one. NOT_FOUND; INVALID, QUOTA.
int interpreter_find(struct place *box, const char *id, struct session **ret_context,
                     struct sbx_error *err);
int interpreter_new(struct place *box, const char *cwd, struct session **ret_context,
                    struct sbx_error *err);

// Starts its Python unless it runs. EXEC: the sandbox has none.
int interpreter_open(struct session *context, struct sbx_error *err);

// Runs a piece of code to its end. What takes too long is interrupted, and killed if it does not
// mind.
enum interpreter_end interpreter_run(struct session *context, const struct interpreter_ask *ask);

void interpreter_restart(struct session *context);
