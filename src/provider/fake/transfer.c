// SPDX-License-Identifier: Apache-2.0
// Trees between this machine and a sandbox of the provider "fake". Layer: provider.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/names.h"
#include "provider/fake/fake.h"

#define DEPTH_MAX 256
#define CHUNK (64 * 1024)

// The last name of a path and its length, without slashes behind it.
static const char *last_name(const char *path, size_t *ret_length)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    *ret_length = end - start;
    return path + start;
}

static char *join(const char *directory, const char *name, size_t length)
{
    char *path = malloc(strlen(directory) + length + 2);
    if (path)
        snprintf(path, strlen(directory) + length + 2, "%s/%.*s", directory, (int)length, name);
    return path;
}

// Into the sandbox.

static int put(const struct memfs_view *view, int dir_fd, const char *name, const char *path,
               int depth, struct sbx_error *err);

static int put_file(const struct memfs_view *view, int dir_fd, const char *name, const char *path,
                    const struct stat *st, struct sbx_error *err)
{
    struct memfs_node *node;
    cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return err_sys(err, 0, errno, "cannot read '%s'", name);
    cleanup_free char *data = malloc(CHUNK);
    if (!data)
        return err_nomem(err);
    int code = memfs_open_write(view, path, st->st_mode & 0777, false, &node, err);
    ssize_t got = 1;
    while (code == 0 && got > 0) {
        got = fd_read_full(fd, data, CHUNK);
        code = got < 0 ? err_sys(err, 0, errno, "cannot read '%s'", name)
                       : memfs_append(view->fs, node, data, (size_t)got, err);
    }
    if (code == 0)
        node->mode = st->st_mode & 0777;
    return code;
}

static int put_link(const struct memfs_view *view, int dir_fd, const char *name, const char *path,
                    struct sbx_error *err)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(dir_fd, name, target, sizeof(target) - 1);
    if (length < 0)
        return err_sys(err, 0, errno, "cannot read link '%s'", name);
    target[length] = '\0';
    struct memfs_node *old;
    if (memfs_find(view, path, MEMFS_NOFOLLOW, &old, err) == 0 && old->kind != SBX_FILE_DIRECTORY)
        memfs_remove(view, path, false, err);
    return memfs_link(view, target, path, err);
}

static int put_entries(const struct memfs_view *view, DIR *directory, const char *path, int depth,
                       struct sbx_error *err)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry)
            return errno ? err_sys(err, 0, errno, "cannot list a directory") : 0;
        if (name_is_dots(entry->d_name))
            continue;
        cleanup_free char *below = join(path, entry->d_name, strlen(entry->d_name));
        if (!below)
            return err_nomem(err);
        int code = put(view, dirfd(directory), entry->d_name, below, depth + 1, err);
        if (code < 0)
            return code;
    }
}

static int put_directory(const struct memfs_view *view, int dir_fd, const char *name,
                         const char *path, const struct stat *st, int depth, struct sbx_error *err)
{
    struct memfs_node *node;
    DIR *directory = dir_open(dir_fd, name);
    if (!directory)
        return err_sys(err, 0, errno, "cannot list '%s'", name);
    int code = memfs_make_parents(view, path, true, 0755, err);
    if (code == 0)
        code = put_entries(view, directory, path, depth, err);
    closedir(directory);
    // The mode last: it may forbid what has just been done.
    if (code == 0 && memfs_find(view, path, MEMFS_FOLLOW, &node, err) == 0)
        node->mode = st->st_mode & 0777;
    return code;
}

static int put(const struct memfs_view *view, int dir_fd, const char *name, const char *path,
               int depth, struct sbx_error *err)
{
    struct stat st;
    if (depth > DEPTH_MAX)
        return err_set(err, SBX_ERR_INVALID, "'%s' lies deeper than %d levels", name, DEPTH_MAX);
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(err, 0, errno, "cannot read '%s'", name);
    if (S_ISREG(st.st_mode))
        return put_file(view, dir_fd, name, path, &st, err);
    if (S_ISDIR(st.st_mode))
        return put_directory(view, dir_fd, name, path, &st, depth, err);
    return S_ISLNK(st.st_mode) ? put_link(view, dir_fd, name, path, err) : 0;
}

