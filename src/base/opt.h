// SPDX-License-Identifier: Apache-2.0
// Command-line options as tables: one row an option, read into the fields of a struct. The same
// rows make help, man pages, completions and the settings of the configuration. Layer: base.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum opt_kind {
    OPT_FLAG,     // int: 0 not given, 1, or -1 by --no-NAME
    OPT_STRING,   // const char *
    OPT_LIST,     // struct opt_list: every value given
    OPT_PAIR,     // struct opt_list of NAME=VALUE, name not empty
    OPT_INT,      // int64_t
    OPT_MILLIS,   // int64_t: "1.5" as 1500
    OPT_DURATION, // int64_t: milliseconds
    OPT_BYTES,    // uint64_t
    OPT_ENUM,     // int: 0 not given, else 1 + index in choices
};

enum opt_flags {
    OPT_NEGATABLE = 1 << 0,  // FLAG: --no-NAME exists
    OPT_HIDDEN = 1 << 1,     // not in help
    OPT_NAME_ALONE = 1 << 2, // PAIR: "NAME" without a value is fine
    OPT_SETTING = 1 << 3,    // may come from the environment or the configuration file as well
};

// Values point into argv or wherever opt_set_value() was given them from; only the array is owned.
struct opt_list {
    const char **items;
    size_t count;
    size_t capacity;
};

struct opt_row {
    const char *name;           // without dashes
    const char *help;           // one sentence without final stop
    const char *value;          // what help calls the value; NULL for flags
    const char *alias;          // a second long name, or NULL
    const char *const *choices; // ENUM: names, then NULL
    int64_t min, max;           // INT: bounds; both 0 means 0 to INT64_MAX
    uint16_t offset;            // of the field in the values struct
    uint8_t kind;
    uint8_t flags;
    char letter; // short name, 0 for none
};

// Rows together with the struct they are read into. `seen` has bit i set when row i was given.
struct opt_set {
    const struct opt_row *rows;
    size_t count;
    void *values;
    uint64_t seen;
};
#define OPT_ROWS_MAX 64

// What is not an option.
struct opt_operands {
    const char **items; // owned array, borrowed strings
    size_t count;
    size_t dashed; // index of the first one after "--"; SIZE_MAX when there was no "--"
};

struct opt_grammar {
    struct opt_set *sets;
    size_t set_count;
    size_t free_operands; // options may stand between this many operands; after the next one all is
                          // taken as it is, as after "--"
    const char *help;     // command that shows the options, named in remedies
};

/*
 * Reads argv (without the program's name). "--" ends the options, letters may be bundled ("-it"),
 * values follow as "--name value", "--name=value", "-n value" or "-nvalue". INVALID with a message
 * and a remedy on the first mistake. Afterwards, also on failure, opt_deinit() each set and free
 * the operands.
 */
int opt_parse(const struct opt_grammar *grammar, int argc, const char *const *argv,
              struct opt_operands *ret_operands, struct sbx_error *err);

void opt_operands_deinit(struct opt_operands *operands);
void opt_deinit(struct opt_set *set);

// Reads one value into a row's field. `shown` names the source in messages ("--timeout",
// "SANDBOXES_TIMEOUT").
int opt_set_value(struct opt_set *set, size_t row, const char *value, const char *shown,
                  struct sbx_error *err);

// Whether the row with this field was given.
bool opt_seen_field(const struct opt_set *set, const void *field);

// Whether row i was given.
static inline bool opt_seen(const struct opt_set *set, size_t row)
{
    return set->seen >> row & 1;
}
