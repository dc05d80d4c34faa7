// SPDX-License-Identifier: Apache-2.0
// GET_TREE: a file or a whole directory goes out. Layer: agent.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/files.h"
#include "agent/walk.h"
#include "base/cleanup.h"

struct sender {
    struct files *files;
    struct walk walk;
    uint64_t count;
};

static void close_sender(struct sender *sender)
{
    walk_close(&sender->walk);
}

// Size and times are those of the open file: the name may mean another one by now.
static int send_file(struct files *files, int fd, const struct stat *stat, const char *path,
                     struct sbx_error *err)
{
    struct files_entry entry = files_entry_of(AT_FDCWD, path, stat, NULL);
    files_put_entry(files, &entry);
    return files_send_file(files, fd, entry.size, true, path, err);
}

static int send_regular(struct sender *sender, int dir_fd, const char *name, struct sbx_error *err)
{
    struct stat stat;
    cleanup_fd int fd = files_open_read(dir_fd, name, O_NOFOLLOW, &stat, err);
    bool replaced = err->sys_errno == ENOENT || err->sys_errno == ELOOP || fd == SBX_ERR_INVALID;
    if (fd < 0 && replaced)
        return 0;
    if (fd < 0)
        return err_wrap(err, "'%.200s'", walk_path(&sender->walk));
    return send_file(sender->files, fd, &stat, walk_path(&sender->walk), err);
}

static int send_entry(struct sender *sender, int dir_fd, const char *name, struct sbx_error *err)
{
    struct stat stat;
    char link[FILES_PATH_MAX + 1];
    const char *path = walk_path(&sender->walk);
    if (strlen(path) > FILES_PATH_MAX)
        return err_set(err, SBX_ERR_QUOTA, "a path in the tree is longer than %d bytes",
                       FILES_PATH_MAX);
    if (++sender->count > FILES_ENTRIES_MAX)
        return err_set(err, SBX_ERR_QUOTA, "the tree has more than %d entries", FILES_ENTRIES_MAX);
    if (fstatat(dir_fd, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_sys(err, 0, errno, "cannot look at '%.200s'", path);
    if (S_ISREG(stat.st_mode))
        return send_regular(sender, dir_fd, name, err);
    if (!S_ISDIR(stat.st_mode) && !S_ISLNK(stat.st_mode))
        return 0;
    struct files_entry entry = files_entry_of(dir_fd, name, &stat, link);
    entry.path = path;
    files_put_entry(sender->files, &entry);
    if (!S_ISDIR(stat.st_mode))
        return 0;
    int code = walk_enter(&sender->walk, err);
    return code < 0 ? err_wrap(err, "'%.200s'", walk_path(&sender->walk)) : 0;
}

static int send_directory(struct files *files, int dir_fd, struct sbx_error *err)
{
    cleanup(close_sender) struct sender sender = {.files = files};
    // The root itself is a level, and all may stay open: positions in directories need not be kept.
    int code = walk_open(&sender.walk, dir_fd, FILES_DEPTH_MAX, FILES_DEPTH_MAX, err);
    while (code >= 0) {
        const char *name;
        unsigned char type;
        int at;
        int event = walk_next(&sender.walk, &at, &name, &type, err);
        if (event == WALK_END)
            return 0;
        code = event == WALK_ENTRY ? send_entry(&sender, at, name, err) : event;
    }
    return code;
}

int files_get_tree(struct files *files, struct wire_reader *in, struct sbx_error *err)
{
    struct stat stat;
    const char *path = wire_text(in);
    if (!wire_end(in))
        return files_malformed(err);
    cleanup_fd int fd = open(path[0] ? path : ".", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) < 0)
        return err_sys(err, 0, errno, "cannot open '%s'", path);
    if (S_ISREG(stat.st_mode))
        return send_file(files, fd, &stat, "", err);
    if (!S_ISDIR(stat.st_mode))
        return err_set(err, SBX_ERR_INVALID, "'%s' is neither a file nor a directory", path);
    struct files_entry entry = files_entry_of(AT_FDCWD, "", &stat, NULL);
    files_put_entry(files, &entry);
    int code = send_directory(files, steal_fd(&fd), err);
    return code < 0 ? err_wrap(err, "cannot copy '%s'", path) : 0;
}
