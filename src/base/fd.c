// SPDX-License-Identifier: Apache-2.0
// File descriptors. Layer: base.
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

int fd_pipe(int ret_ends[2])
{
#ifdef __linux__
    return pipe2(ret_ends, O_CLOEXEC);
#else
    if (pipe(ret_ends) < 0)
        return -1;
    fd_set_cloexec(ret_ends[0], true);
    fd_set_cloexec(ret_ends[1], true);
    return 0;
#endif
}

int fd_set_nonblock(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -1;
    return fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

int fd_set_cloexec(int fd, bool on)
{
    return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0);
}

ssize_t fd_read_full(int fd, void *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(fd, (char *)data + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

int fd_write_full(int fd, const void *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t put = write(fd, (const char *)data + done, size - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        done += (size_t)put;
    }
    return 0;
}

ssize_t fd_read_file(int dir_fd, const char *path, char *buffer, size_t size)
{
    cleanup_fd int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t got = fd_read_full(fd, buffer, size);
    if (got < 0)
        return -1;
    if ((size_t)got == size) {
        errno = EFBIG;
        return -1;
    }
    buffer[got] = '\0';
    return got;
}

int fd_write_file(int dir_fd, const char *path, const char *text)
{
    cleanup_fd int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    return fd_write_full(fd, text, strlen(text));
}
