// SPDX-License-Identifier: Apache-2.0
// The programs of the provider "fake" that shell scripts of tests use. Layer: provider.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "provider/fake/shell.h"

#define CHUNK (32 * 1024)

static int complain(struct program *p, const struct sbx_error *err)
{
    fake_program_printf(p, 2, "%s: %s\n", p->argv[0], err->message);
    return 1;
}

static int run_true(struct program *p)
{
    return 0;
}

static int run_false(struct program *p)
{
    return 1;
}

static int run_echo(struct program *p)
{
    size_t first = p->argc > 1 && strcmp(p->argv[1], "-n") == 0 ? 2 : 1;
    cleanup_buf struct buf line = BUF_INIT(4 * 1024 * 1024);
    for (size_t i = first; i < p->argc; i++) {
        buf_puts(&line, i > first ? " " : "");
        buf_puts(&line, p->argv[i]);
    }
    buf_puts(&line, first == 1 ? "\n" : "");
    return fake_program_write(p, 1, line.data, line.size) ? 0 : 1;
}

// One escape of printf(1) after the backslash; returns what follows it.
static const char *put_escape(struct buf *out, const char *at)
{
    static const char names[] = "abfnrtv\\", bytes[] = "\a\b\f\n\r\t\v\\";
    const char *found = *at ? strchr(names, *at) : NULL;
    if (found) {
        buf_add(out, &bytes[found - names], 1);
        return at + 1;
    }
    size_t digits = strspn(at, "01234567");
    if (digits == 0) {
        buf_puts(out, "\\");
        return at;
    }
    unsigned value = 0;
    for (size_t i = 0; i < digits && i < 3; i++)
        value = value * 8 + (unsigned)(*at++ - '0');
    char byte = (char)value;
    buf_add(out, &byte, 1);
    return at;
}

// Each %s and %d takes one argument; the format is used once.
static int run_printf(struct program *p)
{
    cleanup_buf struct buf out = BUF_INIT(4 * 1024 * 1024);
    size_t next = 2;
    for (const char *at = p->argc > 1 ? p->argv[1] : ""; *at;) {
        if (*at == '\\') {
            at = put_escape(&out, at + 1);
        } else if (*at == '%' && at[1] && strchr("sd%", at[1])) {
            const char *value = next < p->argc ? p->argv[next] : "";
            buf_puts(&out, at[1] == '%' ? "%" : value);
            next += at[1] != '%';
            at += 2;
        } else {
            buf_add(&out, at++, 1);
        }
    }
    return fake_program_write(p, 1, out.data, out.size) ? 0 : 1;
}

// Copies at most `most` bytes of the program's input to its output.
static bool copy_input(struct program *p, uint64_t most)
{
    cleanup_free char *data = malloc(CHUNK);
    size_t got = 1;
    while (data && most > 0 && got > 0) {
        if (!fake_program_read(p, data, most < CHUNK ? (size_t)most : CHUNK, &got) ||
            (got && !fake_program_write(p, 1, data, got)))
            return false;
        most -= got;
    }
    return data != NULL;
}

// As copy_input with a file in place of the input; "-" is the input itself.
static int copy_file(struct program *p, const char *path, uint64_t most)
{
    if (strcmp(path, "-") == 0)
        return copy_input(p, most) ? 0 : 1;
    struct memfs_view view = fake_program_view(p);
    struct memfs_node *node;
    struct sbx_error err;
    if (memfs_open_read(&view, path, &node, &err) < 0)
        return complain(p, &err);
    struct plumbing plumbing = *p->plumbing;
    plumbing.input = (char *)(uintptr_t)path;
    plumbing.input_at = 0;
    struct program reader = {p->shell, &plumbing, p->argv, p->argc};
    return copy_input(&reader, most) ? 0 : 1;
}

static int run_cat(struct program *p)
{
    int status = p->argc > 1 ? 0 : copy_file(p, "-", UINT64_MAX);
    for (size_t i = 1; i < p->argc; i++)
        status |= copy_file(p, p->argv[i], UINT64_MAX);
    return status;
}

static int run_head(struct program *p)
{
    if (p->argc < 3 || strcmp(p->argv[1], "-c") != 0 || !text_of(p->argv[2], TEXT_DIGITS, 18)) {
        fake_program_printf(p, 2, "usage: head -c BYTES [FILE]\n");
        return 2;
    }
    return copy_file(p, p->argc > 3 ? p->argv[3] : "-", strtoull(p->argv[2], NULL, 10));
}

static int run_wc(struct program *p)
{
    cleanup_free char *data = malloc(CHUNK);
    uint64_t total = 0;
    size_t got = 1;
    while (data && got > 0) {
        if (!fake_program_read(p, data, CHUNK, &got))
            return 1;
        total += got;
    }
    return fake_program_printf(p, 1, "%llu\n", (unsigned long long)total) ? 0 : 1;
}

static int run_sleep(struct program *p)
{
    double seconds = p->argc > 1 ? strtod(p->argv[1], NULL) : 0;
    if (!(seconds >= 0 && seconds < 1e9))
        return 1;
    fake_process_sleep(p->shell->process, (int64_t)(seconds * 1000));
    return 0;
}

