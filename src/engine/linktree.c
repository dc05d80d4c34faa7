// SPDX-License-Identifier: Apache-2.0
// A tree of this machine beside the original, sharing its files. Layer: engine.
#include "engine/linktree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/names.h"

#define DEPTH_MAX 8
#define MIRROR_MAX 100000
#define COPY_BYTES_MAX (64u << 20) // of one file; a package database's largest has a few

static bool is_lock(const char *name)
{
    size_t length = strlen(name);
    return (length >= 4 && strcasecmp(name + length - 4, "lock") == 0) ||
           strcmp(name, "lock-frontend") == 0;
}

static int make_empty(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    return fd < 0 ? -1 : close(fd);
}

static int copy_file(int from, int to, const char *name, const struct stat *info)
{
    cleanup_fd int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (source < 0 || info->st_size > COPY_BYTES_MAX)
        return 0;
    cleanup_fd int target = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const struct timespec times[2] = {info->st_mtim, info->st_mtim};
    if (target < 0)
        return -1;
    for (ssize_t got; (got = sendfile(target, source, NULL, 1 << 20)) != 0;)
        if (got < 0 && errno != EINTR)
            return -1;
    (void)futimens(target, times);
    return fchmod(target, info->st_mode & 0755);
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
    cleanup_dir DIR *dir = dir_open(source_fd, path);
    if (!dir || (mkdirat(target_fd, path, 0755) < 0 && (depth > 0 || errno != EEXIST)))
        return -1;
    cleanup_fd int to = openat(target_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = to < 0 || fchmod(to, 0755) < 0 ? -1 : 0; // whatever our umask
    for (struct dirent *entry; !failed && (entry = readdir(dir));)
        if (!name_is_dots(entry->d_name))
            failed = link_entry(dirfd(dir), to, entry->d_name, depth);
    return failed;
}

int linktree_make(int source_fd, int target_fd, const char *path)
{
    return link_dir(source_fd, target_fd, path, 0);
}

int linktree_copy_files(int source_fd, int target_fd)
{
    cleanup_dir DIR *dir = dir_open(source_fd, ".");
    if (!dir)
        return -1;
    int failed = 0;
    for (struct dirent *entry; !failed && (entry = readdir(dir));) {
        struct stat info;
        if (fstatat(source_fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(info.st_mode))
            continue;
        failed = is_lock(entry->d_name) ? make_empty(target_fd, entry->d_name)
                                        : copy_file(source_fd, target_fd, entry->d_name, &info);
    }
    return failed;
}

struct mirror {
    dev_t device;
    const char *const *shallow;
    int count;
};

static bool is_shallow(const struct mirror *mirror, const char *path)
{
    for (const char *const *shallow = mirror->shallow; *shallow; shallow++)
        if (strcmp(*shallow, path) == 0)
            return true;
    return false;
}

static int mirror_dir(struct mirror *mirror, int from, int to, const char *path, int depth);

static int mirror_entry(struct mirror *mirror, int from, int to, const char *name, const char *path,
                        int depth)
{
    struct stat info;
    cleanup_fd int source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (source < 0 || fstat(source, &info) < 0 || info.st_dev != mirror->device)
        return 0;
    if (++mirror->count > MIRROR_MAX) {
        errno = E2BIG;
        return -1;
    }
    if (mkdirat(to, name, 0700) < 0)
        return -1;
    cleanup_fd int target = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (target < 0 || fchmod(target, info.st_mode & 01755) < 0)
        return -1;
    return mirror_dir(mirror, steal_fd(&source), target, path, depth + 1);
}

// Takes `from` over.
static int mirror_dir(struct mirror *mirror, int from, int to, const char *path, int depth)
{
    cleanup_dir DIR *dir = dir_adopt(from);
    if (!dir)
        return -1;
    int failed = 0;
    if (depth >= LINKTREE_DEPTH || is_shallow(mirror, path))
        return 0;
    for (struct dirent *entry; !failed && (entry = readdir(dir));) {
        char below[PATH_MAX];
        if (name_is_dots(entry->d_name) || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
            continue;
        snprintf(below, sizeof(below), "%s%s%s", path, *path ? "/" : "", entry->d_name);
        failed = mirror_entry(mirror, dirfd(dir), to, entry->d_name, below, depth);
    }
    return failed;
}

int linktree_mirror(int source_fd, int target_fd, const char *const *shallow)
{
    struct stat info;
    int from = openat(source_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (from < 0 || fstat(from, &info) < 0)
        return -1;
    struct mirror mirror = {.device = info.st_dev, .shallow = shallow};
    return mirror_dir(&mirror, from, target_fd, "", 0);
}
