// SPDX-License-Identifier: Apache-2.0
// sandboxes __complete -- WORDS...: candidates for the last of the words, for completion scripts.
// Must stay silent about failures: whoever presses the tab key wants no message. Layer: cli.
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/help.h"
#include "cli/out.h"

#define TYPED_MAX 2 // operands that decide what may follow

// What has been typed so far.
struct state {
    struct cli *cli;
    struct buf buf;
    const struct command *command;
    size_t operands;              // before the current word
    const char *typed[TYPED_MAX]; // the first of them
    const char *current;
    const char *prefix; // put before each candidate: "--network=" or ""
};

static void offer(struct state *state, const char *word, const char *text)
{
    if (strncmp(word, state->current, strlen(state->current)) == 0)
        buf_printf(&state->buf, "%s%s\t%s\n", state->prefix, word, text ? text : "");
}

static void offer_files(struct state *state)
{
    buf_puts(&state->buf, ":files\n");
}

static void offer_commands(struct state *state)
{
    for (size_t i = 0; commands[i]; i++)
        if (!commands[i]->hidden)
            offer(state, commands[i]->name, commands[i]->summary);
}

static void offer_sandboxes(struct state *state, const char *suffix)
{
    struct sbx_client *client;
    struct sbx_list list;
    struct sbx_call call = SBX_CALL_INIT;
    call.timeout_ms = 2000; // a service that hangs must not hang the shell
    if (cli_client(state->cli, NULL, &client, NULL) < 0 ||
        sbx_sandbox_list(client, NULL, NULL, 0, &call, &list, NULL) < 0)
        return;
    for (size_t i = 0; i < list.count; i++) {
        char word[256];
        snprintf(word, sizeof(word), "%s%s", list.items[i].id, suffix);
        offer(state, word, list.items[i].image);
    }
    sbx_list_free(&list);
}

static void offer_providers(struct state *state)
{
    struct sbx_client *client;
    struct sbx_provider_info info = {.size = sizeof(info)};
    if (cli_client(state->cli, NULL, &client, NULL) < 0)
        return;
    for (size_t i = 0; i < sbx_provider_count(client); i++)
        if (sbx_provider_get(client, i, &info, NULL) == 0)
            offer(state, info.name, info.description);
}

static void offer_value(struct state *state, const struct opt_row *row)
{
    for (size_t i = 0; row->choices && row->choices[i]; i++)
        offer(state, row->choices[i], NULL);
    if (strcmp(row->name, "provider") == 0)
        offer_providers(state);
    else if (row->value && (strstr(row->value, "FILE") || strstr(row->value, "SRC") ||
                            strstr(row->value, "IMAGE")))
        offer_files(state);
}

static void offer_row(struct state *state, const struct opt_row *row)
{
    char word[80];
    if (row->flags & OPT_HIDDEN)
        return;
    snprintf(word, sizeof(word), "--%s", row->name);
    offer(state, word, row->help);
    if (row->flags & OPT_NEGATABLE) {
        snprintf(word, sizeof(word), "--no-%s", row->name);
        offer(state, word, row->help);
    }
}

typedef void (*each_row_fn)(struct state *state, const struct opt_row *row);

static void each_row(struct state *state, each_row_fn visit)
{
    for (size_t p = 0; state->command && p < COMMAND_PARTS_MAX && state->command->parts[p].title;
         p++)
        for (size_t i = 0; i < state->command->parts[p].count; i++)
            visit(state, &state->command->parts[p].rows[i]);
    for (size_t i = 0; i < common_row_count; i++)
        visit(state, &common_rows[i]);
}

static bool row_named(const struct opt_row *row, const char *word, size_t length)
{
    if (word[1] != '-')
        return row->letter && length >= 2 && row->letter == word[length - 1];
    return (strlen(row->name) == length - 2 && strncmp(row->name, word + 2, length - 2) == 0) ||
           (row->alias && strlen(row->alias) == length - 2 &&
            strncmp(row->alias, word + 2, length - 2) == 0);
}

// The row of an option as typed ("-p", "--provider", "-it"), NULL if none.
static const struct opt_row *find_row(const struct command *command, const char *word,
                                      size_t length)
{
    if (length < 2 || word[0] != '-')
        return NULL;
    for (size_t p = 0; command && p < COMMAND_PARTS_MAX && command->parts[p].title; p++)
        for (size_t i = 0; i < command->parts[p].count; i++)
            if (row_named(&command->parts[p].rows[i], word, length))
                return &command->parts[p].rows[i];
    for (size_t i = 0; i < common_row_count; i++)
        if (row_named(&common_rows[i], word, length))
            return &common_rows[i];
    return NULL;
}

