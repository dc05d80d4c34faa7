// SPDX-License-Identifier: Apache-2.0
/*
 * Saved images: OCI's image layout (index.json, blobs/), what `docker save` writes (manifest.json),
 * and tar archives of either. Links in them are followed inside them only. Layer: registry.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/beneath.h"
#include "base/fd.h"
#include "base/tree.h"
#include "engine/unpacker.h"
#include "registry/puller.h"

#define PIECE (256u << 10)
#define INDEX_DEPTH 3
#define REF_ANNOTATION "org.opencontainers.image.ref.name"
#define NAME_ANNOTATION "io.containerd.image.name"

struct saved {
    struct puller *puller;
    const char *shown;
    int fd;
    struct manifest manifest;
    char digest[IMAGEREF_DIGEST_SIZE];
    char name[IMAGEREF_NAME_SIZE];        // what it calls itself; "" for nothing
    char files[LAYERS_MAX][PATH_MAX / 4]; // of layers, where digests don't tell
    struct imagerecord record;
};

static int lacks(const struct saved *saved, const char *what, struct sbx_error *err)
{
    err_set(err, SBX_ERR_INVALID, "the saved image %s has no %s", saved->shown, what);
    return err_hint(err, "save it again: docker save -o FILE IMAGE, or skopeo copy ... oci:DIR");
}

static int read_file(const struct saved *saved, const char *path, struct buf *out,
                     struct sbx_error *err)
{
    struct stat info;
    cleanup_fd int fd = beneath_open(saved->fd, path, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0 || fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))
        return lacks(saved, path, err);
    char *room = info.st_size > 0 ? buf_reserve(out, (size_t)info.st_size) : NULL;
    if (!room || fd_read_full(fd, room, (size_t)info.st_size) != (ssize_t)info.st_size)
        return err_set(err, SBX_ERR_INVALID, "%s of the saved image %s can't be read", path,
                       saved->shown);
    buf_commit(out, (size_t)info.st_size);
    return 0;
}

static void blob_path(const char *digest, char *path, size_t size)
{
    snprintf(path, size, "blobs/sha256/%s", imageref_hex(digest));
}

static int read_blob(const struct saved *saved, const char *digest, struct buf *out,
                     struct sbx_error *err)
{
    char path[128];
    blob_path(digest, path, sizeof(path));
    int rc = read_file(saved, path, out, err);
    return rc < 0 ? rc : puller_check_digest(out->data, out->size, digest, err);
}

static int copy_file(int fd, struct sink *sink, struct sbx_error *err)
{
    cleanup_free char *piece = malloc(PIECE);
    if (!piece)
        return err_nomem(err);
    for (;;) {
        ssize_t got = read(fd, piece, PIECE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(err, 0, errno, "cannot read a layer");
        if (got == 0)
            return 0;
        int rc = sink_write(sink, piece, (size_t)got, err);
        if (rc < 0)
            return rc;
    }
}

static int fill(void *payload, const struct descriptor *layer, struct sink *sink,
                struct sbx_error *err)
{
    const struct saved *saved = payload;
    char path[PATH_MAX];
    blob_path(layer->digest, path, sizeof(path));
    for (size_t i = 0; i < saved->manifest.layer_count; i++)
        if (saved->files[i][0] && strcmp(saved->manifest.layers[i].digest, layer->digest) == 0)
            snprintf(path, sizeof(path), "%s", saved->files[i]);
    cleanup_fd int fd = beneath_open(saved->fd, path, O_RDONLY | O_NONBLOCK, 0);
    return fd < 0 ? lacks(saved, path, err) : copy_file(fd, sink, err);
}

// --- OCI's image layout

static void take_name(struct saved *saved, const struct jsonv *entry)
{
    const struct jsonv *notes = jsonv_get(entry, "annotations");
    const char *name = jsonv_text(notes, NAME_ANNOTATION);
    if (!name)
        name = jsonv_text(notes, REF_ANNOTATION);
    if (name && strlen(name) < sizeof(saved->name))
        snprintf(saved->name, sizeof(saved->name), "%s", name);
}

static int open_layout(struct saved *saved, struct sbx_error *err)
{
    cleanup_buf struct buf index = BUF_INIT(MANIFEST_BYTES_MAX);
    cleanup_jsonv struct jsonv *root = NULL;
    struct descriptor chosen;
    int rc = read_file(saved, "index.json", &index, err);
    if (rc == 0)
        rc = jsonv_parse(index.data, index.size, &root, err);
    if (rc < 0)
        return rc;
    const struct jsonv *list = jsonv_get(root, "manifests");
    if (jsonv_count(list) == 0)
        return lacks(saved, "image in its index.json", err);
    take_name(saved, jsonv_at(list, 0));
    rc = manifest_choose(root, &chosen, err);
    for (int depth = 0; rc == 0 && depth < INDEX_DEPTH; depth++) {
        cleanup_buf struct buf body = BUF_INIT(MANIFEST_BYTES_MAX);
        cleanup_jsonv struct jsonv *below = NULL;
        rc = read_blob(saved, chosen.digest, &body, err);
        if (rc == 0)
            rc = jsonv_parse(body.data, body.size, &below, err);
        if (rc < 0)
            return rc;
        snprintf(saved->digest, sizeof(saved->digest), "%s", chosen.digest);
        if (!manifest_is_index(below))
            return manifest_read(below, &saved->manifest, err);
        rc = manifest_choose(below, &chosen, err);
    }
    return rc < 0 ? rc : err_set(err, SBX_ERR_INVALID, "too many indexes in %s", saved->shown);
}

static int read_layout_config(struct saved *saved, struct sbx_error *err)
{
    cleanup_buf struct buf body = BUF_INIT(CONFIG_BYTES_MAX);
    int rc = read_blob(saved, saved->manifest.config.digest, &body, err);
    return rc < 0 ? rc : puller_read_config(body.data, body.size, &saved->record, err);
}

// --- What `docker save` wrote before it kept to that layout

static int add_docker_layer(struct saved *saved, const char *file, const char *diff_id,
                            struct sbx_error *err)
{
    struct stat info;
    size_t i = saved->manifest.layer_count;
    if (i >= LAYERS_MAX)
        return err_set(err, SBX_ERR_QUOTA, "the image has more than %d layers", LAYERS_MAX);
    if (!file || !imageref_hex(diff_id) || strlen(file) >= sizeof(saved->files[0]))
        return lacks(saved, "sensible list of layers", err);
    cleanup_fd int fd = beneath_open(saved->fd, file, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0 || fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))
        return lacks(saved, file, err);
    snprintf(saved->files[i], sizeof(saved->files[i]), "%s", file);
    struct descriptor *layer = &saved->manifest.layers[i];
    snprintf(layer->digest, sizeof(layer->digest), "%s", diff_id);
    layer->size = (uint64_t)info.st_size;
    saved->manifest.bytes += layer->size;
    saved->manifest.layer_count++;
    return 0;
}

static int read_docker_config(struct saved *saved, const char *file, const struct jsonv *layers,
                              struct sbx_error *err)
{
    cleanup_buf struct buf body = BUF_INIT(CONFIG_BYTES_MAX);
    cleanup_jsonv struct jsonv *config = NULL;
    int rc = read_file(saved, file, &body, err);
    if (rc == 0)
        rc = jsonv_parse(body.data, body.size, &config, err);
    if (rc < 0)
        return rc;
    puller_digest(body.data, body.size, saved->manifest.config.digest);
    snprintf(saved->digest, sizeof(saved->digest), "%s", saved->manifest.config.digest);
    const struct jsonv *ids = jsonv_get(jsonv_get(config, "rootfs"), "diff_ids");
    if (jsonv_count(ids) != jsonv_count(layers))
        return lacks(saved, "digest for each of its layers", err);
    for (size_t i = 0; rc == 0 && i < jsonv_count(layers); i++)
        rc = add_docker_layer(saved, jsonv_as_text(jsonv_at(layers, i)),
                              jsonv_as_text(jsonv_at(ids, i)), err);
    return rc < 0 ? rc : manifest_read_config(config, &saved->record, err);
}

static int open_docker(struct saved *saved, struct sbx_error *err)
{
    cleanup_buf struct buf body = BUF_INIT(MANIFEST_BYTES_MAX);
    cleanup_jsonv struct jsonv *root = NULL;
    int rc = read_file(saved, "manifest.json", &body, err);
    if (rc == 0)
        rc = jsonv_parse(body.data, body.size, &root, err);
    if (rc < 0)
        return rc;
    const struct jsonv *first = jsonv_at(root, 0);
    const char *config = jsonv_text(first, "Config");
    const char *name = jsonv_as_text(jsonv_at(jsonv_get(first, "RepoTags"), 0));
    if (name && strlen(name) < sizeof(saved->name))
        snprintf(saved->name, sizeof(saved->name), "%s", name);
    return config ? read_docker_config(saved, config, jsonv_get(first, "Layers"), err)
                  : lacks(saved, "configuration in its manifest.json", err);
}

// --- Both

static bool has(int fd, const char *name)
{
    struct stat info;
    return fstatat(fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

static int choose_name(struct saved *saved, const char *name, struct sbx_error *err)
{
    char whole[IMAGEREF_NAME_SIZE];
    const char *wanted = name ? name : saved->name;
    if (!wanted[0]) {
        err_set(err, SBX_ERR_INVALID, "the saved image %s has no name", saved->shown);
        return err_hint(err, "give it one: sandboxes image import %s NAME", saved->shown);
    }
    int rc = imageref_whole(wanted, whole, err);
    if (rc < 0)
        return rc;
    saved->record.name = strdup(whole);
    return saved->record.name ? 0 : err_nomem(err);
}

static int keep_saved(struct saved *saved, const char *name, struct sbx_error *err)
{
    int rc;
    if (has(saved->fd, "index.json")) {
        rc = open_layout(saved, err);
        if (rc == 0)
            rc = read_layout_config(saved, err);
    } else {
        rc = open_docker(saved, err);
    }
    if (rc == 0)
        rc = choose_name(saved, name, err);
    if (rc < 0)
        return rc;
    const struct puller_source source = {.layers = {fill, saved}, .digest = saved->digest};
    return puller_keep(saved->puller, &saved->manifest, &source, &saved->record, err);
}

static int import_dir(struct puller *puller, const char *shown, int dir_fd, const char *name,
                      struct imagerecord *ret_record, struct sbx_error *err)
{
    cleanup_free struct saved *saved = calloc(1, sizeof(*saved));
    if (!saved)
        return err_nomem(err);
    saved->puller = puller;
    saved->shown = shown;
    saved->fd = dir_fd;
    int rc = keep_saved(saved, name, err);
    if (rc < 0) {
        imagerecord_deinit(&saved->record);
        return rc;
    }
    *ret_record = saved->record;
    return 0;
}

// The archive is unpacked beside the store for as long as it takes.
static int import_archive(struct puller *puller, const char *shown, int file_fd, const char *name,
                          struct imagerecord *ret_record, struct sbx_error *err)
{
    char aside[64], lock_name[64];
    struct unpack_answer answer;
    cleanup_fd int lock = -1;
    snprintf(aside, sizeof(aside), "import-%d.new", (int)getpid());
    snprintf(lock_name, sizeof(lock_name), "import-%d.lock", (int)getpid());
    int store = puller->store.fd;
    int rc = cachedir_lock(store, lock_name, puller->deadline, &lock, err);
    if (rc < 0)
        return rc;
    if (tree_remove(store, aside) < 0 || mkdirat(store, aside, 0700) < 0)
        rc = err_sys(err, 0, errno, "cannot make %s/%s", puller->store.path, aside);
    cleanup_fd int fd = rc < 0 ? -1 : openat(store, aside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (rc == 0)
        rc = unpacker_run(file_fd, fd, lock, unpacker_room(store), puller->deadline, &answer, err);
    if (rc == 0)
        rc = import_dir(puller, shown, fd, name, ret_record, err);
    tree_remove(store, aside);
    cachedir_unlock(store, lock_name, &lock);
    return rc;
}

int puller_import(struct puller *puller, const char *path, const char *name,
                  struct imagerecord *ret_record, struct sbx_error *err)
{
    struct stat info;
    cleanup_fd int hold = -1;
    cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) < 0)
        return err_sys(err, 0, errno, "cannot read the image %s", path);
    if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode))
        return err_set(err, SBX_ERR_INVALID, "%s is neither a directory nor a file", path);
    int rc = imagestore_hold(&puller->store, false, puller->deadline, &hold, err);
    if (rc == 0)
        rc = S_ISDIR(info.st_mode) ? import_dir(puller, path, fd, name, ret_record, err)
                                   : import_archive(puller, path, fd, name, ret_record, err);
    return rc;
}
