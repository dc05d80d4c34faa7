// SPDX-License-Identifier: Apache-2.0
// A program's way into the sandbox: its text as a file, what it needs, its compilation. Layer: cli.
#include "cli/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sandboxes/files.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "cli/message.h"
#include "cli/signals.h"

#define WORDS_MAX 4096

static struct sbx_call make_call(void)
{
    struct sbx_call call = SBX_CALL_INIT;
    call.cancel = signals_token();
    return call;
}

static int put_file(struct run *run, const char *path, const void *data, size_t size, uint32_t mode,
                    struct sbx_error *err)
{
    struct sbx_file_options options = SBX_FILE_OPTIONS_INIT;
    struct sbx_call call = make_call();
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

// A template's word completed; owned by the caller, NULL when out of memory.
static char *fill_word(const struct run *run, const char *word)
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
        filled[i] = fill_word(run, words[i]);
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

// A command before the program itself; 1 when it failed (run->end says how).
static int run_step(struct run *run, language_words words, struct sbx_error *err)
{
    size_t count;
    char **filled = fill_words(run, words, &count);
    if (!filled)
        return err_nomem(err);
    int code = run_words(run, filled, count, true, err);
    free_words(filled, count);
    return code < 0 ? code : run->end.outcome.exit_code != 0 || run->end.killed;
}

// Where manifests are looked for: beside the program, for standard input here.
struct beside {
    char dir[4096];
    const struct language_deps *row; // NULL: no manifest
    bool locked;
};

static bool exists(const char *dir, const char *name)
{
    char path[4400];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static void find_row(const struct language *language, struct beside *beside)
{
    for (const struct language_deps *row = language->deps; row && row->manifest; row++)
        if (exists(beside->dir, row->manifest)) {
            beside->row = row;
            beside->locked = row->lock && exists(beside->dir, row->lock);
            return;
        }
}

static void find_beside(const struct run *run, struct beside *beside)
{
    const char *path = run->program.path, *slash = path ? strrchr(path, '/') : NULL;
    size_t length = slash ? (size_t)(slash - path) : 0;
    memset(beside, 0, sizeof(*beside));
    snprintf(beside->dir, sizeof(beside->dir), "%.*s", slash ? (int)length : 1, slash ? path : ".");
    if (slash == path && slash)
        snprintf(beside->dir, sizeof(beside->dir), "/");
    find_row(run->program.language, beside);
    // cargo keeps the program one level below its manifest.
    const char *base = strrchr(beside->dir, '/');
    bool in_src = strcmp(base ? base + 1 : beside->dir, "src") == 0;
    if (beside->row || !in_src || !run->program.language->deps)
        return;
    size_t used = strlen(beside->dir);
    snprintf(beside->dir + used, sizeof(beside->dir) - used, "/..");
    find_row(run->program.language, beside);
}

static int upload_one(struct run *run, const char *dir, const char *name, struct sbx_error *err)
{
    char from[4400], to[400];
    struct sbx_file_options options = SBX_FILE_OPTIONS_INIT;
    struct sbx_call call = make_call();
    snprintf(from, sizeof(from), "%s/%s", dir, name);
    snprintf(to, sizeof(to), "%s/%s", run->dir, name);
    options.user = run->values->spec.user;
    return sbx_file_upload(run->sandbox, from, to, &options, &call, err);
}

static int add_env(struct run *run, const char *template, struct sbx_error *err)
{
    cleanup_free char *text = fill_word(run, template);
    return text ? pairs_add(&run->env, text, strlen(text), err) : err_nomem(err);
}

static int complain_deps(struct run *run, language_words words, struct sbx_error *err)
{
    if (run->end.killed || run->end.outcome.flags & SBX_OUTCOME_TIMED_OUT || signals_fatal())
        return 1;
    err_set(err, SBX_ERR_UNAVAILABLE,
            "installing dependencies failed: '%s %s' ended with status %d", words[0], words[1],
            run->end.outcome.exit_code);
    return err_hint(err,
                    "see its messages above; it needs its tools in the image (%s) and the network",
                    run->program.language->package);
}

static int install(struct run *run, language_words words, struct sbx_error *err)
{
    int code = words ? run_step(run, words, err) : 0;
    return code > 0 ? complain_deps(run, words, err) : code;
}

// The sources beside a program in "src" belong to it.
static int upload_sources(struct run *run, const struct beside *beside, struct sbx_error *err)
{
    size_t length = strlen(beside->dir);
    if (!beside->row->place || length < 3 || strcmp(beside->dir + length - 3, "/..") != 0)
        return 0;
    return upload_one(run, beside->dir, "src", err);
}

static int install_row(struct run *run, const struct beside *beside, struct sbx_error *err)
{
    const struct language_deps *row = beside->row;
    int code = upload_one(run, beside->dir, row->manifest, err);
    if (code == 0 && beside->locked)
        code = upload_one(run, beside->dir, row->lock, err);
    if (code == 0)
        code = upload_sources(run, beside, err);
    if (code == 0 && row->env)
        code = add_env(run, row->env, err);
    if (row->run)
        run->words = row->run;
    return code < 0 ? code
                    : install(run, beside->locked && row->locked ? row->locked : row->open, err);
}

static int install_deps(struct run *run, const struct beside *beside, struct sbx_error *err)
{
    if (beside->row)
        return install_row(run, beside, err);
    if (run->program.language->bare_deps)
        return install(run, run->program.language->bare_deps, err);
    if (!run->values->quiet)
        message_note("--deps: nothing beside the program says what it needs (%s)",
                     run->program.language->deps ? run->program.language->deps[0].manifest
                                                 : run->program.language->name);
    return 0;
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
    struct sbx_call call = make_call();
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
    struct beside beside = {0};
    if (run->program.kind != PROGRAM_TEXT)
        return 0;
    if (run->values->deps > 0 && language)
        find_beside(run, &beside);
    bool placed = beside.row && beside.row->place;
    int code = name_places(run, placed ? beside.row->place : run->program.name, err);
    if (code == 0)
        code = write_program(run, err);
    if (code == 0)
        code = choose_words(run, err);
    if (code == 0 && run->values->deps > 0 && language)
        code = install_deps(run, &beside, err);
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
    } else {
        exec.argv = run->program.words;
        exec.argc = run->program.word_count;
    }
    return run_exec(run, &exec, false, err);
}
