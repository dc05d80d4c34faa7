// SPDX-License-Identifier: Apache-2.0
/*
 * A directory as an image. Whatever is in it is not trusted: links in it are followed inside it
 * only. Layer: engine.
 */
#include "engine/basetree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/cleanup.h"
#include "engine/accounts.h"
#include "engine/madeup.h"
#include "engine/view.h"

#define ACCOUNTS_BYTES_MAX (4u << 20)

struct base {
    const char *path;
    int fd;
};

static bool has(int fd, const char *path)
{
    cleanup_fd int there = beneath_open(fd, path, O_PATH, 0);
    return there >= 0;
}

static int write_accounts(const struct base *base, int root_fd, struct sbx_error *err)
{
    cleanup_buf struct buf old_passwd = BUF_INIT(ACCOUNTS_BYTES_MAX);
    cleanup_buf struct buf old_group = BUF_INIT(ACCOUNTS_BYTES_MAX);
    cleanup_buf struct buf passwd = BUF_INIT(2 * ACCOUNTS_BYTES_MAX);
    cleanup_buf struct buf group = BUF_INIT(2 * ACCOUNTS_BYTES_MAX);
    bool changed =
        accounts_complete(beneath_text(base->fd, "etc/passwd", &old_passwd),
                          beneath_text(base->fd, "etc/group", &old_group),
                          has(base->fd, "bin/bash") ? "/bin/bash" : "/bin/sh", &passwd, &group);
    if (!changed)
        return 0;
    if (passwd.failed || group.failed)
        return err_nomem(err);
    int rc = madeup_write(root_fd, "etc/passwd", 0644, passwd.data, passwd.size, err);
    return rc < 0 ? rc : madeup_write(root_fd, "etc/group", 0644, group.data, group.size, err);
}

static int write_manifest(const struct base *base, int new_fd, struct sbx_error *err)
{
    cleanup_buf struct buf text = BUF_INIT(3 * PATH_MAX);
    buf_printf(&text, "layer\t/\troot\nlayer\t/\t%s\n", base->path);
    buf_printf(&text, "env\tPATH\t" VIEW_PATH "\n", "");
    buf_puts(&text, "env\tLANG\tC.UTF-8\n");
    if (text.failed)
        return err_nomem(err);
    return madeup_write(new_fd, "manifest", 0600, text.data, text.size, err);
}

static int build(void *payload, int new_fd, struct sbx_error *err)
{
    const struct base *base = payload;
    if (mkdirat(new_fd, "root", 0755) < 0 || fchmodat(new_fd, "root", 0755, 0) < 0)
        return err_sys(err, 0, errno, "cannot make a directory in the cache directory");
    cleanup_fd int root_fd = openat(new_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return err_sys(err, 0, errno, "cannot open a directory in the cache directory");
    int rc = madeup_make_dirs(root_fd, madeup_mount_points, err);
    if (rc == 0)
        rc = madeup_write_names(root_fd, err);
    if (rc == 0)
        rc = write_accounts(base, root_fd, err);
    return rc == 0 ? write_manifest(base, new_fd, err) : rc;
}

static int check(const char *name, const struct base *base, struct sbx_error *err)
{
    struct stat own, root;
    if (fstat(base->fd, &own) < 0 || stat("/", &root) < 0)
        return err_sys(err, 0, errno, "cannot look at the image %s", name);
    if (own.st_dev == root.st_dev && own.st_ino == root.st_ino) {
        err_set(err, SBX_ERR_INVALID, "the whole of this machine is no image");
        return err_hint(err, "use the image 'host', which shows its programs but nobody's files");
    }
    if (strpbrk(base->path, "\t\n"))
        return err_set(err, SBX_ERR_INVALID, "the path of an image can't have tabs or newlines");
    if (has(base->fd, "bin") || has(base->fd, "usr"))
        return 0;
    err_set(err, SBX_ERR_INVALID, "%s is not a root file system: neither bin nor usr is in it",
            name);
    return err_hint(err,
                    "to give a sandbox files, mount them: --mount %s:/work; if it is meant to "
                    "be a root, make an empty directory bin in it",
                    name);
}

static void add_state(struct statkey *key, int fd, const char *path)
{
    struct stat info;
    cleanup_fd int there = beneath_open(fd, path, O_PATH, 0);
    statkey_add_stat(key, there >= 0 && fstat(there, &info) == 0 ? &info : NULL);
}

int basetree_open(const char *name, const char *path, const struct cachedir *cache,
                  struct deadline deadline, struct image *ret_image, struct sbx_error *err)
{
    cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, 0, errno, "cannot open the image %s", name);
    struct base base = {path, fd};
    int rc = check(name, &base, err);
    if (rc < 0)
        return rc;
    struct statkey key = view_key("base");
    statkey_add_text(&key, path);
    add_state(&key, fd, ".");
    add_state(&key, fd, "etc/passwd");
    add_state(&key, fd, "etc/group");
    add_state(&key, fd, "bin/bash");
    return view_open(cache, "base", &key, deadline, build, &base, ret_image, err);
}
