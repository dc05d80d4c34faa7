// SPDX-License-Identifier: Apache-2.0
// sandboxes __man [COMMAND]: manual pages in mdoc(7), made from the tables while building. Layer:
// cli.
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/help.h"
#include "cli/out.h"

#define PAGE_MAX (1024 * 1024)
#define LINE_WIDTH 72
#define PAGE_DATE "November 21, 2026"

// Text as roff reads it: no line begins with a control character, backslashes and dashes are
// literal.
static void add_text(struct buf *buf, const char *text, size_t size)
{
    bool line_start = buf->size == 0 || buf->data[buf->size - 1] == '\n';
    for (size_t i = 0; i < size; i++) {
        if (line_start && (text[i] == '.' || text[i] == '\''))
            buf_puts(buf, "\\&");
        if (text[i] == '\\')
            buf_puts(buf, "\\e");
        else if (text[i] == '-')
            buf_puts(buf, "\\-");
        else if (text[i] == '\'')
            buf_puts(buf, "\\(aq");
        else if (text[i] == '"')
            buf_puts(buf, "\\(dq");
        else
            buf_add(buf, &text[i], 1);
        line_start = text[i] == '\n';
    }
}

static void add_line(struct buf *buf, const char *text)
{
    add_text(buf, text, strlen(text));
    buf_add(buf, "\n", 1);
}

// A sentence begins a new line, as mdoc(7) wants it, and no line is long.
static void add_sentences(struct buf *buf, const char *text, size_t size)
{
    size_t start = buf->size;
    for (size_t at = 0; at < size;) {
        size_t length = 0;
        while (at + length < size && text[at + length] != ' ')
            length++;
        bool sentence = at > 1 && text[at - 2] == '.';
        if (at > 0)
            buf_add(buf, sentence || buf->size - start + length > LINE_WIDTH ? "\n" : " ", 1);
        if (buf->size > 0 && buf->data[buf->size - 1] == '\n')
            start = buf->size;
        add_text(buf, text + at, length);
        at += length + 1;
    }
    buf_add(buf, "\n", 1);
}

// A help text as a sentence of its own.
static void add_sentence(struct buf *buf, const char *text, const char *stop)
{
    cleanup_buf struct buf sentence = BUF_INIT(PAGE_MAX);
    char first = (char)toupper((unsigned char)text[0]);
    buf_add(&sentence, &first, 1);
    buf_puts(&sentence, text + 1);
    buf_puts(&sentence, stop);
    add_sentences(buf, sentence.data, sentence.size);
}

static void add_paragraphs(struct buf *buf, const char *text)
{
    for (bool first = true; *text; first = false) {
        const char *end = strstr(text, "\n\n");
        size_t length = end ? (size_t)(end - text) : strlen(text);
        if (!first)
            buf_puts(buf, ".Pp\n");
        add_sentences(buf, text, length);
        text += end ? length + 2 : length;
    }
}

static void add_head(struct buf *buf, const char *name, const char *summary)
{
    char title[64];
    snprintf(title, sizeof(title), "%s", name);
    for (char *at = title; *at; at++)
        *at = (char)toupper((unsigned char)*at);
    buf_printf(buf, ".Dd %s\n.Dt %s 1\n.Os\n.Sh NAME\n.Nm %s\n.Nd ", PAGE_DATE, title, name);
    add_line(buf, summary);
}

static void add_row(struct buf *buf, const struct opt_row *row)
{
    if (row->flags & OPT_HIDDEN)
        return;
    cleanup_buf struct buf option = BUF_INIT(1024);
    help_add_option(&option, row);
    buf_puts(buf, ".It Sy \"");
    add_text(buf, option.data, option.size);
    buf_puts(buf, "\"\n");
    cleanup_buf struct buf text = BUF_INIT(4096);
    buf_puts(&text, row->help);
    for (size_t i = 0; row->choices && row->choices[i]; i++)
        buf_printf(&text, "%s%s", i ? ", " : ": ", row->choices[i]);
    const char *help = buf_text(&text);
    add_sentence(buf, help ? help : row->help, ".");
    if (row->flags & OPT_SETTING) {
        char name[64];
        help_setting_name(row, name, sizeof(name));
        buf_printf(buf, "Also from\n.Ev %s\nand the configuration.\n", name);
    }
}

static void add_rows(struct buf *buf, const char *title, const struct opt_row *rows, size_t count)
{
    buf_printf(buf, ".Ss %s\n.Bl -tag -width Ds\n", title);
    for (size_t i = 0; i < count; i++)
        add_row(buf, &rows[i]);
    buf_puts(buf, ".El\n");
}

