// SPDX-License-Identifier: Apache-2.0
// The image `host`: its key, its cache, its manifest. Layer: engine.
#include "engine/hostview.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "engine/hosttree.h"
#include "engine/imagelist.h"
#include "engine/statkey.h"

#define FORMAT "host 1 " SBX_VERSION
#define MANIFEST_MAX 8192
#define NAME_SIZE (sizeof("host-") + STATKEY_SIZE)
#define TOUCH_SECONDS 3600

// What the view is made from. A change of these makes a new one.
static const char *const watched[] = {
    "usr/bin",
    "usr/local/bin",
    "usr/local/etc",
    "usr/etc",
    "etc",
    "etc/passwd",
    "etc/group",
    "etc/alternatives",
    "etc/ld.so.cache",
    "etc/localtime",
    "etc/ssl/certs",
    "etc/ssl/certs/ca-certificates.crt",
    "etc/apt/sources.list",
    "etc/apt/sources.list.d",
    "etc/apt/apt.conf.d",
    "etc/profile.d",
    "etc/pip.conf",
};

// A machine that went down while the view was written may have lost some of it: each boot has its
// own.
static void add_boot(struct statkey *key)
{
    char boot[64];
    if (fd_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof(boot)) > 0)
        statkey_add_text(key, boot);
}

static void view_name(const char *host, int host_fd, char ret_name[NAME_SIZE])
{
    struct statkey key = STATKEY_INIT;
    uid_t uid = geteuid();
    statkey_add_text(&key, FORMAT);
    statkey_add_text(&key, host);
    statkey_add(&key, &uid, sizeof(uid));
    add_boot(&key);
    for (size_t i = 0; i < ARRAY_SIZE(watched); i++) {
        struct stat info;
        bool there = fstatat(host_fd, watched[i], &info, AT_SYMLINK_NOFOLLOW) == 0;
        statkey_add_stat(&key, there ? &info : NULL);
    }
    char name[STATKEY_SIZE];
    statkey_name(&key, name);
    snprintf(ret_name, NAME_SIZE, "host-%s", name);
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

// 0, or NOT_FOUND when there is no such view.
static int read_manifest(const struct cachedir *cache, const char *name, struct image *ret_image,
                         struct sbx_error *err)
{
    char path[NAME_SIZE + 16], tree[PATH_MAX], text[MANIFEST_MAX];
    snprintf(path, sizeof(path), "%s/manifest", name);
    if ((size_t)snprintf(tree, sizeof(tree), "%s/%s", cache->path, name) >= sizeof(tree))
        return err_set(err, SBX_ERR_INVALID, "the path of the cache directory is too long");
    cleanup_fd int fd = openat(cache->fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : fd_read_full(fd, text, sizeof(text) - 1);
    if (size < 0)
        return err_sys(err, 0, errno, "cannot read %s/%s", cache->path, path);
    text[size] = '\0';
    touch(fd);
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

struct build {
    const struct cachedir *cache;
    const char *host;
    int host_fd;
    char building[NAME_SIZE + 8];
};

static int build_view(void *payload, int new_fd, struct sbx_error *err)
{
    const struct build *build = payload;
    hostview_prune(build->cache, build->building);
    return hosttree_build(new_fd, build->host_fd, build->host, err);
}

int hostview_open(const char *host, const struct cachedir *cache, struct deadline deadline,
                  struct image *ret_image, struct sbx_error *err)
{
    cleanup_fd int host_fd = open(host[0] ? host : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (host_fd < 0)
        return err_sys(err, 0, errno, "cannot open %s", host[0] ? host : "/");
    char name[NAME_SIZE];
    view_name(host, host_fd, name);
    int rc = read_manifest(cache, name, ret_image, err);
    if (rc != SBX_ERR_NOT_FOUND)
        return rc;
    struct build build = {.cache = cache, .host = host, .host_fd = host_fd};
    snprintf(build.building, sizeof(build.building), "%s.new", name);
    rc = cachedir_once(cache->fd, "host.lock", name, deadline, build_view, &build, err);
    return rc < 0 ? rc : read_manifest(cache, name, ret_image, err);
}
