// SPDX-License-Identifier: Apache-2.0
/*
 * Archives as images. Under CACHE/images: DIGEST, the unpacked trees; file-KEY, links that tell a
 * known file's digest, and by its time when it was used last; file-KEY.new and file-KEY.lock while
 * one is unpacked; DIGEST.new while one is removed. Nobody but us may enter: set-user-id programs
 * of an image must mean nothing on this machine. Layer: engine.
 */
#include "engine/tarball.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/tree.h"
#include "engine/basetree.h"
#include "engine/delta.h"
#include "engine/imagestore.h"
#include "engine/probe.h"
#include "engine/prune.h"
#include "engine/pulled.h"
#include "engine/statkey.h"
#include "engine/unpacker.h"

#define KNOWN_SIZE (sizeof("file-.lock") + STATKEY_SIZE)

#define TOUCH_SECONDS 3600
#define IMAGES_MAX 256

struct images {
    size_t count;
    struct prune_item items[IMAGES_MAX];
};

struct tarball {
    const char *name;
    int file_fd;
    int images_fd;
    struct stat info;
    char known[KNOWN_SIZE]; // file-KEY
    char digest[SHA256_HEX_SIZE];
};

static void close_tarball(struct tarball *tarball)
{
    if (tarball->file_fd >= 0)
        close(tarball->file_fd);
    if (tarball->images_fd >= 0)
        close(tarball->images_fd);
}

static int open_file(struct tarball *tarball, const char *path, struct sbx_error *err)
{
    tarball->file_fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (tarball->file_fd < 0 || fstat(tarball->file_fd, &tarball->info) < 0)
        return err_sys(err, 0, errno, "cannot read the image %s", tarball->name);
    if (!S_ISREG(tarball->info.st_mode))
        return err_set(err, SBX_ERR_INVALID, "the image %s is neither a directory nor a file",
                       tarball->name);
    struct statkey key = STATKEY_INIT;
    uid_t uid = geteuid();
    char text[STATKEY_SIZE];
    bool owners = probe_privileged(); // are kept, which others can't
    statkey_add(&key, &uid, sizeof(uid));
    statkey_add(&key, &owners, sizeof(owners));
    statkey_add_stat(&key, &tarball->info);
    statkey_name(&key, text);
    snprintf(tarball->known, sizeof(tarball->known), "file-%s", text);
    return 0;
}

