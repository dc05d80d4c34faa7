// SPDX-License-Identifier: Apache-2.0
// The shell of the provider "fake": words, lists and redirections. What it knows is in shell.h.
// Layer: provider.
#include "provider/fake/shell.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"

#define WORD_MAX (1024 * 1024)
#define WORDS_MAX 1024
#define DEPTH_MAX 8

enum joint { JOINT_END, JOINT_NEXT, JOINT_AND, JOINT_OR };

struct script {
    struct program *program; // the shell itself: its plumbing is what commands inherit
    const char *at;
    char *words[WORDS_MAX + 1];
    size_t count;
    struct plumbing plumbing; // of the command that is being read
};

static int syntax(struct script *s, const char *what)
{
    fake_program_printf(s->program, 2, "sh: the shell of the provider 'fake' doesn't know %s\n",
                        what);
    s->program->shell->exiting = true;
    return s->program->shell->status = 2;
}

static void plumbing_deinit(struct plumbing *plumbing)
{
    free(plumbing->out.path);
    free(plumbing->err.path);
    free(plumbing->input);
    *plumbing = (struct plumbing){0};
}

static struct target copy_target(const struct target *from)
{
    return (struct target){from->kind, from->path ? strdup(from->path) : NULL};
}

static void inherit(struct script *s)
{
    const struct plumbing *from = s->program->plumbing;
    plumbing_deinit(&s->plumbing);
    s->plumbing.out = copy_target(&from->out);
    s->plumbing.err = copy_target(&from->err);
    s->plumbing.input = from->input ? strdup(from->input) : NULL;
    s->plumbing.input_at = from->input_at;
}

static void drop_words(struct script *s)
{
    while (s->count > 0)
        free(s->words[--s->count]);
    s->words[0] = NULL;
}

static void expand(struct script *s, struct buf *out)
{
    s->at++;
    bool braces = *s->at == '{';
    s->at += braces;
    if (*s->at == '$' || *s->at == '?') {
        buf_printf(out, "%d",
                   *s->at == '$' ? (int)s->program->shell->process->pid
                                 : s->program->shell->status);
        s->at++;
    } else {
        char name[64];
        size_t length = strspn(s->at, TEXT_ALNUM "_");
        snprintf(name, sizeof(name), "%.*s", (int)length, s->at);
        const char *value = length ? fake_program_env(s->program, name) : "$";
        buf_puts(out, value ? value : "");
        s->at += length;
    }
    s->at += braces && *s->at == '}';
}

// The part of a word in double quotes; s->at is behind the opening one.
static bool read_quoted(struct script *s, struct buf *out)
{
    while (*s->at && *s->at != '"') {
        if (*s->at == '$') {
            expand(s, out);
            continue;
        }
        if (*s->at == '\\' && s->at[1] && strchr("\\\"$`\n", s->at[1]))
            s->at++;
        buf_add(out, s->at++, 1);
    }
    return *s->at++ == '"';
}

static bool read_part(struct script *s, struct buf *out)
{
    const char *end;
    switch (*s->at) {
    case '\'':
        end = strchr(s->at + 1, '\'');
        if (!end)
            return false;
        buf_add(out, s->at + 1, (size_t)(end - s->at - 1));
        s->at = end + 1;
        return true;
    case '"':
        s->at++;
        return read_quoted(s, out);
    case '$':
        if (s->at[1] == '(')
            return false;
        expand(s, out);
        return true;
    case '\\':
        s->at += s->at[1] != '\0';
        break;
    default:
        break;
    }
    buf_add(out, s->at++, 1);
    return true;
}

// The next word, or NULL after an error message.
static char *read_word(struct script *s)
{
    cleanup_buf struct buf word = BUF_INIT(WORD_MAX);
    s->at += strspn(s->at, " \t");
    while (*s->at && !strchr(" \t\n;&|<>", *s->at)) {
        if (strchr("`(){}", *s->at) || !read_part(s, &word)) {
            syntax(s, "substitutions, groups or open quotes");
            return NULL;
        }
    }
    return buf_steal(&word, NULL);
}

static int redirect_output(struct script *s, struct target *target)
{
    bool append = *s->at == '>';
    s->at += append;
    if (*s->at == '&') {
        char fd = s->at[1];
        if (fd != '1' && fd != '2')
            return syntax(s, "this redirection");
        s->at += 2;
        struct target copy = copy_target(fd == '1' ? &s->plumbing.out : &s->plumbing.err);
        free(target->path);
        *target = copy;
        return 0;
    }
    char *path = read_word(s);
    if (!path)
        return 2;
    free(target->path);
    *target = (struct target){TARGET_FILE, path};
    struct memfs_view view = fake_program_view(s->program);
    struct memfs_node *node;
    struct sbx_error err;
    if (memfs_open_write(&view, path, 0644, append, &node, &err) == 0)
        return 0;
    fake_program_printf(s->program, 2, "sh: %s\n", err.message);
    return 1;
}

