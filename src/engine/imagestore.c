// SPDX-License-Identifier: Apache-2.0
// The store of images: its directories and its lock. Layer: engine.
#include "engine/imagestore.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "engine/lock.h"
#include "wire/box_msg.h"

/*
 * Ext4 puts a directory's files near it, and passes over inodes that were freed there in the last
 * minutes one by one for every file it makes: near a directory from which much was just removed,
 * unpacking takes ten times as long. What lies in a directory with this flag, which belongs to
 * ext2 and its heirs, is spread over the disk instead (chattr(1), T).
 */
static void spread(int dir_fd)
{
    int flags;
    if (ioctl(dir_fd, FS_IOC_GETFLAGS, &flags) < 0 || (flags & FS_TOPDIR_FL))
        return;
    flags |= FS_TOPDIR_FL;
    (void)ioctl(dir_fd, FS_IOC_SETFLAGS, &flags); // others know no such flag
}

int imagestore_open_folder(const struct cachedir *cache, int *ret_fd, struct sbx_error *err)
{
    struct stat info;
    bool made = mkdirat(cache->fd, "images", 0700) == 0;
    if (!made && errno != EEXIST)
        return err_sys(err, 0, errno, "cannot make %s/images", cache->path);
    cleanup_fd int fd =
        openat(cache->fd, "images", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) < 0)
        return err_sys(err, 0, errno, "cannot open %s/images", cache->path);
    if (info.st_uid != geteuid() || (info.st_mode & 077))
        return err_set(err, SBX_ERR_DENIED, "%s/images is open to others: chmod 700 it",
                       cache->path);
    if (made)
        spread(fd);
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int open_part(const struct imagestore *store, const char *name, int *ret_fd,
                     struct sbx_error *err)
{
    bool made = mkdirat(store->fd, name, 0755) == 0;
    if (!made && errno != EEXIST)
        return err_sys(err, 0, errno, "cannot make %s/%s", store->path, name);
    int fd = openat(store->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, 0755) < 0) { // the sandbox's accounts pass through, whatever our umask
        int saved = errno;
        if (fd >= 0)
            close(fd);
        return err_sys(err, 0, saved, "cannot open %s/%s", store->path, name);
    }
    if (made)
        spread(fd);
    *ret_fd = fd;
    return 0;
}

int imagestore_open(const struct cachedir *cache, struct imagestore *ret_store,
                    struct sbx_error *err)
{
    cleanup_imagestore struct imagestore store = IMAGESTORE_NONE;
    if ((size_t)snprintf(store.path, sizeof(store.path), "%s/images", cache->path) >=
        sizeof(store.path) - 128)
        return err_set(err, SBX_ERR_INVALID, "the path of the cache directory is too long");
    int rc = imagestore_open_folder(cache, &store.fd, err);
    if (rc == 0)
        rc = open_part(&store, "layers", &store.layers_fd, err);
    if (rc == 0)
        rc = open_part(&store, "trees", &store.trees_fd, err);
    if (rc == 0)
        rc = open_part(&store, "deltas", &store.deltas_fd, err);
    if (rc == 0)
        rc = open_part(&store, "records", &store.records_fd, err);
    if (rc < 0)
        return rc;
    *ret_store = store;
    store = (struct imagestore)IMAGESTORE_NONE;
    return 0;
}

void imagestore_close(struct imagestore *store)
{
    int *const fds[] = {&store->fd, &store->layers_fd, &store->trees_fd, &store->deltas_fd,
                        &store->records_fd};
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        if (*fds[i] >= 0)
            close(steal_fd(fds[i]));
}

int imagestore_hold(const struct imagestore *store, bool alone, struct deadline deadline,
                    int *ret_fd, struct sbx_error *err)
{
    cleanup_fd int fd =
        openat(store->fd, BOX_STORE_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, 0, errno, "cannot open %s/%s", store->path, BOX_STORE_LOCK);
    int rc = lock_wait(fd, alone ? LOCK_EX : LOCK_SH, deadline, err);
    if (rc == SBX_ERR_TIMEOUT) {
        err_set(err, rc, "images are being %s by another process",
                alone ? "fetched or started" : "removed");
        return err_hint(err, "try again when it has ended");
    }
    if (rc < 0)
        return rc;
    *ret_fd = steal_fd(&fd);
    return 0;
}
