// SPDX-License-Identifier: Apache-2.0
// Detached mounts. Linux only. Layer: base.
#include "base/mount_api.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_mount_setattr // musl before 1.2.3
#define SYS_mount_setattr 442
#endif

int mount_clone(const char *path, bool recursive)
{
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0);
    return (int)syscall(SYS_open_tree, AT_FDCWD, path, flags);
}

int mount_move(int mount_fd, const char *target)
{
    return (int)syscall(SYS_move_mount, mount_fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
}

int mount_move_onto(int mount_fd, int target_fd)
{
    return (int)syscall(SYS_move_mount, mount_fd, "", target_fd, "",
                        MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static int set_attributes(int mount_fd, unsigned flags, struct mount_attr *attributes)
{
    return (int)syscall(SYS_mount_setattr, mount_fd, "", AT_EMPTY_PATH | flags, attributes,
                        sizeof(*attributes));
}

int mount_idmap(int mount_fd, int userns_fd)
{
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (__u64)userns_fd};
    return set_attributes(mount_fd, 0, &attributes);
}

int mount_restrict(int mount_fd, bool read_only)
{
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
    if (read_only)
        attributes.attr_set |= MOUNT_ATTR_RDONLY;
    return set_attributes(mount_fd, AT_RECURSIVE, &attributes);
}
