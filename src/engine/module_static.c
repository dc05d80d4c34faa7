// SPDX-License-Identifier: Apache-2.0
// The module of the cloud providers, in a program that can't open it: see module.h. Layer: engine.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "engine/launch.h"
#include "engine/module.h"

#define WORDS_MAX (4 * 1024 * 1024) // the kernel's own ceiling is half of it: execve(2)

// The words that this process was started with, each ended by a zero byte.
static int read_words(struct buf *words, struct sbx_error *err)
{
    cleanup_fd int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t got = -1;
    do {
        void *room = fd >= 0 ? buf_reserve(words, 64 * 1024) : NULL;
        got = room ? read(fd, room, 64 * 1024) : -1;
        if (got > 0)
            buf_commit(words, (size_t)got);
    } while (got > 0);
    if (words->failed)
        return err_nomem(err);
    return got == 0 && words->size ? 0 : err_sys(err, 0, errno, "cannot read /proc/self/cmdline");
}

static char **split(const struct buf *words)
{
    size_t count = 0;
    for (size_t i = 0; i < words->size; i++)
        count += !words->data[i];
    char **argv = calloc(count + 1, sizeof(*argv));
    char *at = words->data;
    for (size_t i = 0; argv && i < count; i++, at += strlen(at) + 1)
        argv[i] = at;
    return argv;
}

int module_become_full(struct sbx_error *err)
{
    char path[PATH_MAX];
    cleanup_buf struct buf words = BUF_INIT(WORDS_MAX);
    int code = launch_find_program(MODULE_FULL, path, sizeof(path), err);
    if (code == 0)
        code = read_words(&words, err);
    cleanup_free char **argv = code == 0 ? split(&words) : NULL;
    if (code < 0)
        return code;
    if (!argv)
        return err_nomem(err);
    execv(path, argv);
    return err_sys(err, SBX_ERR_SETUP, errno, "cannot start '%s'", path);
}

int module_provider(const char *name, const struct sbx_provider_ops **ret_ops,
                    struct sbx_error *err)
{
    (void)name;
    (void)ret_ops;
    return module_become_full(err);
}
