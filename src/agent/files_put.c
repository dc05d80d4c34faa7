// SPDX-License-Identifier: Apache-2.0
/*
 * PUT_TREE: a file or a whole directory comes in. Below the target no link is followed, so that
 * what lies there already can't lead it elsewhere. Layer: agent.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/files.h"
#include "base/cleanup.h"

#define MODES_MAX (8 * 1024 * 1024) // bytes of modes that are set at the end
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

struct receiver {
    struct files *files;
    int root_fd;       // owned; directory that the target's name is in
    const char *name;  // the target's name in it
    int parent_fd;     // owned; directory of the last entry; -1: none
    struct buf parent; // its path below root_fd, with NUL
    struct buf
        modes; // u32 mode and path, with NUL, of directories that need more rights until the end
    struct buf path; // of the current entry below root_fd
    char part[32];   // name of a file that is not whole yet
    uint64_t count;
};

static void close_receiver(struct receiver *receiver)
{
    cleanup_fd_fn(&receiver->root_fd);
    cleanup_fd_fn(&receiver->parent_fd);
    buf_deinit(&receiver->parent);
    buf_deinit(&receiver->modes);
    buf_deinit(&receiver->path);
}

// Opens the directory of the first `size` bytes of path, component by component.
static int open_beneath(int root_fd, const char *path, size_t size)
{
    char name[256];
    cleanup_fd int fd = openat(root_fd, ".", DIR_FLAGS);
    for (size_t at = 0; fd >= 0 && at < size;) {
        size_t length = strcspn(path + at, "/");
        if (length > size - at)
            length = size - at;
        if (length >= sizeof(name)) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(name, path + at, length);
        name[length] = '\0';
        int next = openat(fd, name, DIR_FLAGS);
        close(fd);
        fd = next;
        at += length + 1;
    }
    return steal_fd(&fd);
}

// The directory that the current entry belongs into; neighbours share it. ret_name is its name
// there.
static int enter_parent(struct receiver *receiver, const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) : 0;
    *ret_name = slash ? slash + 1 : path;
    bool same = receiver->parent_fd >= 0 && receiver->parent.size == size &&
                memcmp(receiver->parent.data ? receiver->parent.data : "", path, size) == 0;
    if (same)
        return 0;
    cleanup_fd_fn(&receiver->parent_fd);
    receiver->parent_fd = open_beneath(receiver->root_fd, path, size);
    receiver->parent.size = 0;
    buf_add(&receiver->parent, path, size);
    return receiver->parent_fd < 0 || receiver->parent.failed ? -1 : 0;
}

static void defer_mode(struct receiver *receiver, const char *path, uint32_t mode)
{
    wire_put_u32(&receiver->modes, mode);
    wire_put_text(&receiver->modes, path);
}

static int put_directory(struct receiver *receiver, const char *path, const char *name,
                         const struct files_entry *entry)
{
    struct stat stat;
    uint32_t mode = entry->mode & 01777;
    if (mkdirat(receiver->parent_fd, name, mode | 0700) == 0) {
        if ((mode & 0700) != 0700)
            defer_mode(receiver, path, mode);
        return 0;
    }
    if (errno != EEXIST)
        return -1;
    if (fstatat(receiver->parent_fd, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    errno = ENOTDIR;
    return S_ISDIR(stat.st_mode) ? 0 : -1; // an existing directory receives the contents
}

static int put_link(struct receiver *receiver, const char *name, const struct files_entry *entry)
{
    int result = symlinkat(entry->link, receiver->parent_fd, name);
    if (result < 0 && errno == EEXIST && unlinkat(receiver->parent_fd, name, 0) == 0)
        result = symlinkat(entry->link, receiver->parent_fd, name);
    return result;
}

static void set_time(int fd, int64_t modified_ms)
{
    struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = (time_t)(modified_ms / 1000), .tv_nsec = (long)(modified_ms % 1000) * 1000000}};
    if (modified_ms > 0)
        futimens(fd, times);
}

// Under a name of this worker's own first: a file appears whole or not at all.
static int open_part(struct receiver *receiver, uint32_t mode)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int dir_fd = receiver->parent_fd;
    int fd = openat(dir_fd, receiver->part, flags, mode & 0777);
    if (fd < 0 && errno == EEXIST && unlinkat(dir_fd, receiver->part, 0) == 0)
        fd = openat(dir_fd, receiver->part, flags, mode & 0777);
    if (fd >= 0) {
        receiver->files->part_fd = dir_fd;
        receiver->files->part = receiver->part;
    }
    return fd;
}

// What is there is replaced, never written through: it may be a link or a fifo.
static int finish_part(struct receiver *receiver, const char *name, const char *path,
                       struct sbx_error *err)
{
    if (renameat(receiver->parent_fd, receiver->part, receiver->parent_fd, name) < 0)
        return err_sys(err, 0, errno, "cannot make '%s'", path);
    receiver->files->part = NULL;
    return 0;
}

static int put_file(struct receiver *receiver, const char *path, const char *name,
                    const struct files_entry *entry, struct sbx_error *err)
{
    cleanup_fd int fd = open_part(receiver, entry->mode);
    int64_t modified_ms = entry->modified_ms; // the entry's memory is reused by what follows
    if (fd < 0) {
        int sys_errno = errno;
        files_skip(receiver->files, entry->size);
        return err_sys(err, 0, sys_errno, "cannot make '%s'", path);
    }
    int code = files_receive(receiver->files, fd, entry->size, path, err);
    if (code == 0) {
        set_time(fd, modified_ms);
        code = finish_part(receiver, name, path, err);
    }
    files_drop_part(receiver->files);
    return code;
}

static const char *full_path(struct receiver *receiver, const char *relative)
{
    receiver->path.size = 0;
    buf_puts(&receiver->path, receiver->name);
    if (relative[0]) {
        buf_puts(&receiver->path, "/");
        buf_puts(&receiver->path, relative);
    }
    return buf_text(&receiver->path);
}

static int skip_entry(struct receiver *receiver, const struct files_entry *entry, int code)
{
    if (entry->kind == SBX_FILE_REGULAR)
        files_skip(receiver->files, entry->size);
    return code;
}

static int put_entry(struct receiver *receiver, const struct files_entry *entry,
                     struct sbx_error *err)
{
    const char *name;
    const char *path = full_path(receiver, entry->path);
    if (!path)
        return skip_entry(receiver, entry, err_nomem(err));
    if (!files_path_safe(entry->path) || ++receiver->count > FILES_ENTRIES_MAX)
        return skip_entry(receiver, entry,
                          err_set(err, SBX_ERR_INVALID, "a path of the tree is refused"));
    if (enter_parent(receiver, path, &name) < 0)
        return skip_entry(receiver, entry,
                          err_sys(err, 0, errno, "cannot enter the parent of '%s'", path));
    int result = 0;
    if (entry->kind == SBX_FILE_REGULAR)
        return put_file(receiver, path, name, entry, err);
    if (entry->kind == SBX_FILE_DIRECTORY)
        result = put_directory(receiver, path, name, entry);
    else if (entry->kind == SBX_FILE_SYMLINK)
        result = put_link(receiver, name, entry);
    return result < 0 ? err_sys(err, 0, errno, "cannot make '%s'", path) : 0;
}

// Everything is read to the END, so that the next request is understood; only the first failure
// counts.
static int receive_tree(struct receiver *receiver, int code, struct sbx_error *err)
{
    for (;;) {
        if (code < 0)
            files_refuse(receiver->files, err);
        struct files_frame frame = files_next(receiver->files);
        struct files_entry entry;
        if (frame.type == FILES_END)
            return code;
        if (frame.type != FILES_ENTRY || files_entry_get(frame.payload, frame.size, &entry) < 0)
            files_quit(receiver->files);
        if (code < 0)
            skip_entry(receiver, &entry, 0);
        else
            code = put_entry(receiver, &entry, err);
    }
}

static int set_modes(struct receiver *receiver, struct sbx_error *err)
{
    struct wire_reader in = wire_reader(receiver->modes.data, receiver->modes.size);
    if (receiver->modes.failed)
        return err_set(err, SBX_ERR_QUOTA, "too many directories have unusual modes");
    while (in.left > 0 && !in.failed) {
        uint32_t mode = wire_u32(&in);
        const char *path = wire_text(&in);
        cleanup_fd int fd = open_beneath(receiver->root_fd, path, strlen(path));
        if (fd < 0 || fchmod(fd, mode) < 0)
            return err_sys(err, 0, errno, "cannot set the mode of '%s'", path);
    }
    return 0;
}

/*
 * Splits the target into a directory, which is opened, and a name in it: path/name where path is a
 * directory, else path itself.
 */
