// SPDX-License-Identifier: Apache-2.0
// The walk through a layer, side by side with that of an earlier snapshot. Layer: engine.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/names.h"
#include "engine/keep/keep.h"

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

bool keep_is_opaque(const struct keep *keep, int fd)
{
    char value[4];
    const char *name = keep->owners ? "trusted.overlay.opaque" : "user.overlay.opaque";
    return fgetxattr(fd, name, value, sizeof(value)) == 1 && value[0] == 'y';
}

int keep_make_opaque(struct keep *keep, int fd, const char *name)
{
    const char *attribute = keep->owners ? "trusted.overlay.opaque" : "user.overlay.opaque";
    if (fsetxattr(fd, attribute, "y", 1, 0) == 0)
        return 0;
    keep_fail(keep, name);
    return err_hint(keep->err, "the cache directory's file system has no such attributes: choose "
                               "another place with SANDBOXES_CACHE_DIR");
}

// --- Names of a directory, in order

struct names {
    struct keep *keep;
    char **items;
    size_t count, room, bytes;
};

static void free_names(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    names->keep->names_bytes -= names->bytes;
}

static int add_name(struct names *names, const char *name)
{
    struct keep *keep = names->keep;
    size_t bytes = strlen(name) + 1 + 2 * sizeof(char *);
    if (keep->names_bytes + bytes > KEEP_NAMES_MAX)
        return err_set(keep->err, SBX_ERR_QUOTA, "a directory of the sandbox has too many names");
    if (names->count == names->room) {
        size_t room = names->room * 2 + 16;
        char **grown = reallocarray(names->items, room, sizeof(*grown));
        if (!grown)
            return err_nomem(keep->err);
        names->items = grown;
        names->room = room;
    }
    char *copy = strdup(name);
    if (!copy)
        return err_nomem(keep->err);
    names->items[names->count++] = copy;
    names->bytes += bytes;
    keep->names_bytes += bytes;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(struct names *names, int dir_fd)
{
    DIR *dir = dir_open(dir_fd, ".");
    if (!dir)
        return err_sys(names->keep->err, 0, errno, "cannot read a directory of the sandbox");
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(dir));)
        if (!name_is_dots(entry->d_name))
            rc = add_name(names, entry->d_name);
    closedir(dir);
    if (names->count > 1)
        qsort(names->items, names->count, sizeof(*names->items), by_name);
    return rc;
}

// --- The walk

static bool is_whiteout(const struct stat *info)
{
    return S_ISCHR(info->st_mode) && info->st_rdev == 0;
}

static int walk(struct keep *keep, int upper, int old, int target, bool first, int depth);

static int make_dir(struct keep *keep, int to, const char *name, int *ret_fd)
{
    if (mkdirat(to, name, 0700) < 0)
        return keep_fail(keep, name);
    *ret_fd = openat(to, name, OPEN_DIR);
    return *ret_fd < 0 ? keep_fail(keep, name) : 0;
}

// A directory of the sandbox; old: of the earlier snapshot at its place, -1 for none. hides: what
// that has there is something else, which the base below may not show again.
static int add_dir(struct keep *keep, int upper, int old, int target, const char *name, bool hides,
                   int depth)
{
    struct stat info;
    cleanup_fd int to = -1;
    cleanup_fd int from = openat(upper, name, OPEN_DIR);
    if (from < 0 || fstat(from, &info) < 0)
        return keep_fail(keep, name);
    cleanup_fd int below = old < 0 ? -1 : openat(old, name, OPEN_DIR);
    if (old >= 0 && below < 0)
        return keep_fail(keep, name);
    bool opaque = keep_is_opaque(keep, from);
    hides |= opaque || (below >= 0 && keep_is_opaque(keep, below));
    keep_count(keep, hides ? 'D' : 'd', name, &info);
    int rc = make_dir(keep, target, name, &to);
    if (rc == 0)
        rc = walk(keep, from, opaque ? -1 : below, to, false, depth + 1);
    if (rc == 0 && hides)
        rc = keep_make_opaque(keep, to, name);
    if (rc == 0)
        rc = keep_facts(keep, from, to, name, &info, false);
    keep_sum(keep, "", 1); // its end
    return rc;
}

static int add_link(struct keep *keep, int upper, int target, const char *name,
                    const struct stat *info)
{
    char text[PATH_MAX];
    ssize_t size = readlinkat(upper, name, text, sizeof(text) - 1);
    if (size < 0)
        return keep_fail(keep, name);
    text[size] = '\0';
    keep_count(keep, 'l', name, info);
    keep_sum(keep, text, (size_t)size + 1);
    return symlinkat(text, target, name) < 0 ? keep_fail(keep, name)
                                             : keep_owner_at(keep, target, name, info);
}

