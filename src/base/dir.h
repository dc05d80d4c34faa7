// SPDX-License-Identifier: Apache-2.0
// Directories whose entries are read. Layer: base.
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"

// Takes fd over, whatever happens. NULL and errno on failure, which -1 is too.
static inline DIR *dir_adopt(int fd)
{
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir && fd >= 0) {
        int reason = errno;
        close(fd);
        errno = reason;
    }
    return dir;
}

// From the first entry, also where dir_fd itself is named ("."). A symbolic link is refused.
static inline DIR *dir_open(int dir_fd, const char *path)
{
    return dir_adopt(openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

// As scandirat(3) of that directory, which not every C library has.
static inline int dir_scan(int dir_fd, struct dirent ***ret_entries,
                           int (*filter)(const struct dirent *),
                           int (*compare)(const struct dirent **, const struct dirent **))
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", dir_fd);
    return scandir(path, ret_entries, filter, compare);
}

static inline void dir_close(DIR *const *dir)
{
    if (*dir)
        closedir(*dir);
}
#define cleanup_dir cleanup(dir_close)
