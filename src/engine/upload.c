// SPDX-License-Identifier: Apache-2.0
/*
 * A file or tree of this machine into a sandbox. The source is the user's own, but others may be
 * writing to it: below its root no link is followed, and nothing is opened that could block. Layer:
 * engine.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/names.h"
#include "engine/filelink.h"
#include "engine/files.h"

#define SMALL_FILE (32 * 1024) // goes with other frames rather than alone

// One directory that is being read, and how long the path to it is.
struct level {
    DIR *dir;
    size_t path_size;
};

struct upload {
    struct filelink link;
    const char *root; // as the user named it
    uint64_t count;
    size_t depth;
    struct level levels[FILES_DEPTH_MAX];
    size_t path_size;
    char path[FILES_PATH_MAX + 1]; // below the root
};

static void upload_free(struct upload **upload)
{
    if (!*upload)
        return;
    while ((*upload)->depth > 0)
        closedir((*upload)->levels[--(*upload)->depth].dir);
    filelink_close(&(*upload)->link);
    free(*upload);
}

static int failed(const struct upload *upload, int sys_errno, struct sbx_error *err)
{
    return err_sys(err, 0, sys_errno, "cannot read '%s%s%s'", upload->root,
                   upload->path_size ? "/" : "", upload->path);
}

static int put_entry(struct upload *upload, const struct stat *stat, uint32_t kind,
                     const char *link, struct sbx_error *err)
{
    cleanup_buf struct buf payload = BUF_INIT(4 * FILES_PATH_MAX);
    struct files_entry entry = {.path = upload->path,
                                .link = link,
                                .size = kind == SBX_FILE_REGULAR ? (uint64_t)stat->st_size : 0,
                                .modified_ms = (int64_t)stat->st_mtim.tv_sec * 1000 +
                                               stat->st_mtim.tv_nsec / 1000000,
                                .kind = kind,
                                .mode = stat->st_mode & 07777};
    files_entry_put(&payload, &entry);
    return filelink_put(&upload->link, FILES_ENTRY, &payload, err);
}

// The whole of a small file, in one frame beside others.
static int put_small(struct upload *upload, int fd, size_t size, struct sbx_error *err)
{
    char data[SMALL_FILE];
    cleanup_buf struct buf payload = BUF_INIT(SMALL_FILE);
    ssize_t got = fd_read_full(fd, data, size);
    if (got < 0)
        return failed(upload, errno, err);
    if ((size_t)got < size)
        return err_set(err, SBX_ERR_CONFLICT, "'%s%s%s' became shorter while it was copied",
                       upload->root, upload->path_size ? "/" : "", upload->path);
    buf_add(&payload, data, size);
    return filelink_put(&upload->link, FILES_DATA, &payload, err);
}

static int put_file(struct upload *upload, int fd, const struct stat *stat, struct sbx_error *err)
{
    int code = put_entry(upload, stat, SBX_FILE_REGULAR, "", err);
    if (code < 0 || stat->st_size == 0)
        return code;
    if (stat->st_size <= SMALL_FILE)
        return put_small(upload, fd, (size_t)stat->st_size, err);
    code = filelink_send_file(&upload->link, fd, (uint64_t)stat->st_size, err);
    if (code == SBX_ERR_CONFLICT)
        err_wrap(err, "'%s%s%s'", upload->root, upload->path_size ? "/" : "", upload->path);
    return code;
}

static int put_link(struct upload *upload, int dir_fd, const char *name, const struct stat *stat,
                    struct sbx_error *err)
{
    char target[FILES_PATH_MAX + 1];
    ssize_t size = readlinkat(dir_fd, name, target, sizeof(target));
    if (size < 0)
        return errno == ENOENT || errno == EINVAL ? 0 : failed(upload, errno, err);
    if ((size_t)size >= sizeof(target))
        return failed(upload, ENAMETOOLONG, err);
    target[size] = '\0';
    return put_entry(upload, stat, SBX_FILE_SYMLINK, target, err);
}

static int enter(struct upload *upload, int fd, const struct stat *stat, struct sbx_error *err)
{
    int code = put_entry(upload, stat, SBX_FILE_DIRECTORY, "", err);
    if (code == 0 && upload->depth == FILES_DEPTH_MAX)
        code = err_set(err, SBX_ERR_INVALID, "'%s' is deeper than %d levels", upload->root,
                       FILES_DEPTH_MAX);
    DIR *dir = code < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        code = code < 0 ? code : failed(upload, errno, err);
        close(fd);
        return code;
    }
    upload->levels[upload->depth++] = (struct level){dir, upload->path_size};
    return 0;
}

// An open file or directory. Takes fd over. Others are skipped.
static int put_opened(struct upload *upload, int fd, struct sbx_error *err)
{
    cleanup_fd int owned = fd;
    struct stat stat;
    if (fstat(fd, &stat) < 0)
        return failed(upload, errno, err);
    if (S_ISDIR(stat.st_mode))
        return enter(upload, steal_fd(&owned), &stat, err);
    return S_ISREG(stat.st_mode) ? put_file(upload, fd, &stat, err) : 0;
}

// O_NONBLOCK: a fifo without a writer must not hold us up.
static int put_name(struct upload *upload, int dir_fd, const char *name, struct sbx_error *err)
{
    struct stat stat;
    if (fstatat(dir_fd, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : failed(upload, errno, err);
    if (S_ISLNK(stat.st_mode))
        return put_link(upload, dir_fd, name, &stat, err);
    if (!S_ISDIR(stat.st_mode) && !S_ISREG(stat.st_mode))
        return 0;
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ELOOP ? 0 : failed(upload, errno, err);
    return put_opened(upload, fd, err);
}

// Puts "/name" behind the path of the directory that is being read.
static int set_path(struct upload *upload, const char *name, struct sbx_error *err)
{
    size_t base = upload->levels[upload->depth - 1].path_size, length = strlen(name);
    if (base + 1 + length > FILES_PATH_MAX || ++upload->count > FILES_ENTRIES_MAX)
        return err_set(err, SBX_ERR_INVALID, "'%s' has too many entries, or paths over %d bytes",
                       upload->root, FILES_PATH_MAX);
    if (base > 0)
        upload->path[base++] = '/';
    memcpy(upload->path + base, name, length + 1);
    upload->path_size = base + length;
    return 0;
}

static int walk(struct upload *upload, struct sbx_error *err)
{
    while (upload->depth > 0) {
        DIR *dir = upload->levels[upload->depth - 1].dir;
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry && errno)
            return failed(upload, errno, err);
        if (!entry) {
            closedir(dir);
            upload->depth--;
            continue;
        }
        if (name_is_dots(entry->d_name))
            continue;
        int code = set_path(upload, entry->d_name, err);
        if (code == 0)
            code = put_name(upload, dirfd(dir), entry->d_name, err);
        if (code < 0)
            return code;
    }
    return 0;
}

// The name that the source has inside an existing directory: the last of its path, or its real one
// for
// "." and the like.
static int source_name(const char *path, char name[NAME_MAX + 1], struct sbx_error *err)
{
    char real[PATH_MAX];
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    const char *last = path + end;
    while (last > path && last[-1] != '/')
        last--;
    size_t length = (size_t)(path + end - last);
    if (length == 0 || path[end - 1] == '/' || (length <= 2 && strspn(last, ".") >= length)) {
        if (!realpath(path, real))
            return err_sys(err, 0, errno, "cannot read '%s'", path);
        last = strrchr(real, '/') + 1;
        length = strlen(last);
    }
    if (length == 0 || length > NAME_MAX)
        return err_set(err, SBX_ERR_INVALID, "'%s' has no name that it could have elsewhere", path);
    memcpy(name, last, length);
    name[length] = '\0';
    return 0;
}

static int begin(struct upload *upload, struct box *box, const char *path,
                 const struct sbx_file_options *options, struct deadline deadline,
                 struct sbx_error *err)
{
    char name[NAME_MAX + 1];
    cleanup_buf struct buf request = BUF_INIT(4 * FILES_PATH_MAX);
    int code = source_name(upload->root, name, err);
    if (code < 0)
        return code;
    wire_put_text(&request, path);
    wire_put_text(&request, name);
    code = filelink_open(box, options->user, deadline, &upload->link, err);
    return code < 0 ? code : filelink_put(&upload->link, FILES_PUT_TREE, &request, err);
}

static int open_root(const char *path, int *ret_fd, struct sbx_error *err)
{
    struct stat stat;
    cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) < 0)
        return err_sys(err, 0, errno, "cannot read '%s'", path);
    if (!S_ISREG(stat.st_mode) && !S_ISDIR(stat.st_mode))
        return err_set(err, SBX_ERR_INVALID, "'%s' is neither a file nor a directory", path);
    *ret_fd = steal_fd(&fd);
    return 0;
}

int files_upload(struct box *box, const char *local_path, const char *path,
                 const struct sbx_file_options *options, struct deadline deadline,
                 struct sbx_error *err)
{
    cleanup_fd int fd = -1;
    int code = open_root(local_path, &fd, err);
    if (code < 0)
        return code;
    cleanup(upload_free) struct upload *upload = calloc(1, sizeof(*upload));
    if (!upload)
        return err_nomem(err);
    upload->link = (struct filelink)FILELINK_NONE;
    upload->root = local_path;
    code = begin(upload, box, path, options, deadline, err);
    if (code == 0)
        code = put_opened(upload, steal_fd(&fd), err);
    if (code == 0)
        code = walk(upload, err);
    if (code == 0)
        code = filelink_put(&upload->link, FILES_END, NULL, err);
    if (code == 0)
        code = filelink_flush(&upload->link, err);
    return code < 0 ? code : filelink_done(&upload->link, err);
}
