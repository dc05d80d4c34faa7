// SPDX-License-Identifier: Apache-2.0
// See mount_point.h. Layer: base.
#include "base/mount_point.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/cleanup.h"

int mount_point_make(const void *user, int parent_fd, const char *name, bool directory)
{
    (void)user;
    if (directory)
        return mkdirat(parent_fd, name, 0755);
    cleanup_fd int fd = openat(parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    return fd < 0 ? -1 : 0;
}

int mount_point_open(int root_fd, const char *path, bool directory, mount_point_maker *make,
                     const void *user)
{
    char part[PATH_MAX];
    cleanup_fd int parent_fd = beneath_open(root_fd, "/", O_PATH, 0);
    for (size_t length = 1; parent_fd >= 0; length++) {
        size_t start = length;
        length += strcspn(path + length, "/");
        bool last = !path[length];
        if (length >= sizeof(part)) {
            errno = ENAMETOOLONG;
            return -1;
        }
        snprintf(part, sizeof(part), "%.*s", (int)length, path);
        int fd = beneath_open(root_fd, part, O_PATH, 0);
        if (fd < 0 && errno == ENOENT &&
            make(user, parent_fd, part + start, !last || directory) == 0)
            fd = beneath_open(root_fd, part, O_PATH, 0);
        close(parent_fd);
        parent_fd = fd;
        if (last)
            break;
    }
    return steal_fd(&parent_fd);
}
