// SPDX-License-Identifier: Apache-2.0
// Unpacking layers into the store. Layer: registry.
#include "registry/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/tree.h"
#include "engine/imagefresh.h"
#include "engine/unpacker.h"
#include "registry/progress.h"

#define PIPE_BYTES (1 << 20)

struct making {
    const struct imagestore *store;
    const struct descriptor *layer;
    const struct layer_source *source;
    struct progress *progress;
    struct deadline deadline;
    int lock;
    const char *hex;
    char aside[96];
};

static int start(const struct making *making, int new_fd, int *ret_pipe,
                 struct helper *ret_unpacker, struct sbx_error *err)
{
    int ends[2];
    if (fd_pipe(ends) < 0)
        return err_sys(err, 0, errno, "cannot make a pipe for a layer");
    cleanup_fd int reader = ends[0], writer = ends[1];
    (void)fcntl(writer, F_SETPIPE_SZ, PIPE_BYTES); // fewer turns; some accounts may not
    const struct unpacker_job job = {
        .archive_fd = reader,
        .new_fd = new_fd,
        .lock_fd = making->lock,
        .bytes_max = unpacker_room(making->store->fd),
        .layer = true,
    };
    int rc = unpacker_start(&job, ret_unpacker, err);
    if (rc == 0)
        *ret_pipe = steal_fd(&writer);
    return rc;
}

static int check_digest(const struct making *making, struct sink *sink, struct sbx_error *err)
{
    uint8_t digest[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];
    sha256_final(&sink->hash, digest);
    sha256_hex(digest, hex);
    if (sink->size == making->layer->size && strcmp(hex, making->hex) == 0)
        return 0;
    err_set(err, SBX_ERR_PROTOCOL, "a layer is not what its digest %.12s... says", making->hex);
    return err_hint(err, "try again; if it stays, the registry or something on the way to it has "
                         "damaged the image: pull it from elsewhere or have it pushed again");
}

/*
 * The unpacker reads the bytes while they come, before their digest is known: it is confined for
 * that, and what it has written is of no use until the digest fits.
 */
static int unpack(const struct making *making, int new_fd, struct sbx_error *err)
{
    cleanup_helper struct helper unpacker = HELPER_NONE;
    struct sink sink = {.fd = -1, .most = making->layer->size, .progress = making->progress};
    struct unpack_answer answer;
    struct sbx_error later;
    sha256_init(&sink.hash);
    int rc = start(making, new_fd, &sink.fd, &unpacker, err);
    if (rc < 0)
        return rc;
    rc = making->source->fill(making->source->payload, making->layer, &sink, err);
    close(steal_fd(&sink.fd));
    // A reader that has gone says why, and that is what happened.
    if (rc < 0 && !sink.refused)
        return rc;
    int unpacked = unpacker_finish(&unpacker, making->deadline, &answer, rc < 0 ? err : &later);
    if (rc < 0)
        return unpacked < 0 ? unpacked : rc;
    rc = check_digest(making, &sink, err);
    if (rc == 0 && unpacked < 0) {
        if (err)
            *err = later;
        rc = unpacked;
    }
    return rc;
}

static int make_aside(struct making *making, struct sbx_error *err)
{
    int layers = making->store->layers_fd;
    snprintf(making->aside, sizeof(making->aside), "%s.new", making->hex);
    // A lost one goes first.
    if (tree_remove(layers, making->hex) < 0 || tree_remove(layers, making->aside) < 0 ||
        mkdirat(layers, making->aside, 0755) < 0)
        return err_sys(err, 0, errno, "cannot make %s/layers/%s", making->store->path,
                       making->aside);
    cleanup_fd int fd =
        openat(layers, making->aside, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int rc = fd < 0 || fchmod(fd, 0755) < 0 ? err_sys(err, 0, errno, "cannot open %s/layers/%s",
                                                      making->store->path, making->aside)
                                            : unpack(making, fd, err);
    if (rc == 0)
        rc = imagefresh_mark(making->store, "layers", making->hex, err);
    if (rc == 0 && renameat(layers, making->aside, layers, making->hex) < 0)
        rc = err_sys(err, 0, errno, "cannot keep the layer %s", making->hex);
    if (rc < 0)
        tree_remove(layers, making->aside);
    return rc;
}

static bool is_there(const struct imagestore *store, const char *hex)
{
    struct stat info;
    return fstatat(store->layers_fd, hex, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
           !imagefresh_is_lost(store, "layers", hex);
}

static void count_whole(struct progress *progress, const struct descriptor *layer)
{
    if (progress)
        progress_add(progress, layer->size);
}

int layer_make(const struct imagestore *store, const struct descriptor *layer,
               const struct layer_source *source, struct progress *progress,
               struct deadline deadline, struct sbx_error *err)
{
    char lock_name[96];
    struct making making = {.store = store,
                            .layer = layer,
                            .source = source,
                            .progress = progress,
                            .deadline = deadline,
                            .lock = -1,
                            .hex = imageref_hex(layer->digest)};
    int rc = 0;
    if (is_there(store, making.hex)) {
        count_whole(progress, layer);
        return 0;
    }
    snprintf(lock_name, sizeof(lock_name), "%s.lock", making.hex);
    rc = cachedir_lock(store->layers_fd, lock_name, deadline, &making.lock, err);
    if (rc < 0)
        return rc;
    if (is_there(store, making.hex))
        count_whole(progress, layer);
    else
        rc = make_aside(&making, err);
    cachedir_unlock(store->layers_fd, lock_name, &making.lock);
    return rc;
}
