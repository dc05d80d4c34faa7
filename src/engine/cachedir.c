// SPDX-License-Identifier: Apache-2.0
// Directories made once: locks, building aside, renaming. Layer: engine.
#include "engine/cachedir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/dirs.h"
#include "base/tree.h"
#include "engine/lock.h"

int cachedir_open(struct cachedir *ret_cache, struct sbx_error *err)
{
    struct cachedir cache;
    int rc = dirs_cache(cache.path, sizeof(cache.path), err);
    if (rc < 0)
        return rc;
    cache.fd = open(cache.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cache.fd < 0)
        return err_sys(err, 0, errno, "cannot open the cache directory %s", cache.path);
    *ret_cache = cache;
    return 0;
}

void cachedir_close(struct cachedir *cache)
{
    if (cache->fd >= 0)
        close(cache->fd);
    cache->fd = -1;
}

bool cachedir_is_own_disk(int dir_fd)
{
    static const uint32_t journaled[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
                                         F2FS_SUPER_MAGIC, TMPFS_MAGIC};
    struct statfs info;
    if (fstatfs(dir_fd, &info) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(journaled); i++)
        if ((uint32_t)info.f_type == journaled[i])
            return true;
    return false;
}

int cachedir_lock(int dir_fd, const char *name, struct deadline deadline, int *ret_lock,
                  struct sbx_error *err)
{
    for (;;) {
        cleanup_fd int lock = openat(dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (lock < 0)
            return err_sys(err, 0, errno, "cannot open the lock %s in the cache directory", name);
        int rc = lock_wait(lock, LOCK_EX, deadline, err);
        if (rc < 0)
            return err_wrap(err, "making %s in the cache directory", name);
        if (lock_has_name(dir_fd, name, lock)) {
            *ret_lock = steal_fd(&lock);
            return 0;
        }
    }
}

void cachedir_unlock(int dir_fd, const char *name, int *lock)
{
    unlinkat(dir_fd, name, 0);
    close(steal_fd(lock));
}

static int fill_error(struct sbx_error *err, int sys_errno, const char *name)
{
    return err_sys(err, 0, sys_errno, "cannot make %s in the cache directory", name);
}

// Builds under another name and renames, with the lock held.
static int build_aside(int dir_fd, const char *name, cachedir_build_fn build, void *payload,
                       struct sbx_error *err)
{
    char aside[NAME_MAX + 1];
    if ((size_t)snprintf(aside, sizeof(aside), "%s.new", name) >= sizeof(aside))
        return err_set(err, SBX_ERR_BUG, "the name %s is too long", name);
    if (tree_remove(dir_fd, aside) < 0 || mkdirat(dir_fd, aside, 0755) < 0)
        return fill_error(err, errno, aside);
    cleanup_fd int fd = openat(dir_fd, aside, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    // What is inside must be readable for the sandbox's accounts, whatever our umask.
    int rc =
        fd < 0 || fchmod(fd, 0755) < 0 ? fill_error(err, errno, aside) : build(payload, fd, err);
    if (rc == 0 && renameat(dir_fd, aside, dir_fd, name) < 0)
        rc = fill_error(err, errno, name);
    if (rc < 0)
        tree_remove(dir_fd, aside);
    return rc;
}

static int is_there(int dir_fd, const char *name)
{
    struct stat info;
    return fstatat(dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

int cachedir_once(int dir_fd, const char *lock, const char *name, struct deadline deadline,
                  cachedir_build_fn build, void *payload, struct sbx_error *err)
{
    if (is_there(dir_fd, name))
        return 0;
    cleanup_fd int held = -1;
    int rc = cachedir_lock(dir_fd, lock, deadline, &held, err);
    if (rc < 0)
        return rc;
    if (!is_there(dir_fd, name))
        rc = build_aside(dir_fd, name, build, payload, err);
    cachedir_unlock(dir_fd, lock, &held);
    return rc;
}