static void add_options(struct buf *buf, const struct command *command)
{
    buf_puts(buf, ".Sh OPTIONS\n");
    for (size_t i = 0; i < COMMAND_PARTS_MAX && command->parts[i].title; i++)
        add_rows(buf, command->parts[i].title, command->parts[i].rows, command->parts[i].count);
    add_rows(buf, "Common options", common_rows, common_row_count);
}

static void add_examples(struct buf *buf, const struct command *command)
{
    if (!command->examples)
        return;
    buf_puts(buf, ".Sh EXAMPLES\n");
    for (const struct command_example *e = command->examples; e->line; e++) {
        if (e != command->examples)
            buf_puts(buf, ".Pp\n");
        add_sentence(buf, e->what, ":");
        buf_puts(buf, ".Bd -literal -offset indent\n");
        add_line(buf, e->line);
        buf_puts(buf, ".Ed\n");
    }
}

static const char exit_status[] = ".Sh EXIT STATUS\n"
                                  "The exit status of the command that was run, or:\n"
                                  ".Bl -tag -width Ds\n"
                                  ".It 2\nA mistake in the command line.\n"
                                  ".It 124\nThe command ran longer than it may.\n"
                                  ".It 125\nSandboxes itself failed.\n"
                                  ".It 126\nThe program can not be executed.\n"
                                  ".It 127\nThe program does not exist.\n"
                                  ".It 128 + N\nSignal N ended it.\n"
                                  ".El\n";

static void add_command_page(struct buf *buf, const struct command *command)
{
    char name[64];
    snprintf(name, sizeof(name), "sandboxes-%s", command->name);
    add_head(buf, name, command->summary);
    buf_printf(buf, ".Sh SYNOPSIS\n.Nm sandboxes %s\n", command->name);
    if (command->operands[0])
        add_sentences(buf, command->operands, strlen(command->operands));
    buf_puts(buf, ".Sh DESCRIPTION\n");
    add_paragraphs(buf, command->details);
    if (command->aliases[0]) {
        buf_puts(buf, ".Pp\nOther names of this command: ");
        add_text(buf, command->aliases, strlen(command->aliases));
        buf_puts(buf, ".\n");
    }
    add_options(buf, command);
    buf_puts(buf, exit_status);
    add_examples(buf, command);
    buf_puts(buf, ".Sh SEE ALSO\n.Xr sandboxes 1\n");
}

static const char files_and_environment[] =
    ".Sh ENVIRONMENT\n"
    ".Bl -tag -width Ds\n"
    ".It Ev SANDBOXES_PROVIDER\nThe provider that is used when none is named.\n"
    ".It Ev SANDBOXES_IMAGE , SANDBOXES_TIMEOUT , SANDBOXES_NETWORK\n"
    "Values for options of\n.Xr sandboxes-run 1\nthat are not given; each option there says its "
    "name.\n"
    ".It Ev NO_COLOR\nNo colours, not even on a terminal.\n"
    ".El\n"
    ".Sh FILES\n"
    ".Bl -tag -width Ds\n"
    ".It Pa $XDG_CONFIG_HOME/sandboxes/config.toml\n"
    "The configuration.\n"
    "Its table\n.Ql [run]\nholds values for options of\n.Xr sandboxes-run 1\n"
    "that neither the command line nor the environment gives.\n"
    ".It Pa $XDG_RUNTIME_DIR/sandboxes\nThe sandboxes that live on this machine.\n"
    ".El\n";

static void add_overview_page(struct buf *buf)
{
    add_head(buf, "sandboxes", "run programs in sandboxes");
    buf_puts(buf,
             ".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar options\n.Op Ar arguments\n"
             ".Sh DESCRIPTION\n.Nm\nruns programs in sandboxes: on this machine or at a service.\n"
             "The commands are:\n.Bl -tag -width Ds\n");
    for (size_t i = 0; commands[i]; i++) {
        if (commands[i]->hidden)
            continue;
        buf_printf(buf, ".It Xr sandboxes-%s 1\n", commands[i]->name);
        add_line(buf, commands[i]->summary);
    }
    buf_puts(buf, ".El\n");
    buf_puts(buf, files_and_environment);
    buf_puts(buf, exit_status);
}

static int run_man(struct cli *cli, struct invocation *use)
{
    cleanup_buf struct buf buf = BUF_INIT(PAGE_MAX);
    const char *name = use->operands.count > 0 ? use->operands.items[0] : NULL;
    const struct command *command = name ? command_find(name) : NULL;
    if (command)
        add_command_page(&buf, command);
    else
        add_overview_page(&buf);
    return out_flush(cli, &buf);
}

const struct command command_man = {
    .name = "__man",
    .aliases = "",
    .summary = "manual pages",
    .operands = "[COMMAND]",
    .details = "Prints a manual page in mdoc.",
    .most = 1,
    .hidden = true,
    .run = run_man,
};