static int open_target(struct receiver *receiver, char *path, const char *name,
                       struct sbx_error *err)
{
    struct stat found;
    if (stat(path[0] ? path : ".", &found) == 0 && S_ISDIR(found.st_mode)) {
        receiver->name = name;
        receiver->root_fd = open(path[0] ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } else {
        size_t end = strlen(path);
        while (end > 1 && path[end - 1] == '/')
            path[--end] = '\0';
        files_make_parents(path);
        char *slash = strrchr(path, '/');
        receiver->name = slash ? slash + 1 : path;
        if (slash)
            *slash = '\0';
        const char *parent = !slash ? "." : slash == path ? "/" : path;
        receiver->root_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (receiver->root_fd < 0)
        return err_sys(err, 0, errno, "cannot open the directory of '%s'", path);
    if (!receiver->name[0] || strchr(receiver->name, '/') || !files_path_safe(receiver->name))
        return err_set(err, SBX_ERR_INVALID, "'%s' is no name for the target", receiver->name);
    return 0;
}

int files_put_tree(struct files *files, struct wire_reader *in, struct sbx_error *err)
{
    cleanup(close_receiver) struct receiver receiver = {
        .files = files,
        .root_fd = -1,
        .parent_fd = -1,
        .parent = BUF_INIT(2 * FILES_PATH_MAX),
        .modes = BUF_INIT(MODES_MAX),
        .path = BUF_INIT(2 * FILES_PATH_MAX),
    };
    const char *path = wire_text(in);
    const char *name = wire_text(in);
    snprintf(receiver.part, sizeof(receiver.part), ".sandboxes-%d.part", getpid());
    if (!wire_end(in))
        return files_malformed(err);
    cleanup_free char *target = strdup(path);
    int code = target ? open_target(&receiver, target, name, err) : err_nomem(err);
    code = receive_tree(&receiver, code, err);
    return code < 0 ? code : set_modes(&receiver, err);
}