// Where the form's next word begins if it begins with what was typed, else NULL.
static const char *follow(const struct state *state, const char *form)
{
    for (size_t i = 0; i < state->operands; i++) {
        size_t length = strcspn(form, " ");
        if (strlen(state->typed[i]) != length || strncmp(form, state->typed[i], length) != 0 ||
            !form[length])
            return NULL;
        form += length + 1;
    }
    return form;
}

static void offer_forms(struct state *state)
{
    char last[32] = "";
    for (size_t i = 0; state->operands <= TYPED_MAX && state->command->forms[i]; i++) {
        char word[sizeof(last)];
        const char *next = follow(state, state->command->forms[i]);
        if (!next)
            continue;
        snprintf(word, sizeof(word), "%.*s", (int)strcspn(next, " "), next);
        if (strcmp(word, "FILE") == 0)
            offer_files(state);
        else if (strcmp(word, last) != 0) // forms with the same beginning are neighbours
            offer(state, word, NULL);
        memcpy(last, word, sizeof(last));
    }
}

static void offer_operand(struct state *state)
{
    enum complete_kind kind = state->command ? state->command->complete : COMPLETE_COMMAND;
    if (kind == COMPLETE_COMMAND && state->operands == 0) {
        offer_commands(state);
    } else if (kind == COMPLETE_SHELL && state->operands == 0) {
        offer(state, "bash", NULL);
        offer(state, "zsh", NULL);
        offer(state, "fish", NULL);
    } else if (kind == COMPLETE_SANDBOXES || (kind == COMPLETE_SANDBOX && state->operands == 0)) {
        offer_sandboxes(state, "");
    } else if (kind == COMPLETE_PATHS) {
        offer_sandboxes(state, ":");
        offer_files(state);
    } else if (kind == COMPLETE_FILES) {
        offer_files(state);
    } else if (state->command && state->command->forms) {
        offer_forms(state);
    }
}

static void complete_current(struct state *state, const struct opt_row *waiting)
{
    char prefix[128];
    size_t name = strcspn(state->current, "=");
    const struct opt_row *inside =
        state->current[name] == '=' ? find_row(state->command, state->current, name) : NULL;
    if (waiting) {
        offer_value(state, waiting);
    } else if (inside && state->current[1] == '-') {
        snprintf(prefix, sizeof(prefix), "%.*s=", (int)name, state->current);
        state->prefix = prefix;
        state->current += name + 1;
        offer_value(state, inside);
    } else if (state->current[0] == '-') {
        each_row(state, offer_row);
    } else {
        offer_operand(state);
    }
    state->prefix = "";
}

// Walks over the words before the current one.
static void walk(struct state *state, const char *const *words, size_t count)
{
    const struct opt_row *waiting = NULL; // option whose value comes next
    bool dashed = false;
    for (size_t i = 0; i + 1 < count; i++) {
        const char *word = words[i];
        if (waiting || dashed) {
            if (strcmp(word, "=") != 0) // bash splits "--name=value" at the sign
                waiting = NULL;
            continue;
        }
        dashed = strcmp(word, "--") == 0;
        if (word[0] == '-') {
            const struct opt_row *row = find_row(state->command, word, strlen(word));
            waiting = row && row->kind != OPT_FLAG ? row : NULL;
        } else if (!state->command) {
            state->command = command_find(word);
        } else {
            if (state->operands < TYPED_MAX)
                state->typed[state->operands] = word;
            state->operands++;
        }
    }
    if (dashed)
        offer_files(state);
    else
        complete_current(state, waiting);
}

static int run_complete(struct cli *cli, struct invocation *use)
{
    struct state state = {.cli = cli, .buf = BUF_INIT(1024 * 1024), .current = "", .prefix = ""};
    size_t count = use->operands.count;
    if (count > 0)
        state.current = use->operands.items[count - 1];
    if (strcmp(state.current, "=") == 0)
        state.current = "";
    walk(&state, use->operands.items, count);
    int status = out_flush(cli, &state.buf);
    buf_deinit(&state.buf);
    return status;
}

const struct command command_complete = {
    .name = "__complete",
    .aliases = "",
    .summary = "candidates for completion scripts",
    .operands = "-- WORD...",
    .details = "Prints candidates for the last word, one a line.",
    .most = SIZE_MAX,
    .hidden = true,
    .run = run_complete,
};
