// SPDX-License-Identifier: Apache-2.0
// Results on standard output, written whole: text, JSON, tables. Layer: cli.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/json.h"
#include "cli/cli.h"

#define OUT_MAX (1024UL * 1024 * 1024)

// Writes the buffer to stdout. Exit status: 0, 128 + SIGPIPE when nobody reads, EXIT_OURS with a
// message.
int out_flush(struct cli *cli, struct buf *buf);

// As out_flush for a JSON document, with a newline after it.
int out_json(struct cli *cli, struct json *json);

enum table_flags {
    TABLE_WHOLE = 1 << 0, // never cut
    TABLE_RIGHT = 1 << 1,
};

struct table_column {
    const char *title;
    int flags;
};

#define TABLE_COLUMNS_MAX 24

struct table {
    const struct table_column *columns; // borrowed
    size_t column_count;
    char **cells; // owned, row by row; printable text
    size_t cell_count, capacity;
    bool failed; // out of memory
};

#define TABLE_INIT(the_columns)                                                                    \
    {                                                                                              \
        .columns = (the_columns), .column_count = ARRAY_SIZE(the_columns)                          \
    }

void table_deinit(struct table *table);
#define cleanup_table cleanup(table_deinit)

// Next cell of the current row; text from anywhere, made printable.
void table_add(struct table *table, const char *text);

// Appends the table to buf, cut to `width` columns; 0: not cut.
void table_print(struct table *table, unsigned width, struct buf *buf);

// Prints to stdout, cut to the terminal's width if it is one; exit status as out_flush.
int table_flush(struct cli *cli, struct table *table);
