// SPDX-License-Identifier: Apache-2.0
// What all ways into the store share: layers, tree, record. Layer: registry.
#include "registry/puller.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/tree.h"
#include "core/crew.h"
#include "engine/imagefresh.h"
#include "registry/merge.h"
#include "registry/progress.h"

#define LAYERS_AT_ONCE 4
#define SETTLE_FD 3
#define JUST_MS 60000

int puller_open(const char *config_path, struct puller *ret_puller, struct sbx_error *err)
{
    struct puller puller = {.store = IMAGESTORE_NONE,
                            .deadline = {.at_ms = DEADLINE_NEVER},
                            .began_ns = clock_boot_ns(),
                            .turn = IMAGETURN_NONE};
    cleanup(cachedir_close) struct cachedir cache = {.fd = -1};
    int rc = config_load(config_path, &puller.config, err);
    if (rc == 0)
        rc = cachedir_open(&cache, err);
    if (rc == 0)
        rc = imagestore_open(&cache, &puller.store, err);
    if (rc < 0) {
        puller_close(&puller);
        return rc;
    }
    *ret_puller = puller;
    return 0;
}

static void hang_up(struct puller *puller)
{
    if (puller->http)
        http_close(puller->http);
    puller->http = NULL;
}

void puller_close(struct puller *puller)
{
    hang_up(puller);
    imageturn_end(&puller->turn);
    config_deinit(&puller->config);
    imagestore_close(&puller->store);
}

// Nothing of its starter's: who waits for its output, or for its locks, must not wait for the disk.
static void settle_alone(int store_fd)
{
    int null = open("/dev/null", O_RDWR);
    struct imagestore store = IMAGESTORE_NONE;
    setsid();
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        dup2(null, fd);
    if (dup2(store_fd, SETTLE_FD) < 0)
        return;
    (void)syscall(SYS_close_range, SETTLE_FD + 1, ~0U,
                  0); // of Linux 5.9; without, locks last longer
    store.fd = SETTLE_FD;
    imagefresh_settle(&store);
}

void puller_settle(struct puller *puller)
{
    if (!puller->fresh)
        return;
    hang_up(puller); // its thread is the last besides this one, and a fork must find none
    pid_t pid = fork();
    if (pid < 0) // then it is waited for
        imagefresh_settle(&puller->store);
    if (pid != 0)
        return;
    settle_alone(puller->store.fd);
    _exit(0);
}

int puller_settle_now(struct puller *puller, struct sbx_error *err)
{
    imagefresh_settle(&puller->store);
    puller->fresh = false;
    return fsync(puller->store.records_fd) < 0
               ? err_sys(err, 0, errno, "cannot write the image to the disk of %s",
                         puller->store.path)
               : 0;
}

void puller_digest(const void *data, size_t size, char ret_digest[IMAGEREF_DIGEST_SIZE])
{
    struct sha256 hash;
    uint8_t digest[SHA256_SIZE];
    sha256_init(&hash);
    sha256_update(&hash, data, size);
    sha256_final(&hash, digest);
    static const char kind[] = "sha256:";
    memcpy(ret_digest, kind, sizeof(kind));
    sha256_hex(digest, ret_digest + sizeof(kind) - 1);
}

int puller_check_digest(const void *data, size_t size, const char *digest, struct sbx_error *err)
{
    char found[IMAGEREF_DIGEST_SIZE];
    puller_digest(data, size, found);
    if (strcmp(found, digest) == 0)
        return 0;
    err_set(err, SBX_ERR_PROTOCOL, "a part of the image is not what its digest %.19s... says",
            digest);
    return err_hint(err, "try again; if it stays, the registry has damaged the image");
}

int puller_read_config(const void *data, size_t size, struct imagerecord *record,
                       struct sbx_error *err)
{
    cleanup_jsonv struct jsonv *root = NULL;
    int rc = jsonv_parse(data, size, &root, err);
    if (rc < 0)
        return err_wrap(err, "the image's configuration");
    return manifest_read_config(root, record, err);
}

struct layers_job {
    struct puller *puller;
    const struct manifest *manifest;
    const struct puller_source *source;
    pthread_mutex_t lock;
    struct sbx_error err; // the first; of the lock
};

static bool has_failed(struct layers_job *job)
{
    pthread_mutex_lock(&job->lock);
    bool failed = job->err.code < 0;
    pthread_mutex_unlock(&job->lock);
    return failed;
}

static void make_layer(void *context, size_t index)
{
    struct layers_job *job = context;
    struct puller *puller = job->puller;
    struct sbx_error err;
    if (has_failed(job))
        return;
    int rc = layer_make(&puller->store, &job->manifest->layers[index], &job->source->layers,
                        puller->progress, puller->deadline, &err);
    if (rc == 0 && puller->progress)
        atomic_fetch_add(&puller->progress->layers_done, 1);
    if (rc == 0)
        return;
    pthread_mutex_lock(&job->lock);
    if (job->err.code == 0)
        job->err = err;
    pthread_mutex_unlock(&job->lock);
}

