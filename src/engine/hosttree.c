// SPDX-License-Identifier: Apache-2.0
// Building the trees of the view of this machine: skeleton, additions to /usr, manifest. Layer:
// engine.
#include "engine/hosttree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/names.h"
#include "engine/accounts.h"
#include "engine/hostetc.h"
#include "engine/linktree.h"
#include "engine/madeup.h"
#include "engine/probe.h"
#include "engine/view.h"

#define ACCOUNTS_BYTES_MAX (4u << 20)

struct tree {
    int new_fd;
    int host_fd;
    int root_fd; // skeleton
    int usr_fd;  // laid above /usr
    const char *host;
    bool usr_used;
    bool mirror;
    bool owners; // can be given to files, as the jail will see them
    struct buf manifest;
    struct sbx_error *err;
};

static void tree_deinit(struct tree *tree)
{
    if (tree->root_fd >= 0)
        close(tree->root_fd);
    if (tree->usr_fd >= 0)
        close(tree->usr_fd);
    buf_deinit(&tree->manifest);
}

static int fail(struct tree *tree, const char *what)
{
    return err_sys(tree->err, 0, errno, "cannot make %s of the view of this machine", what);
}

static bool host_has(const struct tree *tree, const char *path)
{
    cleanup_fd int fd = beneath_open(tree->host_fd, path, O_PATH, 0);
    return fd >= 0;
}

static int make_subdir(struct tree *tree, const char *name, int *ret_fd)
{
    if (mkdirat(tree->new_fd, name, 0755) < 0)
        return fail(tree, name);
    *ret_fd = openat(tree->new_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret_fd < 0 || fchmod(*ret_fd, 0755) < 0)
        return fail(tree, name);
    return 0;
}

