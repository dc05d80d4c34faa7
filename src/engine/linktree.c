// SPDX-License-Identifier: Apache-2.0
// A tree of this machine beside the original, sharing its files. Layer: engine.
#include "engine/linktree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

#define DEPTH_MAX 8

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static bool is_lock(const char *name)
{
    size_t length = strlen(name);
    return length >= 4 && strcmp(name + length - 4, "lock") == 0;
}

static int make_empty(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    return fd < 0 ? -1 : close(fd);
}

static int link_dir(int source_fd, int target_fd, const char *path, int depth);

static int link_entry(int from, int to, const char *name, int depth)
{
    struct stat info;
    if (fstatat(from, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    if (S_ISDIR(info.st_mode))
        return link_dir(from, to, name, depth + 1);
    if (!S_ISREG(info.st_mode))
        return 0;
    return is_lock(name) ? make_empty(to, name) : linkat(from, name, to, name, 0);
}

static int link_dir(int source_fd, int target_fd, const char *path, int depth)
{
    if (depth > DEPTH_MAX) {
        errno = ELOOP;
        return -1;
    }
    int from = openat(source_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    cleanup(close_dir) DIR *dir = from < 0 ? NULL : fdopendir(from);
    if (!dir || (mkdirat(target_fd, path, 0755) < 0 && (depth > 0 || errno != EEXIST)))
        return -1;
    cleanup_fd int to = openat(target_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = to < 0 ? -1 : 0;
    for (struct dirent *entry; !failed && (entry = readdir(dir));)
        if (!is_dots(entry->d_name))
            failed = link_entry(from, to, entry->d_name, depth);
    return failed;
}

int linktree_make(int source_fd, int target_fd, const char *path)
{
    return link_dir(source_fd, target_fd, path, 0);
}
