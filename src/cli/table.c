// SPDX-License-Identifier: Apache-2.0
// Tables of text that fit the terminal. Layer: cli.
#include "cli/out.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "cli/term.h"

#define CELL_MAX (64 * 1024)
#define GAP 2
#define NARROWEST 6 // a column is not cut below that

void table_deinit(struct table *table)
{
    for (size_t i = 0; i < table->cell_count; i++)
        free(table->cells[i]);
    free(table->cells);
    table->cells = NULL;
    table->cell_count = 0;
}

static bool grow(struct table *table)
{
    size_t capacity = table->capacity ? table->capacity * 2 : 64;
    char **cells = reallocarray(table->cells, capacity, sizeof(*cells));
    if (!cells)
        return false;
    table->cells = cells;
    table->capacity = capacity;
    return true;
}

void table_add(struct table *table, const char *text)
{
    cleanup_buf struct buf buf = BUF_INIT(CELL_MAX);
    utf8_add_printable(&buf, text, strlen(text));
    char *cell = buf_steal(&buf, NULL);
    if (!cell || (table->cell_count == table->capacity && !grow(table))) {
        free(cell);
        table->failed = true;
        return;
    }
    table->cells[table->cell_count++] = cell;
}

static size_t columns_of(const char *text)
{
    return utf8_columns(text, strlen(text));
}

static size_t column_of(const struct table *table, size_t cell)
{
    return table->column_count > 0 ? cell % table->column_count : 0;
}

static void measure(const struct table *table, size_t *widths)
{
    for (size_t c = 0; c < table->column_count; c++)
        widths[c] = columns_of(table->columns[c].title);
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t width = columns_of(table->cells[i]);
        if (width > widths[column_of(table, i)])
            widths[column_of(table, i)] = width;
    }
}

static size_t total_width(const struct table *table, const size_t *widths)
{
    size_t total = GAP * (table->column_count - 1);
    for (size_t c = 0; c < table->column_count; c++)
        total += widths[c];
    return total;
}

// Takes a column at a time from the widest that may be cut.
static void shrink(const struct table *table, size_t *widths, unsigned width)
{
    while (total_width(table, widths) > width) {
        size_t widest = SIZE_MAX;
        for (size_t c = 0; c < table->column_count; c++)
            if (!(table->columns[c].flags & TABLE_WHOLE) && widths[c] > NARROWEST &&
                (widest == SIZE_MAX || widths[c] > widths[widest]))
                widest = c;
        if (widest == SIZE_MAX)
            return;
        widths[widest]--;
    }
}

static void add_spaces(struct buf *buf, size_t count)
{
    for (; count > 0; count--)
        buf_add(buf, " ", 1);
}

// Text cut to `width` columns, with "..." where it was cut; returns the columns taken.
static size_t add_cut(struct buf *buf, const char *text, size_t width)
{
    size_t size = strlen(text), at = 0, columns = 0;
    if (columns_of(text) <= width) {
        buf_add(buf, text, size);
        return columns_of(text);
    }
    size_t room = width > 3 ? width - 3 : 0;
    uint32_t character;
    while (at < size) {
        size_t length = utf8_decode(text + at, size - at, &character);
        length = length ? length : 1;
        size_t more = utf8_columns(text + at, length);
        if (columns + more > room)
            break;
        columns += more;
        at += length;
    }
    buf_add(buf, text, at);
    buf_add(buf, "...", width > 3 ? 3 : width);
    return columns + (width > 3 ? 3 : width);
}

static void add_cell(struct buf *buf, const struct table *table, const char *text, size_t column,
                     const size_t *widths)
{
    bool right = table->columns[column].flags & TABLE_RIGHT;
    bool last = column + 1 == table->column_count;
    size_t width = columns_of(text);
    if (right && width < widths[column])
        add_spaces(buf, widths[column] - width);
    size_t taken = add_cut(buf, text, widths[column]);
    if (last)
        buf_add(buf, "\n", 1);
    else
        add_spaces(buf, (right ? 0 : widths[column] - taken) + GAP);
}

void table_print(struct table *table, unsigned width, struct buf *buf)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    measure(table, widths);
    if (width > 0)
        shrink(table, widths, width);
    for (size_t c = 0; c < table->column_count; c++)
        add_cell(buf, table, table->columns[c].title, c, widths);
    for (size_t i = 0; i < table->cell_count; i++)
        add_cell(buf, table, table->cells[i], column_of(table, i), widths);
    if (table->failed)
        buf->failed = true;
}

int table_flush(struct cli *cli, struct table *table)
{
    cleanup_buf struct buf buf = BUF_INIT(OUT_MAX);
    table_print(table, isatty(STDOUT_FILENO) ? term_columns(STDOUT_FILENO) : 0, &buf);
    return out_flush(cli, &buf);
}
