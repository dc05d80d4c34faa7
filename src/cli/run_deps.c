// SPDX-License-Identifier: Apache-2.0
// run --deps: what a manifest beside the program asks for is installed before it runs. Layer: cli.
#include "cli/run_program.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <sandboxes/files.h>

#include "base/cleanup.h"
#include "cli/message.h"
#include "cli/signals.h"
#include "cli/source.h"

#define PATH_SIZE (4096 + 300)
#define MANIFEST_MAX (1024 * 1024)

static bool exists(const char *dir, const char *name)
{
    char path[PATH_SIZE];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool find_row(const struct language *language, struct run_manifest *manifest)
{
    for (const struct language_deps *row = language->deps; row && row->manifest; row++)
        if (exists(manifest->dir, row->manifest)) {
            manifest->row = row;
            manifest->locked = row->lock && exists(manifest->dir, row->lock);
            return true;
        }
    return false;
}

// The directory of a path; "." for a bare name or no path at all.
static void directory_of(const char *path, char *dir, size_t size)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    if (!slash)
        snprintf(dir, size, ".");
    else
        snprintf(dir, size, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

void run_find_manifest(const struct run *run, struct run_manifest *ret_manifest)
{
    const struct language *language = run->program.language;
    struct run_manifest *manifest = ret_manifest;
    *manifest = (struct run_manifest){0};
    directory_of(run->program.path, manifest->dir, sizeof(manifest->dir));
    if (find_row(language, manifest))
        return;
    // A project that keeps its sources in "src" has the manifest above it.
    const char *slash = strrchr(manifest->dir, '/'), *last = slash ? slash + 1 : manifest->dir;
    size_t used = strlen(manifest->dir);
    if (strcmp(last, "src") != 0 || used + sizeof("/..") > sizeof(manifest->dir))
        return;
    snprintf(manifest->dir + used, sizeof(manifest->dir) - used, "/..");
    manifest->above = find_row(language, manifest);
}

// Whether the manifest has the program's name in quotes: it says itself where the program is.
static bool names_program(const struct run *run, const struct run_manifest *manifest)
{
    char path[PATH_SIZE], quoted[300];
    cleanup_free char *text = NULL;
    size_t size;
    snprintf(path, sizeof(path), "%s/%s", manifest->dir, manifest->row->manifest);
    snprintf(quoted, sizeof(quoted), "\"%s\"", run->program.name);
    return source_read_file(path, MANIFEST_MAX, &text, &size, NULL) == 0 && strstr(text, quoted);
}

void run_choose_place(const struct run *run, const struct run_manifest *manifest, char *text)
{
    const char *name = run->program.name;
    bool expected = manifest->row && manifest->row->place;
    if (expected && manifest->above)
        snprintf(text, RUN_PLACE_SIZE, "src/%s", name);
    else if (expected && !names_program(run, manifest))
        snprintf(text, RUN_PLACE_SIZE, "%s", manifest->row->place);
    else
        snprintf(text, RUN_PLACE_SIZE, "%s", name);
}

static int upload(struct run *run, const char *dir, const char *name, struct sbx_error *err)
{
    char from[PATH_SIZE], to[400];
    struct sbx_file_options options = SBX_FILE_OPTIONS_INIT;
    struct sbx_call call = run_call();
    snprintf(from, sizeof(from), "%s/%s", dir, name);
    snprintf(to, sizeof(to), "%s/%s", run->dir, name);
    options.user = run->values->spec.user;
    return sbx_file_upload(run->sandbox, from, to, &options, &call, err);
}

// Upload goes into a directory that is there under the source's own name: so the target is the
// parent.
static int upload_sources(struct run *run, const struct run_manifest *manifest,
                          struct sbx_error *err)
{
    char from[PATH_SIZE];
    struct sbx_file_options options = SBX_FILE_OPTIONS_INIT;
    struct sbx_call call = run_call();
    snprintf(from, sizeof(from), "%s/src", manifest->dir);
    options.user = run->values->spec.user;
    return sbx_file_upload(run->sandbox, from, run->dir, &options, &call, err);
}

static int add_env(struct run *run, const char *template, struct sbx_error *err)
{
    cleanup_free char *text = run_fill_word(run, template);
    return text ? pairs_add(&run->env, text, strlen(text), err) : err_nomem(err);
}

static int complain(struct run *run, language_words words, struct sbx_error *err)
{
    bool stopped = run->end.killed || run->end.outcome.flags & SBX_OUTCOME_TIMED_OUT;
    if (stopped || signals_fatal())
        return 1; // by someone who knows
    err_set(err, SBX_ERR_UNAVAILABLE,
            "installing dependencies failed: '%s %s' ended with status %d", words[0], words[1],
            run->end.outcome.exit_code);
    return err_hint(err, "see its messages above; it needs the network and in the image: %s",
                    run->program.language->package);
}

static int install(struct run *run, language_words words, struct sbx_error *err)
{
    int code = words ? run_step(run, words, err) : 0;
    return code > 0 ? complain(run, words, err) : code;
}

static int install_row(struct run *run, const struct run_manifest *manifest, struct sbx_error *err)
{
    const struct language_deps *row = manifest->row;
    int code = upload(run, manifest->dir, row->manifest, err);
    if (code == 0 && manifest->locked)
        code = upload(run, manifest->dir, row->lock, err);
    if (code == 0 && manifest->above && row->place)
        code = upload_sources(run, manifest, err);
    if (code == 0 && row->env)
        code = add_env(run, row->env, err);
    if (code < 0)
        return code;
    if (row->run)
        run->words = row->run;
    return install(run, manifest->locked && row->locked ? row->locked : row->open, err);
}

int run_install(struct run *run, const struct run_manifest *manifest, struct sbx_error *err)
{
    const struct language *language = run->program.language;
    if (manifest->row)
        return install_row(run, manifest, err);
    if (language->bare_deps)
        return install(run, language->bare_deps, err);
    if (!run->values->quiet)
        message_note("--deps: nothing beside the program says what it needs (%s)",
                     language->deps ? language->deps[0].manifest : language->name);
    return 0;
}