// /bin and its like: links into /usr on merged systems, directories of their own on others.
static int make_top_links(struct tree *tree)
{
    static const char *const names[] = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct stat info;
        char target[PATH_MAX];
        if (fstatat(tree->host_fd, names[i], &info, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        ssize_t size = readlinkat(tree->host_fd, names[i], target, sizeof(target) - 1);
        target[size > 0 ? size : 0] = '\0';
        const char *relative = target[0] == '/' ? target + 1 : target;
        int rc = 0;
        if (strncmp(relative, "usr/", 4) == 0)
            rc = symlinkat(relative, tree->root_fd, names[i]);
        else if (S_ISDIR(info.st_mode))
            rc = mkdirat(tree->root_fd, names[i], 0755);
        if (rc < 0)
            return fail(tree, names[i]);
        if (S_ISDIR(info.st_mode))
            buf_printf(&tree->manifest, "layer\t/%s\t%s/%s\n", names[i], tree->host, names[i]);
    }
    return 0;
}

static int write_accounts(struct tree *tree)
{
    cleanup_buf struct buf host_passwd = BUF_INIT(ACCOUNTS_BYTES_MAX);
    cleanup_buf struct buf host_group = BUF_INIT(ACCOUNTS_BYTES_MAX);
    cleanup_buf struct buf passwd = BUF_INIT(ACCOUNTS_BYTES_MAX);
    cleanup_buf struct buf group = BUF_INIT(ACCOUNTS_BYTES_MAX);
    cleanup_buf struct buf shadow = BUF_INIT(ACCOUNTS_BYTES_MAX);
    accounts_curate(beneath_text(tree->host_fd, "etc/passwd", &host_passwd),
                    beneath_text(tree->host_fd, "etc/group", &host_group),
                    host_has(tree, "bin/bash") ? "/bin/bash" : "/bin/sh", &passwd, &group);
    if (!buf_text(&passwd) || !buf_text(&group))
        return err_nomem(tree->err);
    accounts_shadow(buf_text(&passwd), &shadow);
    int rc = shadow.failed ? err_nomem(tree->err) : 0;
    if (rc == 0)
        rc = madeup_write(tree->root_fd, "etc/passwd", 0644, passwd.data, passwd.size, tree->err);
    if (rc == 0)
        rc = madeup_write(tree->root_fd, "etc/group", 0644, group.data, group.size, tree->err);
    if (rc == 0)
        rc = madeup_write(tree->root_fd, "etc/shadow", 0600, shadow.data, shadow.size, tree->err);
    return rc;
}

static int copy_skel_file(struct tree *tree, int from_dir, const char *name, const char *home,
                          uid_t owner)
{
    char content[65536], path[PATH_MAX];
    ssize_t size = fd_read_file(from_dir, name, content, sizeof(content));
    if (size < 0)
        return 0; // a directory or something large: not worth having
    snprintf(path, sizeof(path), "%s/%s", home, name);
    int rc = madeup_write(tree->root_fd, path, 0644, content, (size_t)size, tree->err);
    if (rc == 0 && owner != 0 && tree->owners &&
        fchownat(tree->root_fd, path, owner, owner, AT_SYMLINK_NOFOLLOW) < 0)
        return fail(tree, path);
    return rc;
}

// The homes begin with what this machine gives to new accounts.
static int fill_homes(struct tree *tree)
{
    cleanup_dir DIR *dir = dir_open(tree->root_fd, "etc/skel");
    int rc = 0;
    for (struct dirent *entry; dir && rc == 0 && (entry = readdir(dir));) {
        struct stat info;
        if (name_is_dots(entry->d_name) ||
            fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(info.st_mode))
            continue;
        rc = copy_skel_file(tree, dirfd(dir), entry->d_name, "home/user", ACCOUNTS_UID);
        if (rc == 0)
            rc = copy_skel_file(tree, dirfd(dir), entry->d_name, "root", 0);
    }
    return rc;
}

static int build_root(struct tree *tree)
{
    int rc = make_subdir(tree, "root", &tree->root_fd);
    if (rc == 0)
        rc = madeup_make_dirs(tree->root_fd, madeup_mount_points, tree->err);
    if (rc == 0)
        rc = madeup_make_dirs(tree->root_fd, madeup_system_dirs, tree->err);
    buf_puts(&tree->manifest, "layer\t/\troot\n");
    if (rc == 0)
        rc = make_top_links(tree);
    if (rc == 0 && (symlinkat("/run", tree->root_fd, "var/run") < 0 ||
                    symlinkat("/run/lock", tree->root_fd, "var/lock") < 0))
        rc = fail(tree, "var/run");
    if (rc == 0)
        rc = hostetc_copy(tree->host_fd, tree->root_fd, tree->err);
    if (rc == 0)
        rc = madeup_write_names(tree->root_fd, tree->err);
    if (rc == 0)
        rc = madeup_write_etc(tree->root_fd, tree->host_fd, tree->err);
    if (rc == 0)
        rc = write_accounts(tree);
    return rc == 0 ? fill_homes(tree) : rc;
}

// Makes directory `name` in the layer above /usr.
static int usr_dir(struct tree *tree, const char *name)
{
    if ((mkdirat(tree->usr_fd, name, 0755) < 0 && errno != EEXIST) ||
        fchmodat(tree->usr_fd, name, 0755, 0) < 0)
        return fail(tree, name);
    tree->usr_used = true;
    return 0;
}

// `python` beside python3, where this machine has no opinion on it.
static int add_python(struct tree *tree)
{
    if (!host_has(tree, "usr/bin/python3") || host_has(tree, "usr/bin/python") ||
        host_has(tree, "usr/local/bin/python"))
        return 0;
    int rc = usr_dir(tree, "bin");
    if (rc == 0 && symlinkat("python3", tree->usr_fd, "bin/python") < 0)
        rc = fail(tree, "usr/bin/python");
    return rc;
}

// Packages that are installed in a sandbox must not try to start services: Debian's way to say so.
static int add_policy(struct tree *tree)
{
    static const char text[] = "#!/bin/sh\nexit 101\n";
    if (!host_has(tree, "usr/sbin/invoke-rc.d") || host_has(tree, "usr/sbin/policy-rc.d"))
        return 0;
    int rc = usr_dir(tree, "sbin");
    if (rc == 0)
        rc =
            madeup_write(tree->usr_fd, "sbin/policy-rc.d", 0755, text, sizeof(text) - 1, tree->err);
    return rc;
}

// Hides one entry of a directory of /usr: a whiteout as overlayfs knows it, a device 0:0.
static int hide(int layer_fd, const char *name)
{
    if (mknodat(layer_fd, name, S_IFCHR, makedev(0, 0)) == 0 || errno == EEXIST)
        return 0;
    return -1;
}

/*
 * /usr/etc and /usr/local/etc hold settings, tokens among them; only our npmrc is in them. Where
 * this account may not make whiteouts (before Linux 5.8), a directory of ours is mounted over the
 * whole.
 */
static int hide_settings(struct tree *tree, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "usr/%s", name);
    cleanup_fd int host = beneath_open(tree->host_fd, path, O_RDONLY | O_DIRECTORY, 0);
    if (host < 0)
        return 0;
    int rc = usr_dir(tree, name);
    if (rc < 0)
        return rc;
    cleanup_fd int layer = openat(tree->usr_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_fd int npmrc = openat(tree->root_fd, "etc/npmrc", O_RDONLY | O_CLOEXEC);
    char text[4096];
    ssize_t size = npmrc < 0 ? -1 : fd_read_full(npmrc, text, sizeof(text));
    if (layer < 0 || size < 0)
        return fail(tree, path);
    rc = madeup_write(layer, "npmrc", 0644, text, (size_t)size, tree->err);
    cleanup_dir DIR *dir = dir_open(host, ".");
    for (struct dirent *entry; rc == 0 && dir && (entry = readdir(dir));) {
        if (name_is_dots(entry->d_name) || hide(layer, entry->d_name) == 0)
            continue;
        buf_printf(&tree->manifest, "layer\t/%s\t%s\n", path, path);
        break;
    }
    return rc;
}

// Before anything else is put into the layer: what is made later hides settings.
static int mirror_usr(struct tree *tree)
{
    // Many directories, each of one package alone: what is installed makes new ones beside them.
    // And settings, which are hidden below.
    static const char *const shallow[] = {"share/doc", "lib/node_modules", "local/go",
                                          "etc",       "local/etc",        NULL};
    cleanup_fd int usr = beneath_open(tree->host_fd, "usr", O_RDONLY | O_DIRECTORY, 0);
    if (usr < 0 || linktree_mirror(usr, tree->usr_fd, shallow) < 0)
        return fail(tree, "the directories of /usr");
    tree->usr_used = true;
    return 0;
}

static bool is_mount_point(const struct tree *tree, const char *path, const char *parent)
{
    struct stat own, above;
    return fstatat(tree->host_fd, path, &own, 0) == 0 &&
           fstatat(tree->host_fd, parent, &above, 0) == 0 && own.st_dev != above.st_dev;
}

static int build_usr(struct tree *tree)
{
    cleanup_buf struct buf over = BUF_INIT(65536); // mounted above /usr, so named after it
    struct buf below = tree->manifest;
    tree->manifest = over;
    int rc = make_subdir(tree, "usr", &tree->usr_fd);
    if (rc == 0 && tree->mirror)
        rc = mirror_usr(tree);
    if (rc == 0)
        rc = add_python(tree);
    if (rc == 0)
        rc = add_policy(tree);
    if (rc == 0)
        rc = hide_settings(tree, "etc");
    if (rc == 0 && host_has(tree, "usr/local/etc"))
        rc = usr_dir(tree, "local");
    if (rc == 0)
        rc = hide_settings(tree, "local/etc");
    over = tree->manifest;
    tree->manifest = below;
    if (tree->usr_used)
        buf_puts(&tree->manifest, "layer\t/usr\tusr\n");
    buf_printf(&tree->manifest, "layer\t/usr\t%s/usr\n", tree->host);
    if (is_mount_point(tree, "usr/local", "usr")) { // an overlay does not see what is mounted in it
        if (host_has(tree, "usr/local/etc"))
            buf_puts(&tree->manifest, "layer\t/usr/local\tusr/local\n");
        buf_printf(&tree->manifest, "layer\t/usr/local\t%s/usr/local\n", tree->host);
    }
    buf_add(&tree->manifest, over.data, over.size);
    return rc;
}

static int copy_dpkg_files(struct tree *tree, int own, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "var/lib/dpkg/%s", name);
    cleanup_fd int from = beneath_open(tree->host_fd, path, O_RDONLY | O_DIRECTORY, 0);
    cleanup_fd int to = openat(own, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (from < 0 || to < 0)
        return 0;
    return linktree_copy_files(from, to) < 0 ? fail(tree, path) : 0;
}

// What dpkg locks, or replaces by moving the old file aside, must be ours; the rest it only adds
// to.
static int mirror_dpkg(struct tree *tree)
{
    static const char *const shallow[] = {NULL};
    cleanup_fd int host = beneath_open(tree->host_fd, "var/lib/dpkg", O_RDONLY | O_DIRECTORY, 0);
    cleanup_fd int own = -1;
    int rc = make_subdir(tree, "dpkg", &own);
    if (rc == 0 && (host < 0 || linktree_mirror(host, own, shallow) < 0))
        rc = fail(tree, "the package database");
    if (rc == 0)
        rc = copy_dpkg_files(tree, own, ".");
    if (rc == 0)
        rc = copy_dpkg_files(tree, own, "triggers");
    buf_puts(&tree->manifest, "layer\t/var/lib/dpkg\tdpkg\n");
    return rc;
}

// What is installed, so that package managers can go on from there.
static int add_package_database(struct tree *tree)
{
    static const struct {
        const char *dir;
        const char *proof;
    } databases[] = {
        {"var/lib/dpkg", "var/lib/dpkg/status"},
        {"var/lib/rpm", "var/lib/rpm/rpmdb.sqlite"},
        {"var/lib/pacman", "var/lib/pacman/local"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(databases); i++) {
        if (!host_has(tree, databases[i].proof))
            continue;
        // An overlay less for every sandbox, where links can be made.
        if (i == 0 && geteuid() == 0 &&
            linktree_make(tree->host_fd, tree->root_fd, databases[i].dir) == 0)
            continue;
        if (mkdirat(tree->root_fd, databases[i].dir, 0755) < 0 && errno != EEXIST)
            return fail(tree, databases[i].dir);
        int rc = i == 0 && tree->mirror ? mirror_dpkg(tree) : 0;
        if (rc < 0)
            return rc;
        buf_printf(&tree->manifest, "layer\t/%s\t%s/%s\n", databases[i].dir, tree->host,
                   databases[i].dir);
    }
    return 0;
}

// LANG of this machine when it is a plain name of a locale.
static void put_lang(struct tree *tree)
{
    static const char *const files[] = {"etc/default/locale", "etc/locale.conf"};
    char lang[64] = "C.UTF-8", content[4096];
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        ssize_t size = fd_read_file(tree->root_fd, files[i], content, sizeof(content));
        char *save = NULL;
        char *line = size < 0 ? NULL : strtok_r(content, "\n", &save);
        for (; line; line = strtok_r(NULL, "\n", &save)) {
            char value[64];
            if (sscanf(line, "LANG=%*[\"']%63[A-Za-z0-9_.@-]", value) == 1 ||
                sscanf(line, "LANG=%63[A-Za-z0-9_.@-]", value) == 1)
                memcpy(lang, value, sizeof(lang));
        }
    }
    buf_printf(&tree->manifest, "env\tLANG\t%s\n", lang);
}

static int write_manifest(struct tree *tree)
{
    buf_printf(&tree->manifest, "env\tPATH\t" VIEW_PATH "\n",
               host_has(tree, "usr/local/go/bin") ? ":/usr/local/go/bin" : "");
    put_lang(tree);
    if (tree->manifest.failed)
        return err_nomem(tree->err);
    return madeup_write(tree->new_fd, "manifest", 0600, tree->manifest.data, tree->manifest.size,
                        tree->err);
}

int hosttree_build(int new_fd, int host_fd, const char *host, bool mirror, struct sbx_error *err)
{
    cleanup(tree_deinit) struct tree tree = {
        .new_fd = new_fd,
        .host_fd = host_fd,
        .root_fd = -1,
        .usr_fd = -1,
        .host = host,
        .mirror = mirror,
        .owners = probe_privileged(),
        .manifest = BUF_INIT(65536),
        .err = err,
    };
    int rc = build_root(&tree);
    if (rc == 0)
        rc = build_usr(&tree);
    if (rc == 0)
        rc = add_package_database(&tree);
    return rc == 0 ? write_manifest(&tree) : rc;
}
