// SPDX-License-Identifier: Apache-2.0
// REMOVE: a name, or a whole tree of any depth. Layer: agent.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/files.h"
#include "agent/walk.h"
#include "base/cleanup.h"
#include "base/names.h"

#define REMOVE_DEPTH_MAX 1000000
#define REMOVE_OPEN_MAX 32
#define REFILLS_MAX 16 // how often a directory may have been filled again when it should go

struct removal {
    struct walk walk;
    int refills;
};

static void close_removal(struct removal *removal)
{
    walk_close(&removal->walk);
}

static bool is_directory_errno(int sys_errno)
{
    return sys_errno == EISDIR || sys_errno == EPERM;
}

static int enter(struct removal *removal, struct sbx_error *err)
{
    struct walk *walk = &removal->walk;
    int code = walk_enter(walk, err);
    if (code <= 0)
        return code;
    if (walk_device(walk) != walk->device)
        return err_sys(err, 0, EBUSY, "another file system is mounted there");
    return 0;
}

static int remove_entry(struct removal *removal, int dir_fd, const char *name, unsigned char type,
                        struct sbx_error *err)
{
    if (type == DT_DIR)
        return enter(removal, err);
    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (type == DT_UNKNOWN && is_directory_errno(errno))
        return enter(removal, err);
    return err_sys(err, 0, errno, "cannot remove it");
}

// Whatever came into it since it was read is removed in another round.
static int remove_left(struct removal *removal, int dir_fd, const char *name, struct sbx_error *err)
{
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    if ((errno == ENOTEMPTY || errno == EEXIST) && removal->refills++ < REFILLS_MAX)
        return enter(removal, err);
    return err_sys(err, 0, errno, "cannot remove the directory");
}

static int empty_tree(int dir_fd, const char *path, struct sbx_error *err)
{
    cleanup(close_removal) struct removal removal = {0};
    int code = walk_open(&removal.walk, dir_fd, REMOVE_DEPTH_MAX, REMOVE_OPEN_MAX, err);
    while (code >= 0) {
        const char *name;
        unsigned char type;
        int at;
        int event = walk_next(&removal.walk, &at, &name, &type, err);
        if (event == WALK_END)
            return 0;
        code = event < 0             ? event
               : event == WALK_ENTRY ? remove_entry(&removal, at, name, type, err)
                                     : remove_left(&removal, at, name, err);
    }
    const char *place = walk_path(&removal.walk);
    return err_wrap(err, "cannot remove '%s': '%.200s'", path, place ? place : "");
}

static int remove_tree(const char *path, struct sbx_error *err)
{
    for (int i = 0; i < REFILLS_MAX; i++) {
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
            return err_sys(err, 0, errno, "cannot remove '%s'", path);
        int code = empty_tree(fd, path, err);
        if (code < 0)
            return code;
        if (rmdir(path) == 0)
            return 0;
        if (errno != ENOTEMPTY && errno != EEXIST)
            break;
    }
    return err_sys(err, 0, errno, "cannot remove '%s'", path);
}

// True for "/", "a/..", "." and the like: names that are no entry of their parent.
static bool has_no_name(const char *path)
{
    size_t size;
    const char *name = name_last(path, &size);
    return size == 0 || (size <= 2 && strncmp(name, "..", size) == 0);
}

int files_remove(struct files *files, struct wire_reader *in, struct sbx_error *err)
{
    const char *path = wire_text(in);
    uint32_t recursive = wire_u32(in);
    if (!wire_end(in))
        return files_malformed(err);
    if (has_no_name(path))
        return err_set(err, SBX_ERR_INVALID,
                       "'%s' can't be removed: it names no entry of a directory", path);
    if (unlinkat(AT_FDCWD, path, 0) == 0)
        return 0;
    if (!is_directory_errno(errno))
        return err_sys(err, 0, errno, "cannot remove '%s'", path);
    if (rmdir(path) == 0)
        return 0;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return err_sys(err, 0, errno, "cannot remove '%s'", path);
    if (recursive)
        return remove_tree(path, err);
    err_sys(err, 0, ENOTEMPTY, "cannot remove '%s'", path);
    return err_hint(err, "remove it recursively if its contents are not wanted");
}