static int run_exit(struct program *p)
{
    p->shell->exiting = true;
    return p->argc > 1 ? atoi(p->argv[1]) & 255 : p->shell->status;
}

static int run_env(struct program *p)
{
    bool going = true;
    for (char **at = p->shell->process->env; *at && going; at++)
        going = fake_program_printf(p, 1, "%s\n", *at);
    return going ? 0 : 1;
}

static int run_printenv(struct program *p)
{
    if (p->argc == 1)
        return run_env(p);
    const char *value = fake_program_env(p, p->argv[1]);
    return value && fake_program_printf(p, 1, "%s\n", value) ? 0 : 1;
}

static int run_pwd(struct program *p)
{
    return fake_program_printf(p, 1, "%s\n", p->shell->cwd) ? 0 : 1;
}

static int run_cd(struct program *p)
{
    const char *to = p->argc > 1 ? p->argv[1] : fake_user_home(p->shell->process->uid);
    struct memfs_view view = fake_program_view(p);
    struct memfs_node *node;
    struct sbx_error err;
    if (memfs_find(&view, to, MEMFS_FOLLOW, &node, &err) < 0)
        return complain(p, &err);
    cleanup_buf struct buf path = BUF_INIT(8192);
    if (to[0] != '/')
        buf_printf(&path, "%s/", strcmp(p->shell->cwd, "/") == 0 ? "" : p->shell->cwd);
    buf_puts(&path, to);
    char *moved = buf_steal(&path, NULL);
    if (!moved || node->kind != SBX_FILE_DIRECTORY) {
        free(moved);
        return 1;
    }
    free(p->shell->cwd);
    p->shell->cwd = moved;
    return 0;
}

static int run_id(struct program *p)
{
    uint32_t uid = p->shell->process->uid;
    const char *option = p->argc > 1 ? p->argv[1] : "";
    if (strcmp(option, "-u") == 0)
        return fake_program_printf(p, 1, "%u\n", uid) ? 0 : 1;
    if (strcmp(option, "-un") == 0 || strcmp(p->argv[0], "whoami") == 0)
        return fake_program_printf(p, 1, "%s\n", fake_user_name(uid)) ? 0 : 1;
    return fake_program_printf(p, 1, "uid=%u(%s)\n", uid, fake_user_name(uid)) ? 0 : 1;
}

static int signal_number(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } rows[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"ABRT", SIGABRT},
                {"KILL", SIGKILL}, {"SEGV", SIGSEGV}, {"TERM", SIGTERM}, {"USR1", SIGUSR1},
                {"STOP", SIGSTOP}, {"CONT", SIGCONT}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].number;
    return text_of(name, TEXT_DIGITS, 2) ? atoi(name) : -1;
}

static int run_kill(struct program *p)
{
    bool named = p->argc > 2 && p->argv[1][0] == '-';
    int signal = named ? signal_number(p->argv[1] + 1) : SIGTERM;
    const char *pid = p->argc > 1 ? p->argv[p->argc - 1] : "";
    if (signal < 0 || signal > 64 || !text_of(pid, TEXT_DIGITS, 9))
        return 2;
    return fake_process_kill(p->shell->process->box, (uint32_t)atoi(pid), signal) ? 0 : 1;
}

static int run_stty(struct program *p)
{
    const struct fake_process *process = p->shell->process;
    if (p->argc != 2 || strcmp(p->argv[1], "size") != 0 || !(process->flags & SBX_EXEC_PTY)) {
        fake_program_printf(p, 2, "stty: only 'stty size' on a terminal is known\n");
        return 1;
    }
    return fake_program_printf(p, 1, "%u %u\n", process->rows, process->cols) ? 0 : 1;
}

static int run_test(struct program *p)
{
    struct memfs_view view = fake_program_view(p);
    struct memfs_node *node;
    struct sbx_error err;
    size_t argc = p->argc - (strcmp(p->argv[0], "[") == 0);
    if (argc == 4 && strcmp(p->argv[2], "=") == 0)
        return strcmp(p->argv[1], p->argv[3]) != 0;
    if (argc == 4 && strcmp(p->argv[2], "!=") == 0)
        return strcmp(p->argv[1], p->argv[3]) == 0;
    if (argc != 3 || p->argv[1][0] != '-')
        return 2;
    bool link = strcmp(p->argv[1], "-L") == 0;
    if (memfs_find(&view, p->argv[2], link ? MEMFS_NOFOLLOW : MEMFS_FOLLOW, &node, &err) < 0)
        return 1;
    static const char letters[] = "fdL";
    static const uint32_t kinds[] = {SBX_FILE_REGULAR, SBX_FILE_DIRECTORY, SBX_FILE_SYMLINK};
    const char *letter = strchr(letters, p->argv[1][1]);
    return letter && *letter ? node->kind != kinds[letter - letters] : 0;
}

