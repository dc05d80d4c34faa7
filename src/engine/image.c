// SPDX-License-Identifier: Apache-2.0
// Images by name: this machine's view, a directory, an archive. Layer: engine.
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
#include "engine/tarball.h"

#define FORMS                                                                                      \
    "'host', a directory such as ./rootfs, or an archive such as ./rootfs.tar.gz; "                \
    "names of registries are not understood"

static int unknown(const char *name, struct sbx_error *err)
{
    struct stat info;
    err_set(err, SBX_ERR_NOT_FOUND, "there is no image named '%s'", name);
    if (stat(name, &info) == 0)
        return err_hint(err, "to use the file or directory of that name, write './%s'", name);
    return err_hint(err, "images are " FORMS);
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
    if (S_ISDIR(info.st_mode))
        return basetree_open(name, path, cache, deadline, ret_image, err);
    return tarball_open(name, path, cache, deadline, ret_image, err);
}

int image_open(const char *name, uint32_t flags, struct deadline deadline, struct image *ret_image,
               struct sbx_error *err)
{
    bool host = !name || strcmp(name, "host") == 0;
    if (!host && !strchr(name, '/'))
        return unknown(name, err);
    cleanup(cachedir_close) struct cachedir cache = {.fd = -1};
    int rc = cachedir_open(&cache, err);
    if (rc < 0)
        return rc;
    return host ? hostview_open("", flags, &cache, deadline, ret_image, err)
                : open_path(name, &cache, deadline, ret_image, err);
}
