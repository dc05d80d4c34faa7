// SPDX-License-Identifier: Apache-2.0
// Trees of this machine as tar archives. Layer: net.
#include "net/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/beneath.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/names.h"

#define PIECE (64u << 10)
#define DEPTH_MAX 128
#define ENTRIES_MAX 4000000u

char *tree_name(const char *path)
{
    size_t size;
    const char *name = name_last(path, &size);
    return size ? strndup(name, size) : strdup("root");
}

char *tree_target(const char *path, const char *name)
{
    struct stat st;
    char *joined = NULL;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return strdup(path);
    return asprintf(&joined, "%s/%s", path, name) < 0 ? NULL : joined;
}

struct pack {
    tree_write_fn *write;
    void *payload;
    char *piece;
    unsigned depth;
};

static int put(struct pack *pack, const struct tar_entry *entry, struct sbx_error *err)
{
    cleanup_buf struct buf out = BUF_INIT(4 * TAR_PATH_MAX);
    tar_put(&out, entry);
    return out.failed ? err_nomem(err) : pack->write(pack->payload, out.data, out.size, err);
}

// The promised size, whatever happens to the file meanwhile.
static int put_contents(struct pack *pack, int fd, uint64_t size, struct sbx_error *err)
{
    static const char zeros[TAR_BLOCK];
    for (uint64_t left = size; left > 0;) {
        ssize_t got = read(fd, pack->piece, left < PIECE ? (size_t)left : PIECE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? err_sys(err, 0, errno, "cannot read a file")
                           : err_set(err, SBX_ERR_IO, "a file shrank while it was sent");
        int code = pack->write(pack->payload, pack->piece, (size_t)got, err);
        if (code < 0)
            return code;
        left -= (uint64_t)got;
    }
    size_t padding = tar_padding(size);
    return padding ? pack->write(pack->payload, zeros, padding, err) : 0;
}

static int pack_directory(struct pack *pack, int dir_fd, const char *path, struct sbx_error *err);

static int pack_entry(struct pack *pack, int dir_fd, const char *name, const char *path,
                      struct sbx_error *err)
{
    struct stat st;
    struct tar_entry entry = {0};
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_sys(err, 0, errno, "cannot read '%s'", path);
    entry.mode = st.st_mode & 07777;
    entry.modified_s = st.st_mtime;
    snprintf(entry.path, sizeof(entry.path), "%s", path);
    if (S_ISLNK(st.st_mode)) {
        ssize_t size = readlinkat(dir_fd, name, entry.link, sizeof(entry.link) - 1);
        entry.kind = SBX_FILE_SYMLINK;
        return size < 0 ? err_sys(err, 0, errno, "cannot read '%s'", path) : put(pack, &entry, err);
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return 0;
    int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    cleanup_fd int fd = openat(dir_fd, name, flags | (S_ISDIR(st.st_mode) ? O_DIRECTORY : 0));
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(err, 0, errno, "cannot read '%s'", path);
    entry.kind = S_ISDIR(st.st_mode) ? SBX_FILE_DIRECTORY : SBX_FILE_REGULAR;
    entry.size = entry.kind == SBX_FILE_REGULAR ? (uint64_t)st.st_size : 0;
    int code = put(pack, &entry, err);
    if (code < 0)
        return code;
    return entry.kind == SBX_FILE_DIRECTORY ? pack_directory(pack, steal_fd(&fd), path, err)
                                            : put_contents(pack, fd, entry.size, err);
}

// Takes the descriptor over.
static int pack_directory(struct pack *pack, int dir_fd, const char *path, struct sbx_error *err)
{
    cleanup_dir DIR *dir = dir_adopt(dir_fd);
    const struct dirent *item;
    int code = 0;
    if (!dir)
        return err_sys(err, 0, errno, "cannot read '%s'", path);
    if (++pack->depth > DEPTH_MAX)
        return err_set(err, SBX_ERR_INVALID, "'%s' is deeper than %d levels", path, DEPTH_MAX);
    while (code == 0 && (item = readdir(dir))) {
        cleanup_free char *below = NULL;
        if (name_is_dots(item->d_name))
            continue;
        if (asprintf(&below, "%s/%s", path, item->d_name) < 0)
            return err_nomem(err);
        code = strlen(below) < TAR_PATH_MAX
                   ? pack_entry(pack, dirfd(dir), item->d_name, below, err)
                   : err_set(err, SBX_ERR_INVALID, "the path '%.100s...' is too long", below);
    }
    pack->depth--;
    return code;
}

int tree_pack(const char *path, tree_write_fn *write, void *payload, struct sbx_error *err)
{
    cleanup_free char *piece = malloc(PIECE);
    cleanup_buf struct buf end = BUF_INIT(2 * TAR_BLOCK);
    struct pack pack = {.write = write, .payload = payload, .piece = piece};
    struct tar_entry root = {.path = ".", .kind = SBX_FILE_DIRECTORY};
    struct stat st;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int code = err_sys(err, 0, errno, "cannot read '%s'", path);
        cleanup_fd_fn(&fd);
        return code;
    }
    root.mode = st.st_mode & 07777;
    root.modified_s = st.st_mtime;
    int code = piece ? put(&pack, &root, err) : err_nomem(err);
    if (code < 0) {
        close(fd);
        return code;
    }
    code = pack_directory(&pack, fd, ".", err);
    tar_put_end(&end);
    return code < 0 ? code : end.failed ? err_nomem(err) : write(payload, end.data, end.size, err);
}

// Relative, without "." and ".." parts; "./" before and "/" behind are dropped. NULL: not fit.
static char *safe_path(const char *path)
{
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    if (strcmp(path, ".") == 0)
        path = "";
    size_t size = strlen(path);
    while (size > 0 && path[size - 1] == '/')
        size--;
    if (path[0] == '/')
        return NULL;
    for (size_t at = 0; at < size;) {
        size_t part = strcspn(path + at, "/");
        if (part > size - at)
            part = size - at;
        if (part == 0 || (part == 1 && path[at] == '.') ||
            (part == 2 && path[at] == '.' && path[at + 1] == '.'))
            return NULL;
        at += part + 1;
    }
    return strndup(path, size);
}

static int place_taken(const char *path, int sys_errno, struct sbx_error *err)
{
    if (sys_errno == ELOOP || sys_errno == ENOTDIR)
        return err_set(err, SBX_ERR_CONFLICT,
                       "cannot write '%s': its place is taken by a file or link", path);
    return err_sys(err, 0, sys_errno, "cannot write '%s'", path);
}

static int copy_in(int fd, const struct tar_source *source, uint64_t size, bool to_end,
                   const char *path, struct sbx_error *err)
{
    cleanup_free char *piece = malloc(PIECE);
    if (!piece)
        return err_nomem(err);
    while (size > 0) {
        size_t got = 0;
        int code =
            source->read(source->payload, piece, size < PIECE ? (size_t)size : PIECE, &got, err);
        if (code < 0)
            return code;
        if (got == 0)
            return to_end ? 0
                          : err_set(err, SBX_ERR_PROTOCOL, "the archive ends within '%s'", path);
        if (fd_write_full(fd, piece, got) < 0)
            return place_taken(path, errno, err);
        size -= got;
    }
    return 0;
}

// Under a temporary name first.
static int write_file(int dir_fd, const char *name, uint32_t mode, const struct tar_source *source,
                      uint64_t size, bool to_end, const char *path, struct sbx_error *err)
{
    char temporary[ID_SIZE + 8], id[ID_SIZE];
    if (id_new(id) < 0)
        return err_set(err, SBX_ERR_IO, "no random numbers for a name");
    snprintf(temporary, sizeof(temporary), ".%s.part", id);
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    cleanup_fd int fd = openat(dir_fd, temporary, flags, mode & 0777);
    if (fd < 0)
        return place_taken(path, errno, err);
    int code = copy_in(fd, source, size, to_end, path, err);
    if (code == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
        code = place_taken(path, errno, err);
    if (code < 0)
        unlinkat(dir_fd, temporary, 0);
    return code;
}

static int make_link(int dir_fd, const char *name, const struct tar_entry *entry,
                     struct sbx_error *err)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
        unlinkat(dir_fd, name, 0);
    return symlinkat(entry->link, dir_fd, name) < 0 ? place_taken(entry->path, errno, err) : 0;
}

static int unpack_entry(int root_fd, const struct tar_source *source, const struct tar_entry *entry,
                        struct sbx_error *err)
{
    cleanup_free char *path = safe_path(entry->path);
    if (!path)
        return err_set(err, SBX_ERR_PROTOCOL,
                       "the archive has a path that leads out of it: '%.100s'", entry->path);
    char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (slash)
        *slash = '\0';
    if (!path[0])
        return 0; // the root, which is there
    cleanup_fd int dir_fd = beneath_dir(root_fd, slash ? path : "");
    if (dir_fd < 0)
        return place_taken(entry->path, errno, err);
    if (entry->kind == SBX_FILE_SYMLINK)
        return make_link(dir_fd, name, entry, err);
    if (entry->kind == SBX_FILE_REGULAR)
        return write_file(dir_fd, name, entry->mode, source, entry->size, false, entry->path, err);
    if (entry->kind != SBX_FILE_DIRECTORY)
        return 0;
    // Always with the owner's rights, else what is below could not be written.
    if (mkdirat(dir_fd, name, (entry->mode & 0777) | 0700) < 0 && errno != EEXIST)
        return place_taken(entry->path, errno, err);
    return 0;
}

int tree_unpack(const char *path, const struct tar_source *source, struct sbx_error *err)
{
    cleanup_free struct tar_entry *entry = malloc(sizeof(*entry));
    if (!entry)
        return err_nomem(err);
    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return err_sys(err, 0, errno, "cannot make '%s'", path);
    cleanup_fd int root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return err_sys(err, 0, errno, "cannot open '%s'", path);
    for (unsigned count = 0; count < ENTRIES_MAX; count++) {
        bool more;
        int code = tar_get(source, entry, &more, err);
        if (code < 0 || !more)
            return code;
        code = unpack_entry(root_fd, source, entry, err);
        if (code == 0 && entry->kind != SBX_FILE_REGULAR)
            code = tar_skip(source, entry->size, err);
        if (code == 0)
            code = tar_skip(source, tar_padding(entry->size), err);
        if (code < 0)
            return code;
    }
    return err_set(err, SBX_ERR_PROTOCOL, "the archive has more than %u entries", ENTRIES_MAX);
}

int tree_save(const char *path, uint32_t mode, const struct tar_source *source,
              struct sbx_error *err)
{
    cleanup_free char *directory = strdup(path);
    if (!directory)
        return err_nomem(err);
    char *slash = strrchr(directory, '/');
    const char *name = slash ? path + (slash - directory) + 1 : path;
    if (slash)
        slash[slash == directory] = '\0';
    cleanup_fd int dir_fd = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return err_sys(err, 0, errno, "cannot write '%s'", path);
    return write_file(dir_fd, name, mode, source, UINT64_MAX, true, path, err);
}
