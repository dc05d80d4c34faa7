// SPDX-License-Identifier: Apache-2.0
// Walking a directory tree that others may change meanwhile. Layer: agent.
#include "agent/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/names.h"

#define PATHS_MAX (64 * 1024 * 1024) // names of all levels together
#define OPEN_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

struct walk_level {
    DIR *dir;   // owned; NULL: closed meanwhile
    long place; // where reading goes on after it was closed
    dev_t device;
    ino_t inode;
    size_t path_size; // of the path of this directory
};

static int take_dir(struct walk_level *level, int fd, struct sbx_error *err)
{
    struct stat stat;
    if (fstat(fd, &stat) < 0 || !(level->dir = fdopendir(fd))) {
        int sys_errno = errno;
        close(fd);
        return err_sys(err, 0, sys_errno, "cannot read a directory");
    }
    level->device = stat.st_dev;
    level->inode = stat.st_ino;
    return 0;
}

static int grow(struct walk *walk, struct sbx_error *err)
{
    if (walk->depth < walk->capacity)
        return 0;
    size_t capacity = walk->capacity ? walk->capacity * 2 : 16;
    struct walk_level *levels = realloc(walk->levels, capacity * sizeof(*levels));
    if (!levels)
        return err_nomem(err);
    walk->levels = levels;
    walk->capacity = capacity;
    return 0;
}

// The directory far above is closed; its place is kept.
static void park(struct walk *walk)
{
    if (walk->depth <= walk->open_max)
        return;
    struct walk_level *level = &walk->levels[walk->depth - 1 - walk->open_max];
    if (!level->dir)
        return;
    level->place = telldir(level->dir);
    closedir(level->dir);
    level->dir = NULL;
}

static int push(struct walk *walk, int fd, struct sbx_error *err)
{
    struct walk_level level = {.path_size = walk->path.size};
    int code = take_dir(&level, fd, err);
    if (code < 0)
        return code;
    code = grow(walk, err);
    if (code < 0) {
        closedir(level.dir);
        return code;
    }
    walk->levels[walk->depth++] = level;
    park(walk);
    return 0;
}

int walk_open(struct walk *walk, int dir_fd, size_t depth_max, size_t open_max,
              struct sbx_error *err)
{
    *walk =
        (struct walk){.depth_max = depth_max, .open_max = open_max, .path = BUF_INIT(PATHS_MAX)};
    int code = push(walk, dir_fd, err);
    if (code == 0)
        walk->device = walk->levels[0].device;
    return code;
}

void walk_close(struct walk *walk)
{
    for (size_t i = 0; i < walk->depth; i++)
        if (walk->levels[i].dir)
            closedir(walk->levels[i].dir);
    free(walk->levels);
    buf_deinit(&walk->path);
}

static struct walk_level *top(const struct walk *walk)
{
    return &walk->levels[walk->depth - 1];
}

// Opens the parent of the directory that is being left anew.
static int unpark(struct walk_level *level, int child_fd, struct sbx_error *err)
{
    dev_t device = level->device;
    ino_t inode = level->inode;
    if (level->dir)
        return 0;
    int fd = openat(child_fd, "..", OPEN_FLAGS);
    if (fd < 0)
        return err_sys(err, 0, errno, "cannot return to a parent directory");
    int code = take_dir(level, fd, err);
    if (code < 0)
        return code;
    if (level->device != device || level->inode != inode)
        return err_set(err, SBX_ERR_CONFLICT, "a directory was moved meanwhile");
    seekdir(level->dir, level->place);
    return 0;
}

static const char *name_in_path(const struct walk *walk, size_t parent_size)
{
    return walk->path.data + parent_size + (parent_size ? 1 : 0);
}

static int leave(struct walk *walk, int *ret_dir_fd, const char **ret_name, struct sbx_error *err)
{
    struct walk_level *done = top(walk);
    walk->path.size = done->path_size;
    if (walk->depth == 1)
        return WALK_END;
    struct walk_level *parent = done - 1;
    int code = unpark(parent, dirfd(done->dir), err);
    if (code < 0)
        return code;
    closedir(done->dir);
    walk->depth--;
    if (!walk_path(walk))
        return err_nomem(err);
    *ret_dir_fd = dirfd(parent->dir);
    *ret_name = name_in_path(walk, parent->path_size);
    return WALK_LEAVE;
}

int walk_next(struct walk *walk, int *ret_dir_fd, const char **ret_name, unsigned char *ret_type,
              struct sbx_error *err)
{
    struct walk_level *level = top(walk);
    struct dirent *entry;
    do {
        errno = 0;
        entry = readdir(level->dir);
    } while (entry && name_is_dots(entry->d_name));
    if (!entry && errno)
        return err_sys(err, 0, errno, "cannot read a directory");
    if (!entry)
        return leave(walk, ret_dir_fd, ret_name, err);
    walk->path.size = level->path_size;
    if (level->path_size)
        buf_puts(&walk->path, "/");
    buf_puts(&walk->path, entry->d_name);
    if (!walk_path(walk))
        return err_set(err, SBX_ERR_QUOTA, "the tree's names are too long");
    *ret_dir_fd = dirfd(level->dir);
    *ret_name = name_in_path(walk, level->path_size);
    *ret_type = entry->d_type;
    return WALK_ENTRY;
}

int walk_enter(struct walk *walk, struct sbx_error *err)
{
    const struct walk_level *level = top(walk);
    if (walk->depth >= walk->depth_max)
        return err_set(err, SBX_ERR_QUOTA, "the tree is deeper than %zu levels", walk->depth_max);
    int fd = openat(dirfd(level->dir), name_in_path(walk, level->path_size), OPEN_FLAGS);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return 0;
    if (fd < 0)
        return err_sys(err, 0, errno, "cannot open the directory");
    int code = push(walk, fd, err);
    return code < 0 ? code : 1;
}

dev_t walk_device(const struct walk *walk)
{
    return top(walk)->device;
}

const char *walk_path(struct walk *walk)
{
    return buf_text(&walk->path);
}