static int run_mkdir(struct program *p)
{
    struct memfs_view view = fake_program_view(p);
    struct memfs_node *node;
    struct sbx_error err;
    bool parents = p->argc > 2 && strcmp(p->argv[1], "-p") == 0;
    const char *path = p->argc > 1 ? p->argv[p->argc - 1] : "";
    int code = parents ? memfs_make_parents(&view, path, true, 0755, &err)
                       : memfs_make(&view, path, SBX_FILE_DIRECTORY, 0755, &node, &err);
    return code < 0 ? complain(p, &err) : 0;
}

static int run_ln(struct program *p)
{
    struct memfs_view view = fake_program_view(p);
    struct sbx_error err;
    if (p->argc != 4 || strcmp(p->argv[1], "-s") != 0)
        return 2;
    return memfs_link(&view, p->argv[2], p->argv[3], &err) < 0 ? complain(p, &err) : 0;
}

static int run_chmod(struct program *p)
{
    struct memfs_view view = fake_program_view(p);
    struct memfs_node *node;
    struct sbx_error err;
    if (p->argc != 3 || !text_of(p->argv[1], "01234567", 4))
        return 2;
    if (memfs_find(&view, p->argv[2], MEMFS_FOLLOW, &node, &err) < 0)
        return complain(p, &err);
    if (view.uid != 0 && view.uid != node->uid)
        return 1;
    memfs_set_mode(view.fs, node, (uint32_t)strtoul(p->argv[1], NULL, 8));
    return 0;
}

static int run_mv(struct program *p)
{
    struct memfs_view view = fake_program_view(p);
    struct sbx_error err;
    if (p->argc != 3)
        return 2;
    return memfs_rename(&view, p->argv[1], p->argv[2], &err) < 0 ? complain(p, &err) : 0;
}

static int run_rm(struct program *p)
{
    struct memfs_view view = fake_program_view(p);
    struct sbx_error err;
    int status = 0;
    bool all = p->argc > 2 && p->argv[1][0] == '-';
    for (size_t i = all ? 2 : 1; i < p->argc; i++)
        if (memfs_remove(&view, p->argv[i], all, &err) < 0 && !all)
            status = complain(p, &err);
    return status;
}

// The text of a script, up to the first NUL.
static int run_file(struct program *p, const char *path)
{
    struct memfs_view view = fake_program_view(p);
    struct memfs_node *node;
    struct sbx_error err;
    if (memfs_open_read(&view, path, &node, &err) < 0) {
        complain(p, &err);
        return 127;
    }
    cleanup_free char *text = strndup(node->data ? node->data : "", node->size);
    return text ? fake_shell_run_text(p, text) : 126;
}

static int run_sh(struct program *p)
{
    if (p->argc > 2 && strcmp(p->argv[1], "-c") == 0)
        return fake_shell_run_text(p, p->argv[2]);
    if (p->argc > 1)
        return run_file(p, p->argv[1]);
    cleanup_buf struct buf text = BUF_INIT(1024 * 1024);
    size_t got = 1;
    while (got > 0) {
        char *room = buf_reserve(&text, CHUNK);
        if (!room || !fake_program_read(p, room, CHUNK, &got))
            return 2;
        buf_commit(&text, got);
    }
    const char *script = buf_text(&text);
    return script ? fake_shell_run_text(p, script) : 2;
}

static const struct builtin builtins[] = {
    {":", run_true, true},         {"[", run_test, false},
    {"cat", run_cat, false},       {"cd", run_cd, true},
    {"chmod", run_chmod, false},   {"echo", run_echo, false},
    {"env", run_env, false},       {"exit", run_exit, true},
    {"false", run_false, false},   {"head", run_head, false},
    {"id", run_id, false},         {"kill", run_kill, false},
    {"ln", run_ln, false},         {"mkdir", run_mkdir, false},
    {"mv", run_mv, false},         {"printenv", run_printenv, false},
    {"printf", run_printf, false}, {"pwd", run_pwd, false},
    {"rm", run_rm, false},         {"sh", run_sh, false},
    {"sleep", run_sleep, false},   {"stty", run_stty, false},
    {"test", run_test, false},     {"true", run_true, false},
    {"wc", run_wc, false},         {"whoami", run_id, false},
};

const struct builtin *fake_builtin_find(const char *name)
{
    static const char *const folders[] = {"/bin/", "/usr/bin/"};
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
        if (strncmp(name, folders[i], strlen(folders[i])) == 0)
            name += strlen(folders[i]);
    for (size_t i = 0; i < ARRAY_SIZE(builtins); i++)
        if (strcmp(builtins[i].name, name) == 0)
            return &builtins[i];
    return NULL;
}

int fake_program_run(struct program *program)
{
    const struct builtin *builtin = fake_builtin_find(program->argv[0]);
    if (builtin)
        return builtin->main(program);
    struct memfs_view view = fake_program_view(program);
    int failed = fake_program_lookup(&view, program->argv[0]);
    if (!failed)
        return run_file(program, program->argv[0]);
    fake_program_printf(program, 2, "sh: %s: %s\n", program->argv[0],
                        failed == EACCES ? "Permission denied" : "not found");
    return failed == EACCES ? 126 : 127;
}
