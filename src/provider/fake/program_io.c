// SPDX-License-Identifier: Apache-2.0
// What a program of the provider "fake" has at hand: input, output, environment, other programs.
// Layer: provider.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "provider/fake/shell.h"

struct memfs_view fake_program_view(const struct program *program)
{
    const struct fake_process *process = program->shell->process;
    return (struct memfs_view){
        .fs = &process->box->fs, .cwd = program->shell->cwd, .uid = process->uid};
}

bool fake_program_write(struct program *program, int fd, const void *data, size_t size)
{
    struct fake_process *process = program->shell->process;
    const struct target *target = fd == 1 ? &program->plumbing->out : &program->plumbing->err;
    if (target->kind != TARGET_FILE)
        return size == 0 ||
               fake_process_emit(process, target->kind == TARGET_STDOUT ? SBX_STDOUT : SBX_STDERR,
                                 data, size);
    // By name each time: the file may have been removed since.
    struct memfs_view view = fake_program_view(program);
    struct memfs_node *node;
    struct sbx_error err;
    return memfs_open_write(&view, target->path, 0644, true, &node, &err) == 0 &&
           memfs_append(view.fs, node, data, size, &err) == 0 && fake_process_alive(process);
}

bool fake_program_printf(struct program *program, int fd, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (length < 0)
        return false;
    size_t size = (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1;
    return fake_program_write(program, fd, text, size);
}

static size_t read_node(const struct memfs_node *node, size_t at, char *data, size_t size)
{
    if (node->kind == SBX_FILE_OTHER && strcmp(node->name, "zero") == 0) {
        memset(data, 0, size);
        return size;
    }
    if (node->kind != SBX_FILE_REGULAR || at >= node->size)
        return 0;
    size_t part = node->size - at < size ? node->size - at : size;
    memcpy(data, node->data + at, part);
    return part;
}

bool fake_program_read(struct program *program, char *data, size_t size, size_t *ret_size)
{
    struct plumbing *plumbing = program->plumbing;
    if (!plumbing->input)
        return fake_process_take_input(program->shell->process, data, size, ret_size);
    struct memfs_view view = fake_program_view(program);
    struct memfs_node *node;
    struct sbx_error err;
    if (memfs_open_read(&view, plumbing->input, &node, &err) < 0)
        return false;
    *ret_size = read_node(node, plumbing->input_at, data, size);
    plumbing->input_at += *ret_size;
    return fake_process_alive(program->shell->process);
}

const char *fake_program_env(const struct program *program, const char *name)
{
    size_t length = strlen(name);
    for (char **at = program->shell->process->env; *at; at++)
        if (strncmp(*at, name, length) == 0 && (*at)[length] == '=')
            return *at + length + 1;
    return NULL;
}

int fake_program_lookup(const struct memfs_view *view, const char *name)
{
    const struct builtin *builtin = fake_builtin_find(name);
    if (builtin)
        return builtin->shell_only ? ENOENT : 0;
    struct memfs_node *node;
    struct sbx_error err;
    if (!strchr(name, '/') || memfs_find(view, name, MEMFS_FOLLOW, &node, &err) < 0)
        return ENOENT;
    if (node->kind != SBX_FILE_REGULAR || !(node->mode & 0111) || !memfs_may(node, view->uid, 1))
        return EACCES;
    return 0;
}
