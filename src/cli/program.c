// SPDX-License-Identifier: Apache-2.0
// What `run` is asked to run. Layer: cli.
#include "cli/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/source.h"

#define LOGIN_SHELL "command -v bash >/dev/null && exec bash -l; exec sh -l"

void program_deinit(struct program *program)
{
    free(program->data);
}

static int find_language(const char *name, const struct language **ret_language,
                         struct sbx_error *err)
{
    *ret_language = language_find(name);
    if (*ret_language)
        return 0;
    char names[256];
    language_names(names, sizeof(names));
    err_set(err, SBX_ERR_INVALID, "unknown language '%s'", name);
    const char *near = language_suggest(name);
    if (near)
        return err_hint(err, "did you mean '%s'?", near);
    return err_hint(err, "known are: %s; other programs run by their #! line", names);
}

// The language by name, else by the file's suffix, else by its #! line; a text without any is sh's.
static void guess_language(struct program *program)
{
    if (!program->language && program->path)
        program->language = language_of_file(program->path);
    if (!program->language)
        program->language = language_of_shebang(program->data, program->size);
    if (!program->language && !language_has_shebang(program->data, program->size))
        program->language = language_find("sh");
}

static bool suffix_fits(const struct program *program, const char *name)
{
    return !program->language || language_of_file(name) == program->language;
}

// The file keeps its name, which shows in messages of the language, where the language accepts it.
static void choose_name(struct program *program)
{
    const char *slash = program->path ? strrchr(program->path, '/') : NULL;
    const char *name = slash ? slash + 1 : program->path;
    if (!name || !name[0] || strlen(name) >= sizeof(program->name) || !suffix_fits(program, name))
        name = program->language ? program->language->file : "program";
    snprintf(program->name, sizeof(program->name), "%s", name);
}

static int read_text(const char *file, struct program *program, struct sbx_error *err)
{
    bool from_stdin = !file || strcmp(file, "-") == 0;
    int code = from_stdin ? source_read_fd(STDIN_FILENO, "standard input", SOURCE_MAX,
                                           &program->data, &program->size, err)
                          : source_read_file(file, SOURCE_MAX, &program->data, &program->size, err);
    if (code < 0)
        return code;
    program->path = from_stdin ? NULL : file;
    guess_language(program);
    choose_name(program);
    return 0;
}

// The one operand beside --lang is the program itself.
static int copy_text(const char *text, struct program *program, struct sbx_error *err)
{
    program->data = strdup(text);
    program->size = strlen(text);
    choose_name(program);
    return program->data ? 0 : err_nomem(err);
}

static int complain_nothing(struct sbx_error *err)
{
    err_set(err, SBX_ERR_INVALID, "nothing to run");
    return err_hint(err,
                    "sandboxes run \"echo hello\", sandboxes run --file main.py, a program on "
                    "standard input with --lang python, or '--' alone for what the image runs");
}

static int complain_both(struct sbx_error *err)
{
    err_set(err, SBX_ERR_INVALID, "--file and a command exclude each other");
    return err_hint(err, "leave out one; arguments for the file's program go after '--'");
}

static void take_words(const struct opt_operands *operands, struct program *program)
{
    program->words = operands->items;
    program->word_count = operands->count;
}

static int read_command(const struct opt_operands *operands, struct program *program)
{
    bool line = operands->count == 1 && operands->dashed == SIZE_MAX;
    program->kind = line ? PROGRAM_LINE : PROGRAM_WORDS;
    program->line = operands->items[0];
    take_words(operands, program);
    return 0;
}

int program_read(const char *file, const char *language, const struct opt_operands *operands,
                 bool shell, struct program *ret_program, struct sbx_error *err)
{
    cleanup_program struct program program = {.kind = PROGRAM_TEXT};
    int code = language ? find_language(language, &program.language, err) : 0;
    if (code < 0)
        return code;
    bool only_arguments = operands->dashed == 0; // all words follow "--"
    if (language && !file && operands->count == 1 && !only_arguments) {
        code = copy_text(operands->items[0], &program, err);
    } else if (file || language) {
        if (operands->count > 0 && !only_arguments)
            return complain_both(err);
        take_words(operands, &program);
        code = read_text(file, &program, err);
    } else if (operands->count > 0) {
        code = read_command(operands, &program);
    } else if (only_arguments) {
        program.kind = PROGRAM_WORDS; // of which there are none: what the image itself runs
    } else if (isatty(STDIN_FILENO) && shell) {
        program.kind = PROGRAM_LINE;
        program.line = LOGIN_SHELL;
    } else if (isatty(STDIN_FILENO)) {
        code = complain_nothing(err);
    } else {
        code = read_text(NULL, &program, err);
    }
    if (code < 0)
        return code;
    *ret_program = program;
    memset(&program, 0, sizeof(program));
    return 0;
}