static int add_fifo(struct keep *keep, int target, const char *name, const struct stat *info)
{
    keep_count(keep, 'p', name, info);
    if (mkfifoat(target, name, 0600) < 0 || fchmodat(target, name, info->st_mode & 0777, 0) < 0)
        return keep_fail(keep, name);
    return keep_owner_at(keep, target, name, info);
}

// Anybody may make these: vfs_mknod() of Linux 5.8 and later.
static int add_whiteout(struct keep *keep, int target, const char *name)
{
    static const struct stat none = {0};
    keep_count(keep, 'w', name, &none);
    return mknodat(target, name, S_IFCHR, 0) < 0 ? keep_fail(keep, name) : 0;
}

// An entry of the sandbox's.
static int add_own(struct keep *keep, int upper, int old, int target, const char *name, int depth)
{
    struct stat info, before;
    if (fstatat(upper, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return !keep->still && errno == ENOENT ? 0 : keep_fail(keep, name);
    bool there = old >= 0 && fstatat(old, name, &before, AT_SYMLINK_NOFOLLOW) == 0;
    bool merges = there && S_ISDIR(before.st_mode);
    if (S_ISDIR(info.st_mode))
        return add_dir(keep, upper, merges ? old : -1, target, name, there && !merges, depth);
    if (S_ISREG(info.st_mode))
        return keep_file(keep, upper, target, name, &info);
    if (S_ISLNK(info.st_mode))
        return add_link(keep, upper, target, name, &info);
    if (S_ISFIFO(info.st_mode))
        return add_fifo(keep, target, name, &info);
    return is_whiteout(&info) ? add_whiteout(keep, target, name) : 0; // sockets end with a program
}

static int add_old_dir(struct keep *keep, int old, int target, const char *name, int depth)
{
    struct stat info;
    cleanup_fd int to = -1;
    cleanup_fd int from = openat(old, name, OPEN_DIR);
    if (from < 0 || fstat(from, &info) < 0)
        return keep_fail(keep, name);
    bool opaque = keep_is_opaque(keep, from);
    int rc = make_dir(keep, target, name, &to);
    if (rc == 0)
        rc = walk(keep, -1, from, to, false, depth + 1);
    if (rc == 0 && opaque)
        rc = keep_make_opaque(keep, to, name);
    if (rc == 0)
        rc = keep_facts(keep, from, to, name, &info, true);
    keep_sum(keep, "", 1);
    return rc;
}

// An entry of the earlier snapshot's that the sandbox left as it was: the same file. Its contents
// are in the sum by that snapshot's own digest, which the library adds.
static int add_old(struct keep *keep, int old, int target, const char *name, int depth)
{
    struct stat info;
    if (fstatat(old, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return keep_fail(keep, name);
    keep->entries++;
    keep_sum(keep, "o", 1);
    keep_sum(keep, name, strlen(name) + 1);
    if (S_ISDIR(info.st_mode))
        return add_old_dir(keep, old, target, name, depth);
    return linkat(old, name, target, name, 0) < 0 ? keep_fail(keep, name) : 0;
}

// Places of the sandbox's own file systems.
static bool is_system(const char *name)
{
    return strcmp(name, "proc") == 0 || strcmp(name, "sys") == 0 || strcmp(name, "dev") == 0;
}

static int add_any(struct keep *keep, int upper, int old, int target, const char *name, bool own,
                   int depth)
{
    if (keep->entries >= KEEP_ENTRIES_MAX)
        return err_set(keep->err, SBX_ERR_QUOTA, "the sandbox has more than %d files of its own",
                       KEEP_ENTRIES_MAX);
    return own ? add_own(keep, upper, old, target, name, depth)
               : add_old(keep, old, target, name, depth);
}

static int walk(struct keep *keep, int upper, int old, int target, bool first, int depth)
{
    cleanup(free_names) struct names own = {.keep = keep}, others = {.keep = keep};
    if (depth > KEEP_DEPTH_MAX)
        return err_set(keep->err, SBX_ERR_QUOTA, "the sandbox has directories more than %d deep",
                       KEEP_DEPTH_MAX);
    int rc = upper < 0 ? 0 : read_names(&own, upper);
    if (rc == 0 && old >= 0)
        rc = read_names(&others, old);
    for (size_t i = 0, k = 0; rc == 0 && (i < own.count || k < others.count);) {
        int order = i == own.count      ? 1
                    : k == others.count ? -1
                                        : strcmp(own.items[i], others.items[k]);
        const char *name = order <= 0 ? own.items[i] : others.items[k];
        if (!first || !is_system(name))
            rc = add_any(keep, upper, old, target, name, order <= 0, depth);
        i += order <= 0;
        k += order >= 0;
    }
    return rc;
}

int keep_layer(struct keep *keep, int upper, int old, int target, bool first)
{
    return walk(keep, upper, old, target, first, 0);
}