// The link's time tells when the image was used last, to the hour.
static void touch(const struct tarball *tarball)
{
    struct stat info;
    if (fstatat(tarball->images_fd, tarball->known, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        time(NULL) - info.st_mtim.tv_sec > TOUCH_SECONDS)
        (void)utimensat(tarball->images_fd, tarball->known, NULL, AT_SYMLINK_NOFOLLOW);
}

// Whether this very file was unpacked before.
static bool find_known(struct tarball *tarball)
{
    char digest[SHA256_HEX_SIZE + 1];
    struct stat info;
    ssize_t size = readlinkat(tarball->images_fd, tarball->known, digest, sizeof(digest));
    if (size != SHA256_HEX_SIZE - 1)
        return false;
    digest[size] = '\0';
    if (fstatat(tarball->images_fd, digest, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    memcpy(tarball->digest, digest, sizeof(tarball->digest));
    touch(tarball);
    return true;
}

// Keeps the unpacked tree under its digest, unless the same contents came under another name
// before.
static int keep(struct tarball *tarball, const char *aside, const char *digest,
                struct sbx_error *err)
{
    struct stat now;
    if (fstat(tarball->file_fd, &now) < 0 || now.st_size != tarball->info.st_size ||
        now.st_mtim.tv_sec != tarball->info.st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != tarball->info.st_mtim.tv_nsec)
        return err_set(err, SBX_ERR_CONFLICT, "the image %s changed while it was unpacked",
                       tarball->name);
    if (renameat(tarball->images_fd, aside, tarball->images_fd, digest) < 0) {
        if (errno != EEXIST && errno != ENOTEMPTY)
            return err_sys(err, 0, errno, "cannot keep the unpacked image %s", tarball->name);
        tree_remove(tarball->images_fd, aside);
    }
    unlinkat(tarball->images_fd, tarball->known, 0);
    if (symlinkat(digest, tarball->images_fd, tarball->known) < 0)
        return err_sys(err, 0, errno, "cannot keep the unpacked image %s", tarball->name);
    memcpy(tarball->digest, digest, sizeof(tarball->digest));
    return 0;
}

static int unpack(struct tarball *tarball, int lock, struct deadline deadline,
                  struct sbx_error *err)
{
    char aside[KNOWN_SIZE + 8];
    struct unpack_answer answer;
    snprintf(aside, sizeof(aside), "%s.new", tarball->known);
    if (tree_remove(tarball->images_fd, aside) < 0 || mkdirat(tarball->images_fd, aside, 0755) < 0)
        return err_sys(err, 0, errno, "cannot make %s in the cache directory", aside);
    cleanup_fd int new_fd =
        openat(tarball->images_fd, aside, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (new_fd < 0 || fchmod(new_fd, 0755) < 0 || lseek(tarball->file_fd, 0, SEEK_SET) < 0)
        return err_sys(err, 0, errno, "cannot open %s in the cache directory", aside);
    int rc = unpacker_run(tarball->file_fd, new_fd, lock, unpacker_room(tarball->images_fd),
                          deadline, &answer, err);
    if (rc < 0)
        err_wrap(err, "%s", tarball->name);
    else
        rc = keep(tarball, aside, answer.digest, err);
    if (rc < 0)
        tree_remove(tarball->images_fd, aside);
    return rc;
}

// Removes one leftover, if its lock is free: whoever unpacked there is gone.
static void sweep_one(int images_fd, const char *aside)
{
    char lock_name[NAME_MAX + 1];
    size_t length = strlen(aside) - strlen(".new");
    if (length + sizeof(".lock") > sizeof(lock_name))
        return;
    snprintf(lock_name, sizeof(lock_name), "%.*s.lock", (int)length, aside);
    int lock = -1;
    if (cachedir_lock(images_fd, lock_name, deadline_in(1), &lock, NULL) < 0)
        return;
    tree_remove(images_fd, aside);
    cachedir_unlock(images_fd, lock_name, &lock);
}

static bool ends_new(const char *name)
{
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".new") == 0;
}

// Notes one image by a link to it; one that several files gave was used when the last of them was.
static void note_image(int images_fd, const char *link, struct images *images)
{
    struct stat info;
    char digest[SHA256_HEX_SIZE + 1];
    ssize_t size = readlinkat(images_fd, link, digest, sizeof(digest));
    if (size != SHA256_HEX_SIZE - 1 || fstatat(images_fd, link, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    digest[size] = '\0';
    size_t i = 0;
    while (i < images->count && strcmp(images->items[i].name, digest) != 0)
        i++;
    if (i == IMAGES_MAX)
        return;
    struct prune_item *item = &images->items[i];
    snprintf(item->name, sizeof(item->name), "%s", digest);
    item->used =
        i < images->count && item->used > info.st_mtim.tv_sec ? item->used : info.st_mtim.tv_sec;
    images->count += i == images->count;
}

static void drop_dead_link(int images_fd, const char *link)
{
    if (faccessat(images_fd, link, F_OK, 0) < 0 && errno == ENOENT)
        unlinkat(images_fd, link, 0);
}

// Those that a snapshot is laid over are not for removal.
static void spare_needed(const struct cachedir *cache, int images_fd, struct images *images)
{
    cleanup_imagestore struct imagestore store = IMAGESTORE_NONE;
    size_t count = 0;
    store.records_fd = openat(images_fd, "records", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store.records_fd < 0 || (size_t)snprintf(store.path, sizeof(store.path), "%s/images",
                                                 cache->path) >= sizeof(store.path))
        return;
    for (size_t i = 0; i < images->count; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%s/%s", store.path, images->items[i].name);
        if (!delta_needs(&store, path))
            images->items[count++] = images->items[i];
    }
    images->count = count;
}

// What killed unpackers left, links to images that are gone, and images that nobody uses by the
// rule (NULL: when new ones are made). own: the one that is being made.
static size_t sweep(const struct cachedir *cache, int images_fd, const char *own,
                    const struct prune_rule *rule)
{
    struct cachedir folder = {.fd = images_fd};
    cleanup_free struct images *images = calloc(1, sizeof(*images));
    cleanup_dir DIR *dir = dir_open(images_fd, ".");
    for (struct dirent *entry; images && dir && (entry = readdir(dir));) {
        const char *name = entry->d_name;
        if (own && strncmp(name, own, strlen(own)) == 0)
            continue;
        if (ends_new(name))
            sweep_one(images_fd, name);
        else if (strncmp(name, "file-", 5) == 0) {
            note_image(images_fd, name, images);
            drop_dead_link(images_fd, name);
        }
    }
    if (!images || (size_t)snprintf(folder.path, sizeof(folder.path), "%s/images", cache->path) >=
                       sizeof(folder.path))
        return 0;
    spare_needed(cache, images_fd, images);
    struct prune_rule making = prune_rule_making(images->count);
    return prune_items(&folder, images->items, images->count, rule ? rule : &making);
}

size_t tarball_clear(const struct cachedir *cache, bool all)
{
    const struct prune_rule rule = prune_rule_asked(all);
    cleanup_fd int images_fd = -1;
    return imagestore_open_folder(cache, &images_fd, NULL) < 0
               ? 0
               : sweep(cache, images_fd, NULL, &rule);
}

static int unpack_locked(struct tarball *tarball, const struct cachedir *cache,
                         struct deadline deadline, struct sbx_error *err)
{
    char lock_name[KNOWN_SIZE + 8];
    cleanup_fd int lock = -1;
    snprintf(lock_name, sizeof(lock_name), "%s.lock", tarball->known);
    int rc = cachedir_lock(tarball->images_fd, lock_name, deadline, &lock, err);
    if (rc < 0)
        return rc;
    if (!find_known(tarball)) {
        sweep(cache, tarball->images_fd, tarball->known, NULL);
        rc = unpack(tarball, lock, deadline, err);
    }
    cachedir_unlock(tarball->images_fd, lock_name, &lock);
    return rc;
}

int tarball_open(const char *name, const char *path, const struct cachedir *cache,
                 struct deadline deadline, struct image *ret_image, struct sbx_error *err)
{
    cleanup(close_tarball) struct tarball tarball = {.name = name, .file_fd = -1, .images_fd = -1};
    int rc = imagestore_open_folder(cache, &tarball.images_fd, err);
    if (rc == 0)
        rc = open_file(&tarball, path, err);
    if (rc == 0 && !find_known(&tarball))
        rc = unpack_locked(&tarball, cache, deadline, err);
    if (rc < 0)
        return rc;
    char tree[PATH_MAX];
    if ((size_t)snprintf(tree, sizeof(tree), "%s/images/%s", cache->path, tarball.digest) >=
        sizeof(tree))
        return err_set(err, SBX_ERR_INVALID, "the path of the cache directory is too long");
    return pulled_is_saved(tree) ? pulled_open_saved(name, tree, cache, deadline, ret_image, err)
                                 : basetree_open(name, tree, cache, deadline, ret_image, err);
}
