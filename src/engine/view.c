// SPDX-License-Identifier: Apache-2.0
// Views: names, manifests, use. Layer: engine.
#include "engine/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "engine/imagelist.h"

#define FORMAT "1 " SBX_VERSION
#define MANIFEST_MAX 16384
#define TOUCH_SECONDS 3600
#define INITIAL_USERNS 0xEFFFFFFDu // PROC_USER_INIT_INO of the kernel

struct statkey view_key(const char *kind)
{
    struct statkey key = STATKEY_INIT;
    uid_t uid = geteuid();
    struct stat userns;
    char boot[64];
    statkey_add_text(&key, kind);
    statkey_add_text(&key, FORMAT);
    statkey_add(&key, &uid, sizeof(uid));
    // Root of a container gives no files away, and shall not find those that root of the machine
    // made.
    bool initial = stat("/proc/self/ns/user", &userns) == 0 && userns.st_ino == INITIAL_USERNS;
    statkey_add(&key, &initial, sizeof(initial));
    // A machine that lost power while a view was written may have lost some of it: not used again.
    if (fd_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof(boot)) > 0)
        statkey_add_text(&key, boot);
    return key;
}

static int add_line(struct image *image, const char *tree, char *line, struct sbx_error *err)
{
    char *kind = strsep(&line, "\t"), *name = strsep(&line, "\t");
    if (!name || !line)
        return err_set(err, SBX_ERR_BUG, "the manifest in %s is damaged", tree);
    if (strcmp(kind, "env") == 0)
        return imagelist_add_env(image, name, line, err);
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof(path), "%s%s%s", line[0] == '/' ? "" : tree,
                         line[0] == '/' ? "" : "/", line) >= sizeof(path))
        return err_set(err, SBX_ERR_INVALID, "the path of the cache directory is too long");
    return imagelist_add_layer(image, name, path, err);
}

// Notes that the view is in use, at most once an hour.
static void touch(int manifest)
{
    struct stat info;
    if (fstat(manifest, &info) == 0 && time(NULL) - info.st_mtim.tv_sec > TOUCH_SECONDS)
        futimens(manifest, NULL);
}

static int parse_manifest(char *text, const char *tree, struct image *ret_image,
                          struct sbx_error *err)
{
    cleanup(image_deinit) struct image image = {0};
    char *save = NULL;
    int rc = 0;
    for (char *line = strtok_r(text, "\n", &save); line && rc == 0;
         line = strtok_r(NULL, "\n", &save))
        rc = add_line(&image, tree, line, err);
    if (rc < 0)
        return rc;
    *ret_image = image;
    image = (struct image){0};
    return 0;
}

// 0, or NOT_FOUND when there is no such view.
static int read_view(const struct cachedir *cache, const char *name, struct image *ret_image,
                     struct sbx_error *err)
{
    char path[VIEW_NAME_SIZE + 16], tree[PATH_MAX], text[MANIFEST_MAX];
    snprintf(path, sizeof(path), "%s/manifest", name);
    if ((size_t)snprintf(tree, sizeof(tree), "%s/%s", cache->path, name) >= sizeof(tree))
        return err_set(err, SBX_ERR_INVALID, "the path of the cache directory is too long");
    cleanup_fd int fd = openat(cache->fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : fd_read_full(fd, text, sizeof(text) - 1);
    if (size < 0)
        return err_sys(err, 0, errno, "cannot read %s/%s", cache->path, path);
    text[size] = '\0';
    touch(fd);
    return parse_manifest(text, tree, ret_image, err);
}

struct job {
    const struct cachedir *cache;
    const char *kind;
    const char *name;
    cachedir_build_fn build;
    void *payload;
};

static int build_view(void *payload, int new_fd, struct sbx_error *err)
{
    const struct job *job = payload;
    char building[VIEW_NAME_SIZE + 8];
    snprintf(building, sizeof(building), "%s.new", job->name);
    view_prune(job->cache, job->kind, building);
    return job->build(job->payload, new_fd, err);
}

int view_open(const struct cachedir *cache, const char *kind, const struct statkey *key,
              struct deadline deadline, cachedir_build_fn build, void *payload,
              struct image *ret_image, struct sbx_error *err)
{
    char name[VIEW_NAME_SIZE], suffix[STATKEY_SIZE], lock[VIEW_KIND_MAX + 8];
    statkey_name(key, suffix);
    snprintf(name, sizeof(name), "%s-%s", kind, suffix);
    snprintf(lock, sizeof(lock), "%s.lock", kind);
    int rc = read_view(cache, name, ret_image, err);
    if (rc != SBX_ERR_NOT_FOUND)
        return rc;
    struct job job = {cache, kind, name, build, payload};
    rc = cachedir_once(cache->fd, lock, name, deadline, build_view, &job, err);
    return rc < 0 ? rc : read_view(cache, name, ret_image, err);
}
