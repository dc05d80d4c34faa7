// SPDX-License-Identifier: Apache-2.0
/*
 * Removing trees that hostile programs have built: any depth with two descriptors and without
 * recursion, unreadable directories included. Layer: base.
 */
#include "base/tree.h"
#include "base/names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/dir.h"

// Names from the root of the removal to the directory being emptied, one after another with their
// NULs.
struct trail {
    char *names;
    size_t size;
    size_t capacity;
    size_t depth;
};

static int push(struct trail *trail, const char *name)
{
    size_t length = strlen(name) + 1;
    if (trail->size + length > trail->capacity) {
        size_t capacity = (trail->capacity + length) * 2;
        char *names = realloc(trail->names, capacity);
        if (!names)
            return -1;
        trail->names = names;
        trail->capacity = capacity;
    }
    memcpy(trail->names + trail->size, name, length);
    trail->size += length;
    trail->depth++;
    return 0;
}

// The last name, taken off; valid until the next push.
static const char *pop(struct trail *trail)
{
    size_t start = trail->size - 1;
    while (start > 0 && trail->names[start - 1] != '\0')
        start--;
    trail->size = start;
    trail->depth--;
    return trail->names + start;
}

static void deinit(struct trail *trail)
{
    free(trail->names);
}

// Opens a directory and gives us all rights on it, which emptying needs.
static int open_dir(int dir_fd, const char *name)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    cleanup_fd int fd = openat(dir_fd, name, flags);
    if (fd < 0 && errno == EACCES && fchmodat(dir_fd, name, 0700, 0) == 0)
        fd = openat(dir_fd, name, flags);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0)
        return -1;
    if ((info.st_mode & 0700) != 0700 && fchmod(fd, 0700) < 0)
        return -1;
    return steal_fd(&fd);
}

// A file, or an empty directory: 1 when it is gone, 0 when it must be emptied first, -1 on an
// error.
static int remove_one(int dir_fd, const char *name)
{
    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return 1;
    if (errno != EISDIR && errno != EPERM)
        return -1;
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0)
        return 1;
    return errno == ENOTEMPTY || errno == EEXIST ? 0 : -1;
}

/*
 * Removes what it can in the open directory. 1 when it is empty now, 0 when ret_name (of NAME_MAX +
 * 1 bytes) names a directory that must be emptied first, -1 on an error. Takes fd over.
 */
static int sweep(int fd, char *ret_name)
{
    DIR *dir = dir_adopt(fd);
    if (!dir)
        return -1;
    int result = 1;
    for (struct dirent *entry; result == 1 && (errno = 0, entry = readdir(dir));) {
        if (name_is_dots(entry->d_name))
            continue;
        result = remove_one(dirfd(dir), entry->d_name);
        if (result == 0)
            memcpy(ret_name, entry->d_name, strlen(entry->d_name) + 1);
    }
    if (result == 1 && errno != 0)
        result = -1;
    int saved = errno;
    closedir(dir);
    errno = saved;
    return result;
}

static int replace_fd(int *fd, int with)
{
    if (with < 0)
        return -1;
    close(*fd);
    *fd = with;
    return 0;
}

// Empties the directory at fd; *fd moves through the tree and ends where it began.
static int empty_dir(int *fd, struct trail *trail)
{
    char name[256];
    for (;;) {
        int result = sweep(openat(*fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), name);
        if (result < 0)
            return -1;
        if (result == 0) {
            if (push(trail, name) < 0 || replace_fd(fd, open_dir(*fd, name)) < 0)
                return -1;
            continue;
        }
        if (trail->depth == 0)
            return 0;
        if (replace_fd(fd, openat(*fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
            return -1;
        if (unlinkat(*fd, pop(trail), AT_REMOVEDIR) < 0 && errno != ENOENT)
            return -1;
    }
}

int tree_remove(int dir_fd, const char *name)
{
    int gone = remove_one(dir_fd, name);
    if (gone != 0)
        return gone < 0 ? -1 : 0;
    cleanup_fd int fd = open_dir(dir_fd, name);
    if (fd < 0)
        return -1;
    cleanup(deinit) struct trail trail = {0};
    if (empty_dir(&fd, &trail) < 0)
        return -1;
    return unlinkat(dir_fd, name, AT_REMOVEDIR);
}

int tree_drop(int dir_fd, const char *name)
{
    char gone[NAME_MAX + 8];
    size_t length = strlen(name);
    if (length > NAME_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (length > 4 && strcmp(name + length - 4, ".new") == 0)
        return tree_remove(dir_fd, name);
    snprintf(gone, sizeof(gone), "%s.new", name);
    if (tree_remove(dir_fd, gone) < 0 ||
        (renameat(dir_fd, name, dir_fd, gone) < 0 && errno != ENOENT))
        return -1;
    return tree_remove(dir_fd, gone);
}
