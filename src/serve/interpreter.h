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
    const struct jsonv *envs;    // NULL: none
    bool results;                // the last expression's value and figures are told too
    int64_t timeout_ms;          // 0: none
    bool (*gone)(void *payload); // asked now and then whether the client has left
    void *payload;
};

enum interpreter_end { INTERPRETED, INTERPRETER_TIMED_OUT, INTERPRETER_GONE };

// Both with a reference. id NULL or "": the default one, whose Python starts with the first code.
// NOT_FOUND; INVALID, QUOTA, EXEC: the sandbox has no Python.
int interpreter_find(struct place *box, const char *id, struct session **ret_context,
                     struct sbx_error *err);
int interpreter_new(struct place *box, const char *cwd, struct session **ret_context,
                    struct sbx_error *err);

// A piece of code that runs. What takes too long, or is for nobody any more, is interrupted, and
// killed if it does not mind.
struct interpreter_turn;

// Waits for those before. NOMEM.
int interpreter_begin(struct session *context, const struct interpreter_ask *ask,
                      struct interpreter_turn **ret_turn, struct sbx_error *err);

// The next line, without its end, and what its "type" is; both valid until the next call. False at
// the end.
bool interpreter_next(struct interpreter_turn *turn, const char **ret_type, const char **ret_line,
                      size_t *ret_size);

// How it has ended; interrupts what still runs.
enum interpreter_end interpreter_finish(struct interpreter_turn *turn);

void interpreter_restart(struct session *context);
