// SPDX-License-Identifier: Apache-2.0
/*
 * An image of one layer out of a directory. The layer is the tar archive that the directory makes,
 * names in order, so that the same contents are the same layer. It is made twice: for its digest,
 * then for the store. Layer: registry.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/dir.h"
#include "net/tar.h"
#include "registry/puller.h"

#define PIECE (256u << 10)
#define DEPTH_MAX 200
#define SIZE_UNKNOWN (UINT64_C(1) << 40)

struct archive {
    struct sink *sink;
    char *piece;
    struct sbx_error *err;
};

static int flush(struct archive *archive, struct buf *out)
{
    if (out->failed)
        return err_nomem(archive->err);
    int rc = sink_write(archive->sink, out->data, out->size, archive->err);
    out->size = 0;
    return rc;
}

static int put_entry(struct archive *archive, const struct tar_entry *entry)
{
    cleanup_buf struct buf out = BUF_INIT(64 * 1024);
    tar_put(&out, entry);
    return flush(archive, &out);
}

static int put_data(struct archive *archive, int fd, uint64_t size, const char *path)
{
    static const char zeros[TAR_BLOCK];
    for (uint64_t left = size; left > 0;) {
        ssize_t got = read(fd, archive->piece, left < PIECE ? (size_t)left : PIECE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_set(archive->err, SBX_ERR_CONFLICT, "'%s' changed while it was read", path);
        int rc = sink_write(archive->sink, archive->piece, (size_t)got, archive->err);
        if (rc < 0)
            return rc;
        left -= (uint64_t)got;
    }
    return sink_write(archive->sink, zeros, tar_padding(size), archive->err);
}

static int put_file(struct archive *archive, int dir_fd, const char *name, struct tar_entry *entry)
{
    struct stat info;
    cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) < 0)
        return err_sys(archive->err, 0, errno, "cannot read '%s'", entry->path);
    entry->kind = SBX_FILE_REGULAR;
    entry->size = (uint64_t)info.st_size;
    int rc = put_entry(archive, entry);
    return rc < 0 ? rc : put_data(archive, fd, entry->size, entry->path);
}

static int put_link(struct archive *archive, int dir_fd, const char *name, struct tar_entry *entry)
{
    ssize_t size = readlinkat(dir_fd, name, entry->link, sizeof(entry->link) - 1);
    if (size < 0)
        return err_sys(archive->err, 0, errno, "cannot read the link '%s'", entry->path);
    entry->link[size] = '\0';
    entry->kind = SBX_FILE_SYMLINK;
    return put_entry(archive, entry);
}

static int put_dir(struct archive *archive, int dir_fd, const char *path, int depth);

static int put_any(struct archive *archive, int dir_fd, const char *path, const char *name,
                   int depth)
{
    struct stat info;
    cleanup_free struct tar_entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return err_nomem(archive->err);
    if (fstatat(dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(archive->err, 0, errno, "cannot look at '%s/%s'", path, name);
    if ((size_t)snprintf(entry->path, sizeof(entry->path), "%s%s%s", path, path[0] ? "/" : "",
                         name) >= sizeof(entry->path) - 1)
        return err_set(archive->err, SBX_ERR_INVALID, "'%s' has too long names", path);
    entry->mode = info.st_mode & 07777;
    entry->modified_s = info.st_mtim.tv_sec;
    if (S_ISREG(info.st_mode))
        return put_file(archive, dir_fd, name, entry);
    if (S_ISLNK(info.st_mode))
        return put_link(archive, dir_fd, name, entry);
    if (!S_ISDIR(info.st_mode))
        return 0; // sockets, devices and pipes are of a running system
    entry->kind = SBX_FILE_DIRECTORY;
    int rc = put_entry(archive, entry);
    cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (rc == 0 && fd < 0)
        rc = err_sys(archive->err, 0, errno, "cannot open '%s'", entry->path);
    return rc < 0 ? rc : put_dir(archive, fd, entry->path, depth + 1);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(int dir_fd, struct imagewords *names, struct sbx_error *err)
{
    DIR *dir = dir_open(dir_fd, ".");
    if (!dir)
        return err_sys(err, 0, errno, "cannot read a directory");
    int rc = 0;
    size_t room = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (names->count == room) {
            room = room * 2 + 64;
            char **grown = reallocarray(names->items, room, sizeof(*grown));
            if (!grown) {
                rc = err_nomem(err);
                break;
            }
            names->items = grown;
        }
        char *copy = strdup(entry->d_name);
        if (copy)
            names->items[names->count++] = copy;
        rc = copy ? 0 : err_nomem(err);
    }
    closedir(dir);
    if (names->count > 1)
        qsort(names->items, names->count, sizeof(*names->items), by_name);
    return rc;
}

static void free_names(struct imagewords *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

static int put_dir(struct archive *archive, int dir_fd, const char *path, int depth)
{
    cleanup(free_names) struct imagewords names = {0};
    if (depth > DEPTH_MAX)
        return err_set(archive->err, SBX_ERR_INVALID, "'%s' is too deep", path);
    int rc = read_names(dir_fd, &names, archive->err);
    for (size_t i = 0; rc == 0 && i < names.count; i++)
        rc = put_any(archive, dir_fd, path, names.items[i], depth);
    return rc;
}

static int fill(void *payload, const struct descriptor *layer, struct sink *sink,
                struct sbx_error *err)
{
    const int *dir_fd = payload;
    cleanup_free char *piece = malloc(PIECE);
    cleanup_buf struct buf end = BUF_INIT(64 * 1024);
    struct archive archive = {sink, piece, err};
    if (!piece)
        return err_nomem(err);
    int rc = put_dir(&archive, *dir_fd, "", 0);
    if (rc < 0)
        return rc;
    tar_put_end(&end);
    return flush(&archive, &end);
}

static int measure(int dir_fd, struct descriptor *ret_layer, struct sbx_error *err)
{
    struct sink sink = {.fd = -1, .most = SIZE_UNKNOWN};
    uint8_t digest[SHA256_SIZE];
    sha256_init(&sink.hash);
    int rc = fill(&dir_fd, NULL, &sink, err);
    if (rc < 0)
        return rc;
    sha256_final(&sink.hash, digest);
    memcpy(ret_layer->digest, "sha256:", 7);
    sha256_hex(digest, ret_layer->digest + 7);
    ret_layer->size = sink.size;
    return 0;
}

static int name_record(const char *name, struct imagerecord *record, struct sbx_error *err)
{
    char whole[IMAGEREF_NAME_SIZE];
    int rc = imageref_whole(name, whole, err);
    if (rc < 0)
        return rc;
    record->name = strdup(whole);
    record->user = strdup("");
    record->workdir = strdup("");
    return record->name && record->user && record->workdir ? 0 : err_nomem(err);
}

int puller_build(struct puller *puller, const char *path, const char *name,
                 struct imagerecord *ret_record, struct sbx_error *err)
{
    cleanup_imagerecord struct imagerecord record = {0};
    cleanup_free struct manifest *manifest = calloc(1, sizeof(*manifest));
    cleanup_fd int hold = -1;
    cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!manifest)
        return err_nomem(err);
    if (fd < 0)
        return err_sys(err, 0, errno, "cannot open the directory '%s'", path);
    int rc = name_record(name, &record, err);
    if (rc == 0)
        rc = imagestore_hold(&puller->store, false, puller->deadline, &hold, err);
    if (rc == 0)
        rc = measure(fd, &manifest->layers[0], err);
    if (rc < 0)
        return rc;
    // It has no configuration of its own: the layer says all.
    manifest->config = manifest->layers[0];
    manifest->layer_count = 1;
    manifest->bytes = manifest->layers[0].size;
    const struct puller_source source = {.layers = {fill, &fd},
                                         .digest = manifest->layers[0].digest};
    rc = puller_keep(puller, manifest, &source, &record, err);
    if (rc < 0)
        return rc;
    *ret_record = record;
    record = (struct imagerecord){0};
    return 0;
}
