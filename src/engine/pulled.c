// SPDX-License-Identifier: Apache-2.0
// Images of layers: found in the store, or fetched. Layer: engine.
#include "engine/pulled.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "engine/basetree.h"
#include "engine/delta.h"
#include "engine/fetcher.h"
#include "engine/imagefresh.h"
#include "engine/imagelist.h"
#include "engine/imageref.h"
#include "engine/statkey.h"

#define TOUCH_SECONDS 3600

struct wanted {
    const char *shown;
    const char *name; // whole
    const char *path; // of a saved image, or NULL
    uint32_t flags;
};

// The record's time tells when the image was used last, to the hour.
static void touch(const struct imagestore *store, const char *name)
{
    char file[IMAGERECORD_FILE_SIZE];
    struct stat info;
    imagerecord_file(name, file);
    if (fstatat(store->records_fd, file, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        time(NULL) - info.st_mtim.tv_sec > TOUCH_SECONDS)
        (void)utimensat(store->records_fd, file, NULL, AT_SYMLINK_NOFOLLOW);
}

static bool is_complete(const struct imagestore *store, const struct imagerecord *record)
{
    struct stat info;
    bool snapshot = imagerecord_is_snapshot(record);
    if (snapshot && fstatat(store->deltas_fd, record->delta, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    return !record->tree[0] ||
           (fstatat(store->trees_fd, record->tree, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            !imagefresh_is_lost(store, "trees", record->tree));
}

// NOT_FOUND also when what the record tells of is gone.
static int find(const struct imagestore *store, const char *name, struct imagerecord *ret_record,
                struct sbx_error *err)
{
    int rc = imagerecord_read(store, name, ret_record, err);
    if (rc == 0 && !is_complete(store, ret_record)) {
        imagerecord_deinit(ret_record);
        return err_set(err, SBX_ERR_NOT_FOUND, "the image %s is incomplete", name);
    }
    return rc == SBX_ERR_INVALID ? SBX_ERR_NOT_FOUND : rc; // a damaged one is fetched again
}

static int find_or_fetch(const struct imagestore *store, const struct wanted *wanted,
                         struct deadline deadline, struct imagerecord *ret_record,
                         struct sbx_error *err)
{
    cleanup_imageturn struct imageturn turn = IMAGETURN_NONE;
    int rc = find(store, wanted->name, ret_record, err);
    while (rc == SBX_ERR_NOT_FOUND && turn.fd < 0) {
        int taken = imageturn_take(store, wanted->name, IMAGETURN_EVER, deadline, &turn, err);
        if (taken < 0)
            return err_wrap(err, "cannot get the image '%s'", wanted->shown);
        rc = find(store, wanted->name, ret_record, err);
    }
    if (rc != SBX_ERR_NOT_FOUND)
        return rc;
    rc = fetcher_run(wanted->name, wanted->path, &turn, deadline, err);
    if (rc == 0)
        rc = find(store, wanted->name, ret_record, err);
    return rc < 0 ? err_wrap(err, "cannot get the image '%s'", wanted->shown) : 0;
}

static int add_env(struct image *image, const struct imagewords *env, struct sbx_error *err)
{
    for (size_t i = 0; i < env->count; i++) {
        char *equals = strchr(env->items[i], '=');
        if (!equals || equals == env->items[i])
            continue;
        *equals = '\0';
        int rc = imagelist_add_env(image, env->items[i], equals + 1, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int put_text(char **field, const char *text, size_t size, struct sbx_error *err)
{
    *field = strndup(text, size);
    return *field ? 0 : err_nomem(err);
}

// A snapshot's are those of the sandbox that it was taken of.
static int add_snapshot_defaults(struct image *image, const struct imagerecord *record,
                                 struct sbx_error *err)
{
    int rc = add_env(image, &record->env, err);
    if (rc == 0)
        rc = put_text(&image->user, record->user, strlen(record->user), err);
    if (rc == 0 && record->workdir[0])
        rc = put_text(&image->workdir, record->workdir, strlen(record->workdir), err);
    return rc;
}

// Root where the image names nobody, as everywhere else. A group of its own is not kept: the
// account's counts.
static int add_defaults(struct image *image, const struct imagerecord *record,
                        struct sbx_error *err)
{
    size_t user = strcspn(record->user, ":");
    int rc = add_env(image, &record->env, err);
    if (rc == 0)
        rc = put_text(&image->user, user ? record->user : "root", user ? user : 4, err);
    const char *workdir = record->workdir[0] ? record->workdir : "/";
    return rc < 0 ? rc : put_text(&image->workdir, workdir, strlen(workdir), err);
}

static int open_record(const struct wanted *wanted, const struct imagestore *store,
                       const struct imagerecord *record, const struct cachedir *cache,
                       struct deadline deadline, struct image *ret_image, struct sbx_error *err)
{
    char tree[PATH_MAX];
    snprintf(tree, sizeof(tree), "%s/trees/%s", store->path, record->tree);
    touch(store, record->name);
    if (imagerecord_is_snapshot(record)) {
        int code = delta_open(store, record, wanted->shown, wanted->flags, cache, deadline,
                              ret_image, err);
        return code < 0 ? code : add_snapshot_defaults(ret_image, record, err);
    }
    int rc = basetree_open(wanted->shown, tree, cache, deadline, ret_image, err);
    return rc < 0 ? rc : add_defaults(ret_image, record, err);
}

static int open_wanted(const struct wanted *wanted, const struct cachedir *cache,
                       struct deadline deadline, struct image *ret_image, struct sbx_error *err)
{
    cleanup_imagestore struct imagestore store = IMAGESTORE_NONE;
    cleanup_imagerecord struct imagerecord record = {0};
    struct image image = {0};
    int rc = imagestore_open(cache, &store, err);
    if (rc < 0)
        return rc;
    int *hold_fd = malloc(sizeof(*hold_fd));
    if (!hold_fd)
        return err_nomem(err);
    *hold_fd = -1;
    rc = imagestore_hold(&store, false, deadline, hold_fd, err);
    if (rc == 0)
        rc = find_or_fetch(&store, wanted, deadline, &record, err);
    if (rc == 0)
        rc = open_record(wanted, &store, &record, cache, deadline, &image, err);
    image.hold_fd = hold_fd; // which opening would have overwritten
    if (rc < 0) {
        image_deinit(&image);
        return rc;
    }
    *ret_image = image;
    return 0;
}

int pulled_open(const char *name, uint32_t flags, const struct cachedir *cache,
                struct deadline deadline, struct image *ret_image, struct sbx_error *err)
{
    char whole[IMAGEREF_NAME_SIZE];
    int rc = imageref_whole(name, whole, err);
    if (rc < 0)
        return rc;
    const struct wanted wanted = {.shown = name, .name = whole, .flags = flags};
    return open_wanted(&wanted, cache, deadline, ret_image, err);
}

static bool has(int fd, const char *name)
{
    struct stat info;
    return fstatat(fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

bool pulled_is_saved(const char *path)
{
    cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && (has(fd, "oci-layout") || has(fd, "manifest.json")) && !has(fd, "bin") &&
           !has(fd, "usr");
}

// A saved image's name in the store tells the state of its directory.
static int name_saved(const char *shown, const char *path, char ret_name[IMAGEREF_NAME_SIZE],
                      struct sbx_error *err)
{
    static const char *const parts[] = {".", "index.json", "manifest.json"};
    char key_text[STATKEY_SIZE];
    struct statkey key = STATKEY_INIT;
    cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, 0, errno, "cannot open the image %s", shown);
    statkey_add_text(&key, path);
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        struct stat info;
        bool there = fstatat(fd, parts[i], &info, AT_SYMLINK_NOFOLLOW) == 0;
        statkey_add_stat(&key, there ? &info : NULL);
    }
    statkey_name(&key, key_text);
    snprintf(ret_name, IMAGEREF_NAME_SIZE, "localhost/saved:%s", key_text);
    return 0;
}

int pulled_open_saved(const char *shown, const char *path, const struct cachedir *cache,
                      struct deadline deadline, struct image *ret_image, struct sbx_error *err)
{
    char name[IMAGEREF_NAME_SIZE];
    int rc = name_saved(shown, path, name, err);
    if (rc < 0)
        return rc;
    const struct wanted wanted = {.shown = shown, .name = name, .path = path};
    return open_wanted(&wanted, cache, deadline, ret_image, err);
}

int pulled_record(const char *image, struct imagerecord *ret_record, struct sbx_error *err)
{
    cleanup(cachedir_close) struct cachedir cache = {.fd = -1};
    cleanup_imagestore struct imagestore store = IMAGESTORE_NONE;
    char name[IMAGEREF_NAME_SIZE];
    bool saved = strchr(image, '/') && pulled_is_saved(image);
    cleanup_free char *path = saved ? realpath(image, NULL) : NULL;
    int rc = path ? name_saved(image, path, name, err) : imageref_whole(image, name, err);
    if (rc == 0)
        rc = cachedir_open(&cache, err);
    if (rc == 0)
        rc = imagestore_open(&cache, &store, err);
    return rc < 0 ? SBX_ERR_NOT_FOUND : imagerecord_read(&store, name, ret_record, err);
}
