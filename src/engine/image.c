// SPDX-License-Identifier: Apache-2.0
// Images by name: this machine's view, a directory, an archive, a registry's. Layer: engine.
#include "engine/image.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "engine/basetree.h"
#include "engine/cachedir.h"
#include "engine/hostview.h"
#include "engine/pulled.h"
#include "engine/tarball.h"

#define FORMS                                                                                      \
    "'host', a registry's name such as python:3.12-slim, a directory such as ./rootfs, or an "     \
    "archive such as ./rootfs.tar.gz"

// A name that only a path has, or one that could be a registry's too but is there.
static bool is_path(const char *name)
{
    struct stat info;
    if (name[0] == '/' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        strncmp(name, "./", 2) == 0 || strncmp(name, "../", 3) == 0)
        return true;
    return strchr(name, '/') && stat(name, &info) == 0;
}

static int open_path(const char *name, const struct cachedir *cache, struct deadline deadline,
                     struct image *ret_image, struct sbx_error *err)
{
    struct stat info;
    cleanup_free char *path = realpath(name, NULL);
    if (!path || stat(path, &info) < 0) {
        int rc = err_sys(err, errno == ENOENT ? SBX_ERR_NOT_FOUND : 0, errno,
                         "cannot use the image %s", name);
        err_hint(err, "images are " FORMS);
        return rc;
    }
    if (S_ISDIR(info.st_mode) && pulled_is_saved(path))
        return pulled_open_saved(name, path, cache, deadline, ret_image, err);
    if (S_ISDIR(info.st_mode))
        return basetree_open(name, path, cache, deadline, ret_image, err);
    return tarball_open(name, path, cache, deadline, ret_image, err);
}

int image_open(const char *name, uint32_t flags, struct deadline deadline, struct image *ret_image,
               struct sbx_error *err)
{
    bool host = !name || strcmp(name, "host") == 0;
    cleanup(cachedir_close) struct cachedir cache = {.fd = -1};
    int rc = cachedir_open(&cache, err);
    if (rc < 0)
        return rc;
    if (host)
        return hostview_open("", flags, &cache, deadline, ret_image, err);
    return is_path(name) ? open_path(name, &cache, deadline, ret_image, err)
                         : pulled_open(name, flags, &cache, deadline, ret_image, err);
}
