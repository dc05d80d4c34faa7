// SPDX-License-Identifier: Apache-2.0
/*
 * A file or tree out of a sandbox, which is hostile: whatever it sends, nothing is written outside
 * the target, no link is followed below it (neither one that was there nor one that was just sent),
 * and memory is bounded. A file appears whole or not at all. Layer: engine.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/beneath.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/names.h"
#include "engine/filelink.h"
#include "engine/files.h"

#define CLOSED_DIRS_MAX                                                                            \
    65536 // directories without all rights of their owner; others beyond that keep them

// A directory that gets its mode at the end: it would not let us in.
struct closed_dir {
    char *path; // owned
    mode_t mode;
};

struct download {
    struct filelink link;
    const char *source;
    int base_fd; // owned: directory that holds the root, or the root itself when root_name is ""
    char root_name[NAME_MAX + 1];
    int root_fd;   // owned: once the root has come and is a directory
    int parent_fd; // owned: directory of the last entry
    char parent[FILES_PATH_MAX + 1];
    uint64_t count, bytes, limit;
    char temporary[32];
    struct closed_dir *closed;
    size_t closed_count, closed_capacity;
};

static void download_free(struct download **download)
{
    struct download *d = *download;
    if (!d)
        return;
    filelink_close(&d->link);
    cleanup_fd_fn(&d->base_fd);
    cleanup_fd_fn(&d->root_fd);
    cleanup_fd_fn(&d->parent_fd);
    for (size_t i = 0; i < d->closed_count; i++)
        free(d->closed[i].path);
    free(d->closed);
    free(d);
}

static int refuse(const char *what, struct sbx_error *err)
{
    return err_set(err, SBX_ERR_PROTOCOL, "the sandbox sent a tree that makes no sense: %s", what);
}

static int failed(const char *path, int sys_errno, struct sbx_error *err)
{
    if (sys_errno == ELOOP || sys_errno == ENOTDIR) // a link or file is where a directory should be
        return err_set(err, SBX_ERR_CONFLICT,
                       "cannot write '%s': its place is taken by a file or link", path);
    return err_sys(err, 0, sys_errno, "cannot write '%s'", path);
}

// The directory that an entry is in; kept, since neighbours mostly follow each other.
static int enter_parent(struct download *d, const char *path, const char **ret_name,
                        struct sbx_error *err)
{
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) : 0;
    *ret_name = slash ? slash + 1 : path;
    if (d->parent_fd >= 0 && strlen(d->parent) == size && memcmp(d->parent, path, size) == 0)
        return 0;
    cleanup_fd_fn(&d->parent_fd);
    memcpy(d->parent, path, size);
    d->parent[size] = '\0';
    d->parent_fd = beneath_dir(d->root_fd, d->parent);
    return d->parent_fd < 0 ? failed(path, errno, err) : 0;
}

static int copy_data(struct download *d, int fd, uint64_t size, const char *path,
                     struct sbx_error *err)
{
    while (size > 0) {
        struct frame frame;
        int code = filelink_next(&d->link, &frame, err);
        if (code == 0 && (frame.type != FILES_DATA || frame.size > size))
            code = refuse("other bytes than a file's", err);
        while (code == 0 && d->link.left > 0) {
            const char *data;
            size_t got;
            code = filelink_take(&d->link, &data, &got, err);
            if (code == 0 && fd_write_full(fd, data, got) < 0)
                code = failed(path, errno, err);
            size -= code == 0 ? got : 0;
        }
        if (code < 0)
            return code;
    }
    return 0;
}

// Under a temporary name first. Set-user-id bits are for nobody here; the kernel applies our umask.
static int write_file(struct download *d, int dir_fd, const char *name,
                      const struct files_entry *entry, const char *path, struct sbx_error *err)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    cleanup_fd int fd = openat(dir_fd, d->temporary, flags, entry->mode & 0777);
    if (fd < 0)
        return failed(path, errno, err);
    int code = copy_data(d, fd, entry->size, path, err);
    if (code == 0 && renameat(dir_fd, d->temporary, dir_fd, name) < 0)
        code = failed(path, errno, err);
    if (code < 0)
        unlinkat(dir_fd, d->temporary, 0);
    return code;
}

static int write_link(struct download *d, int dir_fd, const char *name,
                      const struct files_entry *entry, const char *path, struct sbx_error *err)
{
    if (!entry->link[0])
        return refuse("a link to nothing", err);
    if (symlinkat(entry->link, dir_fd, d->temporary) < 0)
        return failed(path, errno, err);
    if (renameat(dir_fd, d->temporary, dir_fd, name) == 0)
        return 0;
    int code = failed(path, errno, err);
    unlinkat(dir_fd, d->temporary, 0);
    return code;
}

static int keep_closed(struct download *d, const char *path, mode_t mode, struct sbx_error *err)
{
    if (d->closed_count == CLOSED_DIRS_MAX)
        return 0;
    if (d->closed_count == d->closed_capacity) {
        size_t capacity = d->closed_capacity ? d->closed_capacity * 2 : 16;
        void *closed = realloc(d->closed, capacity * sizeof(*d->closed));
        if (!closed)
            return err_nomem(err);
        d->closed = closed;
        d->closed_capacity = capacity;
    }
    char *copy = strdup(path);
    if (!copy)
        return err_nomem(err);
    d->closed[d->closed_count++] = (struct closed_dir){copy, mode};
    return 0;
}

// One that is there already is joined, its mode left alone. Nothing but a real directory will do.
static int make_dir(struct download *d, int dir_fd, const char *name,
                    const struct files_entry *entry, const char *path, struct sbx_error *err)
{
    struct stat found;
    if (mkdirat(dir_fd, name, (entry->mode | 0700) & 0777) == 0)
        return (entry->mode & 0700) == 0700 ? 0 : keep_closed(d, path, entry->mode, err);
    if (errno != EEXIST)
        return failed(path, errno, err);
    if (fstatat(dir_fd, name, &found, AT_SYMLINK_NOFOLLOW) < 0)
        return failed(path, errno, err);
    return S_ISDIR(found.st_mode) ? 0 : failed(path, ENOTDIR, err);
}

static int write_entry(struct download *d, int dir_fd, const char *name,
                       const struct files_entry *entry, const char *path, struct sbx_error *err)
{
    if (entry->kind == SBX_FILE_REGULAR)
        return write_file(d, dir_fd, name, entry, path, err);
    if (entry->kind == SBX_FILE_SYMLINK)
        return write_link(d, dir_fd, name, entry, path, err);
    return make_dir(d, dir_fd, name, entry, path, err);
}

static int open_root_dir(struct download *d, struct sbx_error *err)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    d->root_fd = openat(d->base_fd, d->root_name[0] ? d->root_name : ".", flags);
    return d->root_fd < 0 ? failed(d->root_name, errno, err) : 0;
}

// The first entry: the root, and nothing follows unless it is a directory.
static int take_root(struct download *d, const struct files_entry *entry, struct sbx_error *err)
{
    if (entry->path[0])
        return refuse("it has no root", err);
    if (!d->root_name[0] && entry->kind != SBX_FILE_DIRECTORY)
        return refuse("a directory became a file", err);
    int code =
        d->root_name[0] ? write_entry(d, d->base_fd, d->root_name, entry, d->root_name, err) : 0;
    if (code < 0 || entry->kind != SBX_FILE_DIRECTORY)
        return code;
    // The root's own mode is set at the end by the path "".
    if (d->closed_count > 0)
        d->closed[0].path[0] = '\0';
    return open_root_dir(d, err);
}

static int check_entry(struct download *d, const struct files_entry *entry, struct sbx_error *err)
{
    if (entry->kind == SBX_FILE_OTHER)
        return refuse("a device, socket or fifo", err);
    if (!files_path_safe(entry->path))
        return refuse("a path that leads out of it", err);
    if (++d->count > FILES_ENTRIES_MAX)
        return err_set(err, SBX_ERR_QUOTA, "'%s' has more than %d entries", d->source,
                       FILES_ENTRIES_MAX);
    if (entry->kind == SBX_FILE_REGULAR && entry->size > d->limit - d->bytes) {
        err_set(err, SBX_ERR_QUOTA, "'%s' is larger than the limit of %llu bytes", d->source,
                (unsigned long long)d->limit);
        return err_hint(err, "raise the limit"), SBX_ERR_QUOTA;
    }
    d->bytes += entry->kind == SBX_FILE_REGULAR ? entry->size : 0;
    return 0;
}

// Texts of an entry live in the link's buffer, which the bytes of a file overwrite.
struct kept_entry {
    struct files_entry entry;
    char path[FILES_PATH_MAX + 1], link[FILES_PATH_MAX + 1];
};

static void keep_entry(struct kept_entry *kept, const struct files_entry *entry)
{
    kept->entry = *entry;
    snprintf(kept->path, sizeof(kept->path), "%s", entry->path);
    snprintf(kept->link, sizeof(kept->link), "%s", entry->link);
    kept->entry.path = kept->path;
    kept->entry.link = kept->link;
}

static int take_entry(struct download *d, const struct frame *frame, struct sbx_error *err)
{
    struct files_entry raw;
    struct kept_entry kept;
    const char *name;
    if (frame->type != FILES_ENTRY || files_entry_get(frame->payload, frame->size, &raw) < 0)
        return refuse("no entry", err);
    keep_entry(&kept, &raw);
    int code = check_entry(d, &kept.entry, err);
    if (code < 0)
        return code;
    if (d->count == 1)
        return take_root(d, &kept.entry, err);
    if (d->root_fd < 0 || !kept.path[0])
        return refuse("a second root", err);
    code = enter_parent(d, kept.path, &name, err);
    return code < 0 ? code : write_entry(d, d->parent_fd, name, &kept.entry, kept.path, err);
}

static int take_tree(struct download *d, struct sbx_error *err)
{
    for (;;) {
        struct frame frame;
        int code = filelink_next(&d->link, &frame, err);
        if (code < 0)
            return code;
        if (frame.type == FILES_DONE)
            return d->count > 0 ? 0 : refuse("it is empty", err);
        code = take_entry(d, &frame, err);
        if (code < 0)
            return code;
    }
}

// Children first: their parents will not let us through any more. What the umask took away stays
// away.
static int close_dirs(struct download *d, struct sbx_error *err)
{
    for (size_t i = d->closed_count; i-- > 0;) {
        struct stat now;
        cleanup_fd int fd = beneath_dir(d->root_fd, d->closed[i].path);
        if (fd < 0 || fstat(fd, &now) < 0 ||
            fchmod(fd, now.st_mode & 0777 & ~(0700 & ~d->closed[i].mode)) < 0)
            return failed(d->closed[i].path, errno, err);
    }
    return 0;
}

// The last name of a path inside; "" where it has none that could be used ("/", ".", "..").
static void name_of(const char *path, char name[NAME_MAX + 1])
{
    size_t size;
    const char *last = name_last(path, &size);
    snprintf(name, NAME_MAX + 1, "%.*s", (int)size, last);
    if (size > NAME_MAX || !files_path_safe(name))
        name[0] = '\0';
}

// Where the root goes: into an existing directory under its own name, else it gets the path's last
// name.
static int open_target(struct download *d, const char *path, struct sbx_error *err)
{
    char parent[PATH_MAX];
    d->base_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->base_fd >= 0) {
        name_of(d->source, d->root_name);
        return 0;
    }
    name_of(path, d->root_name);
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] == '/')
        length--;
    length -= length >= strlen(d->root_name) ? strlen(d->root_name) : 0;
    if (!d->root_name[0] ||
        (size_t)snprintf(parent, sizeof(parent), "%.*s", (int)length, path) >= sizeof(parent))
        return err_set(err, SBX_ERR_INVALID, "cannot write '%s'", path);
    d->base_fd = open(parent[0] ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return d->base_fd < 0 ? err_sys(err, 0, errno, "cannot write '%s'", path) : 0;
}

static int begin(struct download *d, struct box *box, const struct sbx_file_options *options,
                 struct deadline deadline, struct sbx_error *err)
{
    uint32_t random;
    cleanup_buf struct buf request = BUF_INIT(4 * FILES_PATH_MAX);
    if (id_random(&random, sizeof(random)) < 0)
        return err_sys(err, 0, errno, "cannot get random bytes");
    snprintf(d->temporary, sizeof(d->temporary), ".sandboxes-%08x", random);
    wire_put_text(&request, d->source);
    int code = filelink_open(box, options->user, deadline, &d->link, err);
    if (code == 0)
        code = filelink_put(&d->link, FILES_GET_TREE, &request, err);
    return code < 0 ? code : filelink_flush(&d->link, err);
}

int files_download(struct box *box, const char *path, const char *local_path,
                   const struct sbx_file_options *options, struct deadline deadline,
                   struct sbx_error *err)
{
    cleanup(download_free) struct download *d = calloc(1, sizeof(*d));
    if (!d)
        return err_nomem(err);
    d->link = (struct filelink)FILELINK_NONE;
    d->source = path;
    d->limit = options->limit ? options->limit : UINT64_MAX;
    d->base_fd = d->root_fd = d->parent_fd = -1;
    int code = open_target(d, local_path, err);
    if (code == 0)
        code = begin(d, box, options, deadline, err);
    if (code == 0)
        code = take_tree(d, err);
    return code < 0 ? code : close_dirs(d, err);
}