static int upload(const struct memfs_view *view, const char *local_path, const char *path,
                  struct sbx_error *err)
{
    char real[PATH_MAX];
    if (!realpath(local_path, real))
        return err_sys(err, 0, errno, "cannot read '%s'", local_path);
    size_t length;
    const char *name = last_name(local_path, &length);
    if (strncmp(name, "..", length) == 0 && length <= 2)
        name = last_name(real, &length);
    struct memfs_node *node;
    cleanup_free char *below = NULL;
    if (memfs_find(view, path, MEMFS_FOLLOW, &node, err) == 0 && node->kind == SBX_FILE_DIRECTORY) {
        below = join(path, name, length);
        if (!below)
            return err_nomem(err);
        path = below;
    }
    int code = memfs_make_parents(view, path, false, 0755, err);
    return code < 0 ? code : put(view, AT_FDCWD, real, path, 0, err);
}

int fake_file_upload(void *self, const char *local_path, const char *path,
                     const struct sbx_file_options *options, const struct sbx_call *call,
                     struct sbx_error *err)
{
    struct fake_handle *handle = self;
    struct memfs_view view;
    int code = fake_enter(handle, err);
    if (code < 0)
        return code;
    code = fake_view(handle->box, options->user, &view, err);
    if (code == 0)
        code = upload(&view, local_path, path, err);
    fake_unlock(handle->box->provider);
    return code;
}

// Out of the sandbox.

static int get(const struct memfs_node *node, uint32_t uid, int dir_fd, const char *name, int depth,
               struct sbx_error *err);

static int get_file(const struct memfs_node *node, int dir_fd, const char *name,
                    struct sbx_error *err)
{
    cleanup_fd int fd = openat(
        dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0 || fd_write_full(fd, node->data, node->size) < 0 ||
        fchmod(fd, node->mode & 0777) < 0)
        return err_sys(err, 0, errno, "cannot write '%s'", name);
    return 0;
}

static int get_link(const struct memfs_node *node, int dir_fd, const char *name,
                    struct sbx_error *err)
{
    unlinkat(dir_fd, name, 0);
    if (symlinkat(node->target, dir_fd, name) < 0)
        return err_sys(err, 0, errno, "cannot make link '%s'", name);
    return 0;
}

static int get_directory(const struct memfs_node *node, uint32_t uid, int dir_fd, const char *name,
                         int depth, struct sbx_error *err)
{
    if (mkdirat(dir_fd, name, 0700) < 0 && errno != EEXIST)
        return err_sys(err, 0, errno, "cannot make directory '%s'", name);
    cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_DIRECTORY);
    if (fd < 0)
        return err_sys(err, 0, errno, "cannot open directory '%s'", name);
    for (const struct memfs_node *child = node->child; child; child = child->next) {
        int code = get(child, uid, fd, child->name, depth + 1, err);
        if (code < 0)
            return code;
    }
    if (fchmod(fd, node->mode & 0777) < 0)
        return err_sys(err, 0, errno, "cannot change the mode of '%s'", name);
    return 0;
}

static int get(const struct memfs_node *node, uint32_t uid, int dir_fd, const char *name, int depth,
               struct sbx_error *err)
{
    if (depth > DEPTH_MAX)
        return err_set(err, SBX_ERR_INVALID, "'%s' lies deeper than %d levels", name, DEPTH_MAX);
    if (node->kind == SBX_FILE_SYMLINK)
        return get_link(node, dir_fd, name, err);
    if (node->kind == SBX_FILE_OTHER)
        return 0;
    if (!memfs_may(node, uid, node->kind == SBX_FILE_DIRECTORY ? 5 : 4))
        return err_set(err, SBX_ERR_DENIED, "user %u may not read '%s'", uid, node->name);
    return node->kind == SBX_FILE_DIRECTORY ? get_directory(node, uid, dir_fd, name, depth, err)
                                            : get_file(node, dir_fd, name, err);
}

int fake_file_download(void *self, const char *path, const char *local_path,
                       const struct sbx_file_options *options, const struct sbx_call *call,
                       struct sbx_error *err)
{
    struct fake_handle *handle = self;
    struct memfs_view view;
    struct memfs_node *node;
    int code = fake_enter(handle, err);
    if (code < 0)
        return code;
    code = fake_view(handle->box, options->user, &view, err);
    if (code == 0)
        code = memfs_find(&view, path, MEMFS_FOLLOW, &node, err);
    cleanup_fd int into = open(local_path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (code == 0)
        code = get(node, view.uid, into < 0 ? AT_FDCWD : into, into < 0 ? local_path : node->name,
                   0, err);
    fake_unlock(handle->box->provider);
    return code;
}
