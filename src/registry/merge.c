// SPDX-License-Identifier: Apache-2.0
/*
 * Merging layers. Both trees are of somebody else's making, though nobody works in them meanwhile:
 * every step is relative to an opened directory and follows no link. Layer: registry.
 */
#include "registry/merge.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/tree.h"
#include "engine/unpack/path.h"
#include "engine/unpack/protocol.h"

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static const char *hidden_by(const char *name)
{
    size_t length = strlen(UNPACK_WHITEOUT);
    return strncmp(name, UNPACK_WHITEOUT, length) == 0 ? name + length : NULL;
}

static int remove_all(int dir_fd)
{
    cleanup_dir DIR *dir = dir_open(dir_fd, ".");
    int failed = dir ? 0 : -1;
    for (struct dirent *entry; !failed && (entry = readdir(dir));)
        if (!is_dots(entry->d_name))
            failed = tree_remove(dir_fd, entry->d_name);
    return failed;
}

// What the layer removes from the directory, before anything of the layer's own comes into it.
static int apply_whiteouts(int layer_fd, int tree_fd)
{
    struct stat info;
    if (fstatat(layer_fd, UNPACK_OPAQUE, &info, AT_SYMLINK_NOFOLLOW) == 0)
        return remove_all(tree_fd);
    cleanup_dir DIR *dir = dir_open(layer_fd, ".");
    int failed = dir ? 0 : -1;
    for (struct dirent *entry; !failed && (entry = readdir(dir));) {
        const char *hidden = hidden_by(entry->d_name);
        if (hidden && hidden[0] && !is_dots(hidden))
            failed = tree_remove(tree_fd, hidden);
    }
    return failed;
}

static int merge_dir(int layer_fd, int tree_fd, int depth);

// The directory's facts from the layer, unless the layer says nothing of it; then as they were.
static int finish_dir(int tree_fd, const struct stat *layer, const struct stat *before)
{
    bool implied = (layer->st_mode & 07777) == UNPACK_IMPLIED_MODE;
    const struct stat *from = implied ? before : layer;
    mode_t mode = from ? from->st_mode & 07777 : 0755;
    if (from && geteuid() == 0 && fchown(tree_fd, from->st_uid, from->st_gid) < 0)
        return -1;
    if (from) {
        const struct timespec times[2] = {from->st_mtim, from->st_mtim};
        (void)futimens(tree_fd, times);
    }
    return fchmod(tree_fd, mode);
}

static int add_dir(int layer_fd, int tree_fd, const char *name, const struct stat *layer, int depth)
{
    struct stat old;
    bool there = fstatat(tree_fd, name, &old, AT_SYMLINK_NOFOLLOW) == 0;
    if (there && !S_ISDIR(old.st_mode)) {
        if (tree_remove(tree_fd, name) < 0)
            return -1;
        there = false;
    }
    // Ours to work in, whatever an earlier layer has made of it; finish_dir() settles it.
    if (there ? fchmodat(tree_fd, name, 0700, 0) < 0 : mkdirat(tree_fd, name, 0700) < 0)
        return -1;
    cleanup_fd int from = openat(layer_fd, name, OPEN_DIR);
    cleanup_fd int to = openat(tree_fd, name, OPEN_DIR);
    if (from < 0 || to < 0 || merge_dir(from, to, depth + 1) < 0)
        return -1;
    return finish_dir(to, layer, there ? &old : NULL);
}

static int add_entry(int layer_fd, int tree_fd, const char *name, int depth)
{
    struct stat info;
    if (fstatat(layer_fd, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    if (S_ISDIR(info.st_mode))
        return add_dir(layer_fd, tree_fd, name, &info, depth);
    if (linkat(layer_fd, name, tree_fd, name, 0) == 0)
        return 0;
    if (errno != EEXIST || tree_remove(tree_fd, name) < 0)
        return -1;
    return linkat(layer_fd, name, tree_fd, name, 0);
}

static int merge_dir(int layer_fd, int tree_fd, int depth)
{
    if (depth > PATH_DEPTH_MAX) {
        errno = ELOOP;
        return -1;
    }
    if (apply_whiteouts(layer_fd, tree_fd) < 0)
        return -1;
    cleanup_dir DIR *dir = dir_open(layer_fd, ".");
    int failed = dir ? 0 : -1;
    for (struct dirent *entry; !failed && (entry = readdir(dir));)
        if (!is_dots(entry->d_name) && !hidden_by(entry->d_name))
            failed = add_entry(layer_fd, tree_fd, entry->d_name, depth);
    return failed;
}

int merge_layer(int layer_fd, int tree_fd)
{
    return merge_dir(layer_fd, tree_fd, 0);
}

static int make_missing(int tree_fd, char *path)
{
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
    cleanup_fd int parent =
        beneath_open(tree_fd, slash && path[0] ? path : ".", O_RDONLY | O_DIRECTORY, 0);
    if (slash)
        *slash = '/';
    const char *leaf = slash ? slash + 1 : path;
    if (parent < 0 || mkdirat(parent, leaf, 0755) < 0)
        return -1;
    return fchmodat(parent, leaf, 0755, 0);
}

int merge_make_dir(int tree_fd, const char *path)
{
    char part[PATH_MAX];
    path += strspn(path, "/");
    for (size_t length = 0; path[length];) {
        length += strcspn(path + length, "/");
        if ((size_t)snprintf(part, sizeof(part), "%.*s", (int)length, path) >= sizeof(part)) {
            errno = ENAMETOOLONG;
            return -1;
        }
        cleanup_fd int there = beneath_open(tree_fd, part, O_PATH | O_DIRECTORY, 0);
        if (there < 0 && (errno != ENOENT || make_missing(tree_fd, part) < 0))
            return -1;
        length += strspn(path + length, "/");
    }
    return 0;
}