static int make_layers(struct puller *puller, const struct manifest *manifest,
                       const struct puller_source *source, struct sbx_error *err)
{
    struct layers_job job = {.puller = puller, .manifest = manifest, .source = source, .err = {0}};
    pthread_mutex_init(&job.lock, NULL);
    if (puller->progress) {
        puller->progress->layers = (unsigned)manifest->layer_count;
        puller->progress->total = manifest->bytes;
    }
    crew_run(manifest->layer_count, LAYERS_AT_ONCE, make_layer, &job);
    pthread_mutex_destroy(&job.lock);
    if (job.err.code < 0 && err)
        *err = job.err;
    return job.err.code;
}

struct tree_job {
    const struct imagestore *store;
    const struct imagerecord *record;
};

static int add_layer(const struct imagestore *store, const char *hex, int tree_fd,
                     struct sbx_error *err)
{
    cleanup_fd int layer =
        openat(store->layers_fd, hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (layer >= 0 && merge_layer(layer, tree_fd) == 0)
        return 0;
    int saved = errno;
    err_sys(err, 0, saved, "cannot lay the layer %.12s over the others", hex);
    if (saved == EXDEV || saved == EPERM || saved == EOPNOTSUPP || saved == EMLINK)
        return err_hint(err, "images need a file system with hard links: choose another place with "
                             "SANDBOXES_CACHE_DIR");
    return err ? err->code : SBX_ERR_IO;
}

static int build_tree(void *payload, int new_fd, struct sbx_error *err)
{
    const struct tree_job *job = payload;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < job->record->layers.count; i++)
        rc = add_layer(job->store, job->record->layers.items[i], new_fd, err);
    if (rc < 0)
        return rc;
    if (merge_make_dir(new_fd, job->record->workdir) < 0)
        return err_sys(err, 0, errno, "cannot make the image's working directory");
    // Tools that make images of single programs may have neither.
    struct stat info;
    if (fstatat(new_fd, "usr", &info, AT_SYMLINK_NOFOLLOW) < 0 &&
        fstatat(new_fd, "bin", &info, AT_SYMLINK_NOFOLLOW) < 0 && mkdirat(new_fd, "bin", 0755) < 0)
        return err_sys(err, 0, errno, "cannot make the image's directory bin");
    return imagefresh_mark(job->store, "trees", job->record->tree, err);
}

// What another boot of the machine may have left without its contents; nobody stands on it.
static int drop_lost_tree(struct puller *puller, const char *lock, const char *tree,
                          struct sbx_error *err)
{
    cleanup_fd int held = -1;
    if (!imagefresh_is_lost(&puller->store, "trees", tree))
        return 0;
    int rc = cachedir_lock(puller->store.trees_fd, lock, puller->deadline, &held, err);
    if (rc < 0)
        return rc;
    if (imagefresh_is_lost(&puller->store, "trees", tree)) {
        if (tree_remove(puller->store.trees_fd, tree) < 0)
            rc = err_sys(err, 0, errno, "cannot remove %s/trees/%s", puller->store.path, tree);
        else
            imagefresh_unmark(&puller->store, "trees", tree);
    }
    cachedir_unlock(puller->store.trees_fd, lock, &held);
    return rc;
}

static int make_tree(struct puller *puller, const struct imagerecord *record, struct sbx_error *err)
{
    char lock[96];
    struct tree_job job = {&puller->store, record};
    snprintf(lock, sizeof(lock), "%s.lock", record->tree);
    int rc = drop_lost_tree(puller, lock, record->tree, err);
    if (rc < 0)
        return rc;
    return cachedir_once(puller->store.trees_fd, lock, record->tree, puller->deadline, build_tree,
                         &job, err);
}

static int fill_record(const struct manifest *manifest, const struct puller_source *source,
                       struct imagerecord *record, struct sbx_error *err)
{
    int rc = 0;
    record->digest = strdup(source->digest);
    record->tree = strdup(imageref_hex(manifest->config.digest));
    record->bytes = manifest->bytes;
    record->made_ms = clock_unix_ms();
    for (size_t i = 0; rc == 0 && i < manifest->layer_count; i++)
        rc = imagewords_add(&record->layers, imageref_hex(manifest->layers[i].digest), err);
    return rc == 0 && (!record->digest || !record->tree) ? err_nomem(err) : rc;
}

bool puller_has_tree(const struct puller *puller, const struct imagerecord *record)
{
    struct stat info;
    return fstatat(puller->store.trees_fd, record->tree, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
           !imagefresh_is_lost(&puller->store, "trees", record->tree);
}

// Whether another one of many that want this image at once has just written it: then the disk need
// not be waited for again.
static bool is_recorded(const struct puller *puller, const struct imagerecord *record)
{
    cleanup_imagerecord struct imagerecord before = {0};
    return imagerecord_read(&puller->store, record->name, &before, NULL) == 0 &&
           strcmp(before.digest, record->digest) == 0 && strcmp(before.tree, record->tree) == 0 &&
           before.made_ms <= record->made_ms && record->made_ms - before.made_ms < JUST_MS;
}

int puller_keep(struct puller *puller, const struct manifest *manifest,
                const struct puller_source *source, struct imagerecord *record,
                struct sbx_error *err)
{
    int rc = fill_record(manifest, source, record, err);
    if (rc < 0)
        return rc;
    if (!puller_has_tree(puller, record)) {
        puller->fresh = true;
        rc = make_layers(puller, manifest, source, err);
        if (rc == 0)
            rc = make_tree(puller, record, err);
    }
    if (rc < 0 || is_recorded(puller, record))
        return rc;
    return imagerecord_write(&puller->store, record, err);
}
