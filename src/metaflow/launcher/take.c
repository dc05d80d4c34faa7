// SPDX-License-Identifier: Apache-2.0
// Taking single files over from a hostile directory. Layer: metaflow.
#include "metaflow/launcher/take.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"

#define TEMPORARY ".take-%d" // no reader of the datastore looks at names with a dot in front

int take_name_valid(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length <= NAME_MAX && name[0] != '.' && !strchr(name, '/') &&
           !text_has_control(name, length);
}

int take_open(int dir_fd, const char *name, off_t *ret_size)
{
    struct stat info;
    cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && (errno == ELOOP || errno == ENXIO || errno == ENOENT))
        errno = EINVAL; // a link, a socket, or gone
    if (fd < 0 || fstat(fd, &info) < 0)
        return -1;
    if (!S_ISREG(info.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    *ret_size = info.st_size;
    return steal_fd(&fd);
}

static int copy_bytes(int from, int to, off_t max)
{
    char data[64 * 1024];
    for (off_t total = 0;;) {
        ssize_t got = read(from, data, sizeof(data));
        if (got <= 0)
            return (int)got;
        total += got;
        if (total > max) {
            errno = EFBIG;
            return -1;
        }
        if (fd_write_full(to, data, (size_t)got) < 0)
            return -1;
    }
}

int take_copy(int from_fd, const char *name, int to_fd, off_t max)
{
    off_t size;
    char temporary[32];
    cleanup_fd int from = take_open(from_fd, name, &size);
    if (from < 0)
        return -1;
    snprintf(temporary, sizeof(temporary), TEMPORARY, getpid());
    cleanup_fd int to =
        openat(to_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (to < 0)
        return -1;
    if (copy_bytes(from, to, max) == 0 && renameat(to_fd, temporary, to_fd, name) == 0)
        return 0;
    int saved = errno;
    unlinkat(to_fd, temporary, 0);
    errno = saved;
    return -1;
}

int take_move(int from_fd, const char *name, int to_fd)
{
    off_t size;
    struct stat info;
    cleanup_fd int fd = take_open(from_fd, name, &size);
    // Readable as the step made it, and no program.
    if (fd < 0 || fstat(fd, &info) < 0 || fchmod(fd, (info.st_mode & 0644) | 0600) < 0)
        return -1;
    if (renameat(from_fd, name, to_fd, name) == 0)
        return 0;
    return errno == EXDEV ? take_copy(from_fd, name, to_fd, size) : -1;
}
