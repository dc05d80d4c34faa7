// SPDX-License-Identifier: Apache-2.0
/*
 * The interpreter of the provider "fake", as small as tests of the contract need.
 *
 * Its shell knows: words with '...', "..." and backslash; $NAME, ${NAME}, $$, $?; commands one
 * after the other with ; && || and line ends; redirections < > >> 2> >&2 2>&1; comments. Expansions
 * are not split into fields. Pipes, background, substitution, patterns, variables, loops and
 * functions are not there: using one ends the shell with status 2. Programs are those of the table
 * in programs.c, and files that are executable, which are taken as scripts of this shell. Layer:
 * provider.
 */
#pragma once

#include "provider/fake/process.h"

enum target_kind { TARGET_STDOUT, TARGET_STDERR, TARGET_FILE };

struct target {
    enum target_kind kind;
    char *path; // owned, of a FILE
};

// Where a program's input and output are. Paths are relative to the program's directory.
struct plumbing {
    struct target out, err;
    char *input; // owned; NULL: the command's own input
    size_t input_at;
};

struct shell {
    struct fake_process *process;
    char *cwd; // owned
    int status;
    int depth;
    bool exiting;
};

struct program {
    struct shell *shell;
    struct plumbing *plumbing;
    char **argv; // NULL-terminated
    size_t argc;
};

// False when the command is to end.
bool fake_program_write(struct program *program, int fd, const void *data, size_t size);
bool fake_program_printf(struct program *program, int fd, const char *format, ...)
    PRINTF_LIKE(3, 4);
bool fake_program_read(struct program *program, char *data, size_t size, size_t *ret_size);
struct memfs_view fake_program_view(const struct program *program);
const char *fake_program_env(const struct program *program, const char *name);

// Runs the program that argv names. 127 when there is none, 126 when it may not be run.
int fake_program_run(struct program *program);

// 0, or the errno of execve(2).
int fake_program_lookup(const struct memfs_view *view, const char *name);

// Runs text in a shell of its own, with the program's plumbing.
int fake_shell_run_text(struct program *program, const char *text);

struct builtin {
    const char *name;
    int (*main)(struct program *program); // exit status
    bool shell_only;
};
const struct builtin *fake_builtin_find(const char *name);
