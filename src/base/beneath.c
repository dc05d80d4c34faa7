// SPDX-License-Identifier: Apache-2.0
// Paths opened beneath a directory. openat2(2) where there is one. Layer: base.
#include "base/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#if defined(__linux__) && defined(SYS_openat2)
#include <linux/openat2.h>

static int open_in_root(int root_fd, const char *path, int flags, mode_t mode)
{
    struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC,
                           .mode = flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? mode : 0,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

static int open_without_links(int root_fd, const char *path, int flags)
{
    struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}
#else
static int open_in_root(int root_fd, const char *path, int flags, mode_t mode)
{
    errno = ENOSYS;
    return -1;
}

static int open_without_links(int root_fd, const char *path, int flags)
{
    errno = ENOSYS;
    return -1;
}
#endif

// Component by component; links and ".." are refused.
static int open_stepwise(int root_fd, const char *path, int flags, mode_t mode)
{
    char copy[PATH_MAX];
    if ((size_t)snprintf(copy, sizeof(copy), "%s", path) >= sizeof(copy)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    cleanup_fd int at = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char *save = NULL;
    char *part = strtok_r(copy, "/", &save);
    if (at < 0 || !part)
        return at < 0 ? -1 : steal_fd(&at);
    for (char *next; (next = strtok_r(NULL, "/", &save)); part = next) {
        int fd = strcmp(part, "..") == 0
                     ? (errno = ELOOP, -1)
                     : openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return -1;
        close(at);
        at = fd;
    }
    if (strcmp(part, "..") == 0) {
        errno = ELOOP;
        return -1;
    }
    return openat(at, part, flags | O_NOFOLLOW | O_CLOEXEC, mode);
}

int beneath_open(int root_fd, const char *path, int flags, mode_t mode)
{
    int fd;
    do
        fd = open_in_root(root_fd, path, flags, mode);
    while (fd < 0 && (errno == EAGAIN || errno == EINTR)); // EAGAIN: a rename raced with the lookup
    // Old container seccomp profiles answer EPERM to calls they don't know.
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
        return fd;
    return open_stepwise(root_fd, path, flags, mode);
}

int beneath_dir(int root_fd, const char *path)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    if (!path[0])
        return openat(root_fd, ".", flags);
    int fd;
    do
        fd = open_without_links(root_fd, path, flags);
    while (fd < 0 && (errno == EAGAIN || errno == EINTR));
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
        return fd;
    return open_stepwise(root_fd, path, flags, 0);
}

const char *beneath_text(int root_fd, const char *path, struct buf *out)
{
    cleanup_fd int fd = beneath_open(root_fd, path, O_RDONLY | O_NONBLOCK, 0);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))
        return "";
    char *room;
    ssize_t got = -1;
    while ((room = buf_reserve(out, 16384)) && (got = read(fd, room, 16384)) > 0)
        buf_commit(out, (size_t)got);
    const char *text = got == 0 ? buf_text(out) : NULL;
    return text ? text : "";
}
