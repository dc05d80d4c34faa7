// SPDX-License-Identifier: Apache-2.0
// A program's way into the sandbox: its text as a file, what it needs, its compilation. Layer: cli.
#include "cli/run_program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sandboxes/files.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "cli/signals.h"
#include "engine/imagerecord.h"

struct sbx_call run_call(void)
{
    struct sbx_call call = SBX_CALL_INIT;
    call.cancel = signals_token();
    return call;
}

static int put_file(struct run *run, const char *path, const void *data, size_t size, uint32_t mode,
                    struct sbx_error *err)
{
    struct sbx_file_options options = SBX_FILE_OPTIONS_INIT;
    struct sbx_call call = run_call();
    options.user = run->values->spec.user;
    options.mode = mode;
    return sbx_file_write(run->sandbox, path, data, size, &options, &call, err);
}

// A fresh directory name: runs that share a sandbox must not meet.
static int name_places(struct run *run, const char *place, struct sbx_error *err)
{
    char id[ID_SIZE];
    if (id_new(id) < 0)
        return err_sys(err, 0, errno, "cannot make a random name");
    snprintf(run->dir, sizeof(run->dir), "/tmp/run-%s", id + 3);
    snprintf(run->file, sizeof(run->file), "%s/%s", run->dir, place);
    snprintf(run->binary, sizeof(run->binary), "%s/.program", run->dir);
    return 0;
}

struct filler {
    const char *name;
    size_t offset; // of the text in struct run
};

static const struct filler fillers[] = {
    {"{dir}", offsetof(struct run, dir)},
    {"{file}", offsetof(struct run, file)},
    {"{binary}", offsetof(struct run, binary)},
};

char *run_fill_word(const struct run *run, const char *word)
{
    char *filled;
    for (size_t i = 0; i < ARRAY_SIZE(fillers); i++) {
        const char *at = strstr(word, fillers[i].name);
        if (!at)
            continue;
        const char *value = (const char *)run + fillers[i].offset;
        int length = asprintf(&filled, "%.*s%s%s", (int)(at - word), word, value,
                              at + strlen(fillers[i].name));
        return length < 0 ? NULL : filled;
    }
    return strdup(word);
}

static void free_words(char **words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(words[i]);
    free(words);
}

static size_t count_words(language_words words)
{
    size_t count = 0;
    while (words[count])
        count++;
    return count;
}

static char **fill_words(const struct run *run, language_words words, size_t *ret_count)
{
    size_t count = count_words(words);
    char **filled = calloc(count + 1, sizeof(*filled));
    for (size_t i = 0; filled && i < count; i++) {
        filled[i] = run_fill_word(run, words[i]);
        if (!filled[i]) {
            free_words(filled, i);
            return NULL;
        }
    }
    *ret_count = count;
    return filled;
}

static const char *image_name(const struct run *run)
{
    return run->values->spec.image ? run->values->spec.image : "host";
}

// A missing tool is told as what to install instead of as a failed exec.
static int explain_missing(struct run *run, const char *program, int code, struct sbx_error *err)
{
    if (code != SBX_ERR_EXEC || !err || err->sys_errno != ENOENT || !run->program.language)
        return code;
    return language_missing(run->program.language, program, image_name(run), err);
}

static int run_words(struct run *run, char *const *words, size_t count, bool step,
                     struct sbx_error *err)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    exec.argv = (const char *const *)words;
    exec.argc = count;
    exec.cwd = step ? run->dir : run->values->spec.cwd;
    return explain_missing(run, words[0], run_exec(run, &exec, step, err), err);
}

int run_step(struct run *run, language_words words, struct sbx_error *err)
{
    size_t count;
    char **filled = fill_words(run, words, &count);
    if (!filled)
        return err_nomem(err);
    int code = run_words(run, filled, count, true, err);
    free_words(filled, count);
    return code < 0 ? code : run->end.outcome.exit_code != 0 || run->end.killed;
}

static int write_program(struct run *run, struct sbx_error *err)
{
    int code = put_file(run, run->file, run->program.data, run->program.size, 0755, err);
    if (code < 0)
        return err_wrap(err, "cannot bring the program into the sandbox");
    free(steal_ptr(run->program.data));
    return 0;
}

static int choose_words(struct run *run, struct sbx_error *err)
{
    static const char *const itself[] = {"{file}", NULL};
    const struct language *language = run->program.language;
    struct sbx_call call = run_call();
    run->words = language ? language->run : itself;
    if (!language || !language->choose)
        return 0;
    int code = language->choose(run->sandbox, &call, &run->words, err);
    if (code == 0 && !run->words)
        return language_missing(language, "a program for it", image_name(run), err);
    return code;
}

int run_prepare(struct run *run, struct sbx_error *err)
{
    const struct language *language = run->program.language;
    struct run_manifest manifest = {0};
    if (run->program.kind != PROGRAM_TEXT)
        return 0;
    if (run->values->deps > 0 && language)
        run_find_manifest(run, &manifest);
    char place[RUN_PLACE_SIZE];
    run_choose_place(run, &manifest, place);
    int code = name_places(run, place, err);
    if (code == 0)
        code = write_program(run, err);
    if (code == 0)
        code = choose_words(run, err);
    if (code == 0 && run->values->deps > 0 && language)
        code = run_install(run, &manifest, err);
    if (code == 0 && language && language->compile && run->words == language->run)
        code = run_step(run, language->compile, err);
    return code;
}

static int start_program(struct run *run, struct sbx_error *err)
{
    size_t count, extra = run->program.word_count;
    char **filled = fill_words(run, run->words, &count);
    if (!filled)
        return err_nomem(err);
    char **words = calloc(count + extra + 1, sizeof(*words));
    int code = words ? 0 : err_nomem(err);
    if (words) {
        memcpy(words, filled, count * sizeof(*words));
        for (size_t i = 0; i < extra; i++)
            words[count + i] = (char *)run->program.words[i];
        code = run_words(run, words, count + extra, false, err);
    }
    free(words);
    free_words(filled, count);
    return code;
}

int run_start(struct run *run, struct sbx_error *err)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    if (run->program.kind == PROGRAM_TEXT)
        return start_program(run, err);
    exec.cwd = run->values->spec.cwd;
    if (run->program.kind == PROGRAM_LINE) {
        exec.shell = run->program.line;
        return run_exec(run, &exec, false, err);
    }
    cleanup_imagerecord struct imagerecord record = {0};
    cleanup_free const char **words = NULL;
    int code = run_image_words(run, &record, &words, &exec.argc, err);
    exec.argv = words;
    return code < 0 ? code : run_exec(run, &exec, false, err);
}