static int redirect(struct script *s, char arrow, bool from_stderr)
{
    s->at++;
    if (arrow == '>')
        return redirect_output(s, from_stderr ? &s->plumbing.err : &s->plumbing.out);
    free(s->plumbing.input);
    s->plumbing.input = read_word(s);
    s->plumbing.input_at = 0;
    return s->plumbing.input ? 0 : 2;
}

static enum joint read_joint(struct script *s)
{
    char c = *s->at;
    if (!c)
        return JOINT_END;
    s->at++;
    if (c == '#')
        s->at += strcspn(s->at, "\n");
    if ((c == '&' || c == '|') && *s->at == c) {
        s->at++;
        return c == '&' ? JOINT_AND : JOINT_OR;
    }
    if (c == '&' || c == '|')
        syntax(s, c == '|' ? "pipes" : "the background");
    return JOINT_NEXT;
}

// Reads words and redirections up to what ends the command. A failed redirection fails it.
static int read_command(struct script *s)
{
    int failed = 0;
    inherit(s);
    drop_words(s);
    for (;;) {
        s->at += strspn(s->at, " \t");
        char c = *s->at;
        bool numbered = (c == '1' || c == '2') && s->at[1] == '>';
        if (!c || strchr("\n;&|", c) || (c == '#'))
            return failed;
        if (numbered || c == '<' || c == '>') {
            s->at += numbered;
            int code = redirect(s, *s->at, numbered && c == '2');
            failed = failed ? failed : code;
        } else {
            char *word = s->count < WORDS_MAX ? read_word(s) : NULL;
            if (!word)
                return 2;
            s->words[s->count++] = word;
            s->words[s->count] = NULL;
        }
        if (s->program->shell->exiting)
            return 2;
    }
}

static void run_command(struct script *s, int failed)
{
    struct shell *shell = s->program->shell;
    struct program program = {shell, &s->plumbing, s->words, s->count};
    if (failed)
        shell->status = failed;
    else if (s->count > 0)
        shell->status = fake_program_run(&program);
    if (s->plumbing.input && s->program->plumbing->input)
        s->program->plumbing->input_at = s->plumbing.input_at;
}

static void run_script(struct script *s)
{
    struct shell *shell = s->program->shell;
    enum joint before = JOINT_NEXT;
    while (!shell->exiting && fake_process_alive(shell->process)) {
        int failed = read_command(s);
        enum joint after = read_joint(s);
        bool skip = (before == JOINT_AND && shell->status != 0) ||
                    (before == JOINT_OR && shell->status == 0);
        if (!skip && !shell->exiting)
            run_command(s, failed);
        before = after;
        if (after == JOINT_END)
            return;
    }
}

int fake_shell_run_text(struct program *program, const char *text)
{
    struct shell *outer = program->shell;
    if (outer->depth >= DEPTH_MAX) {
        fake_program_printf(program, 2, "sh: shells are nested too deeply\n");
        return 2;
    }
    struct shell inner = {.process = outer->process, .depth = outer->depth + 1};
    inner.cwd = strdup(outer->cwd);
    struct script *script = calloc(1, sizeof(*script));
    struct program self = {&inner, program->plumbing, program->argv, program->argc};
    if (inner.cwd && script) {
        script->program = &self;
        script->at = text;
        run_script(script);
        drop_words(script);
        plumbing_deinit(&script->plumbing);
    }
    free(script);
    free(inner.cwd);
    return inner.status;
}

int fake_shell_check(struct fake_process *process, struct sbx_error *err)
{
    struct memfs_view view = {.fs = &process->box->fs, .cwd = process->cwd, .uid = process->uid};
    int failed = fake_program_lookup(&view, process->argv[0]);
    if (failed)
        return err_sys(err, SBX_ERR_EXEC, failed, "cannot run '%s'", process->argv[0]);
    return 0;
}

int fake_shell_main(struct fake_process *process)
{
    struct shell shell = {.process = process, .cwd = strdup(process->cwd)};
    struct plumbing plumbing = {.out = {TARGET_STDOUT, NULL}, .err = {TARGET_STDERR, NULL}};
    struct program program = {&shell, &plumbing, process->argv, process->argc};
    int status = shell.cwd ? fake_program_run(&program) : 126;
    free(shell.cwd);
    return status;
}
