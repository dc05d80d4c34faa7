// SPDX-License-Identifier: Apache-2.0
// The languages whose programs `run` knows how to start: a table. Layer: cli.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <sandboxes/sandbox.h>

#include "base/error.h"

/*
 * Words of a command, ended by NULL. A word that begins with one of these names is completed:
 * "{dir}" the program's directory in the sandbox, "{file}" the program, "{binary}" what it is
 * compiled to.
 */
typedef const char *const *language_words;

// What --deps does for a manifest that lies beside the program.
struct language_deps {
    const char *manifest;  // NULL ends the table
    const char *lock;      // goes along when it is there; NULL: none
    language_words locked; // when the lock is there; NULL: as without it
    language_words open;   // when it isn't
    language_words run;    // instead of the language's own run; NULL: the same
    const char
        *place;      // where the manifest expects a program that it does not name; NULL: beside it
    const char *env; // NAME={dir}/... for the program; NULL: none
};

struct language {
    const char *name;
    const char *aliases;    // separated by spaces
    const char *suffixes;   // without dots, separated by spaces
    const char *file;       // name of a program that has none
    language_words compile; // NULL: nothing to do before it runs
    language_words run;
    const struct language_deps *deps; // NULL: --deps knows nothing for it
    language_words bare_deps;         // --deps without a manifest; NULL: nothing to do
    const char *package;              // Debian package with its tools
    // Chooses `run` by what the sandbox has (NULL: it has nothing for it); NULL: always `run`.
    int (*choose)(struct sbx_sandbox *sandbox, const struct sbx_call *call, language_words *ret_run,
                  struct sbx_error *err);
};

// NULL when there is none.
const struct language *language_find(const char *name);
const struct language *language_of_file(const char *name);

// Of the interpreter that "#!" names; NULL if unknown or no such line.
const struct language *language_of_shebang(const char *data, size_t size);
bool language_has_shebang(const char *data, size_t size);

// The name nearest to a mistyped one, or NULL.
const char *language_suggest(const char *name);

// Names of all languages joined by ", ".
void language_names(char *text, size_t size);

// Says how to get a program that the sandbox lacks: sets the remedy. language may be NULL.
int language_missing(const struct language *language, const char *program, const char *image,
                     struct sbx_error *err);
