// SPDX-License-Identifier: Apache-2.0
// Help from the tables. Layer: cli.
#include "cli/help.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/out.h"
#include "cli/term.h"

#define HELP_MAX (256 * 1024)
#define NAME_WIDTH 28 // column where the text of options begins
#define TEXT_WIDTH 80

static size_t text_width(void)
{
    unsigned columns = isatty(STDOUT_FILENO) ? term_columns(STDOUT_FILENO) : 0;
    return columns >= 60 && columns < TEXT_WIDTH ? columns : TEXT_WIDTH;
}

static void add_spaces(struct buf *buf, size_t count)
{
    for (; count > 0; count--)
        buf_add(buf, " ", 1);
}

// One paragraph in lines of `width`, all but the first indented; the first begins at column `at`.
static void add_wrapped(struct buf *buf, const char *text, size_t length, size_t indent, size_t at)
{
    size_t width = text_width(), column = at;
    for (size_t i = 0; i < length;) {
        size_t word = 0;
        while (i + word < length && text[i + word] != ' ' && text[i + word] != '\n')
            word++;
        if (column > indent && column + 1 + word > width) {
            buf_add(buf, "\n", 1);
            column = 0;
        } else if (column > indent) {
            buf_add(buf, " ", 1);
            column++;
        }
        if (column < indent) {
            add_spaces(buf, indent - column);
            column = indent;
        }
        buf_add(buf, text + i, word);
        column += word;
        i += word;
        while (i < length && (text[i] == ' ' || text[i] == '\n'))
            i++;
    }
    buf_add(buf, "\n", 1);
}

static void add_paragraphs(struct buf *buf, const char *text)
{
    while (*text) {
        const char *end = strstr(text, "\n\n");
        size_t length = end ? (size_t)(end - text) : strlen(text);
        add_wrapped(buf, text, length, 0, 0);
        buf_add(buf, "\n", 1);
        text += end ? length + 2 : length;
    }
}

void help_add_option(struct buf *buf, const struct opt_row *row)
{
    if (row->letter)
        buf_printf(buf, "-%c, ", row->letter);
    buf_printf(buf, "--%s%s", row->flags & OPT_NEGATABLE ? "[no-]" : "", row->name);
    if (row->value)
        buf_printf(buf, " %s", row->value);
}

void help_setting_name(const struct opt_row *row, char *text, size_t size)
{
    snprintf(text, size, "SANDBOXES_%s", row->name);
    for (char *at = text; *at; at++)
        *at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
}

static void add_choices(struct buf *text, const struct opt_row *row)
{
    for (size_t i = 0; row->choices && row->choices[i]; i++)
        buf_printf(text, "%s%s", i ? ", " : ": ", row->choices[i]);
}

static void add_option(struct buf *buf, const struct opt_row *row)
{
    if (row->flags & OPT_HIDDEN)
        return;
    size_t start = buf->size;
    buf_puts(buf, row->letter ? "  " : "      ");
    help_add_option(buf, row);
    size_t column = buf->size - start;
    if (column + 2 > NAME_WIDTH) {
        buf_add(buf, "\n", 1);
        column = 0;
    }
    add_spaces(buf, NAME_WIDTH - column);
    cleanup_buf struct buf text = BUF_INIT(HELP_MAX);
    buf_puts(&text, row->help);
    add_choices(&text, row);
    if (row->flags & OPT_SETTING) {
        char name[64];
        help_setting_name(row, name, sizeof(name));
        buf_printf(&text, " [%s]", name);
    }
    add_wrapped(buf, text.data, text.size, NAME_WIDTH, NAME_WIDTH);
}

static void add_options(struct buf *buf, const char *title, const struct opt_row *rows,
                        size_t count)
{
    buf_printf(buf, "%s:\n", title);
    for (size_t i = 0; i < count; i++)
        add_option(buf, &rows[i]);
    buf_add(buf, "\n", 1);
}

static void add_examples(struct buf *buf, const struct command *command)
{
    if (!command->examples)
        return;
    buf_puts(buf, "Examples:\n");
    for (const struct command_example *e = command->examples; e->line; e++)
        buf_printf(buf, "  # %s\n  %s\n", e->what, e->line);
    buf_add(buf, "\n", 1);
}

int help_command(struct cli *cli, const struct command *command)
{
    cleanup_buf struct buf buf = BUF_INIT(HELP_MAX);
    buf_printf(&buf, "Usage: sandboxes %s%s%s\n", command->name, command->operands[0] ? " " : "",
               command->operands);
    if (command->aliases[0] && command->aliases[0] != '_')
        buf_printf(&buf, "Also: %s\n", command->aliases);
    buf_add(&buf, "\n", 1);
    add_paragraphs(&buf, command->details);
    for (size_t i = 0; i < COMMAND_PARTS_MAX && command->parts[i].title; i++)
        add_options(&buf, command->parts[i].title, command->parts[i].rows, command->parts[i].count);
    add_options(&buf, "Common options", common_rows, common_row_count);
    add_examples(&buf, command);
    buf.size -= buf.size > 0; // one empty line less
    return out_flush(cli, &buf);
}

int help_overview(struct cli *cli, bool asked)
{
    cleanup_buf struct buf buf = BUF_INIT(HELP_MAX);
    buf_puts(&buf, "Usage: sandboxes COMMAND [OPTIONS] [ARGUMENTS]\n\n"
                   "Runs programs in sandboxes: on this machine or at a service.\n\nCommands:\n");
    for (size_t i = 0; commands[i]; i++)
        if (!commands[i]->hidden)
            buf_printf(&buf, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    buf_puts(&buf, "\nFirst steps:\n"
                   "  sandboxes run \"echo hello\"      run a command\n"
                   "  sandboxes run --file main.py    run a program\n"
                   "  sandboxes doctor                see what this machine can do\n\n"
                   "'sandboxes help COMMAND' tells more about a command.\n");
    if (asked)
        return out_flush(cli, &buf);
    if (!buf.failed && fd_write_full(STDERR_FILENO, buf.data, buf.size) < 0)
        return EXIT_OURS;
    return EXIT_USAGE;
}

int help_version(struct cli *cli)
{
    cleanup_buf struct buf buf = BUF_INIT(HELP_MAX);
    buf_printf(&buf, "sandboxes %s\n", sbx_version());
    return out_flush(cli, &buf);
}

static int run_help(struct cli *cli, struct invocation *use)
{
    if (use->operands.count == 0)
        return help_overview(cli, true);
    const struct command *command = command_find(use->operands.items[0]);
    if (command)
        return help_command(cli, command);
    struct sbx_error err;
    err_set(&err, SBX_ERR_INVALID, "unknown command '%s'", use->operands.items[0]);
    err_hint(&err, "'sandboxes help' shows the commands");
    return cli_usage(cli, &err);
}

const struct command command_help = {
    .name = "help",
    .aliases = "",
    .summary = "explain a command",
    .operands = "[COMMAND]",
    .details = "Shows all commands, or how one of them is used.",
    .most = 1,
    .complete = COMPLETE_COMMAND,
    .run = run_help,
};
