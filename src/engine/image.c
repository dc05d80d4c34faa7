// SPDX-License-Identifier: Apache-2.0
// Images by name: this machine's view, a directory, a tarball. Layer: engine.
#include "engine/image.h"

#include <string.h>

#include "base/cleanup.h"
#include "engine/cachedir.h"
#include "engine/hostview.h"

#define FORMS "\"host\", a directory such as ./rootfs, or an archive such as ./rootfs.tar.gz"

static int unknown(const char *name, struct sbx_error *err)
{
    err_set(err, SBX_ERR_NOT_FOUND, "there is no image named '%s'", name);
    return err_hint(err, "name " FORMS " (a path has a '/' in it)");
}

static int open_by_name(const char *name, const struct cachedir *cache, struct deadline deadline,
                        struct image *ret_image, struct sbx_error *err)
{
    if (!name || strcmp(name, "host") == 0)
        return hostview_open("", cache, deadline, ret_image, err);
    return unknown(name, err);
}

int image_open(const char *name, struct deadline deadline, struct image *ret_image,
               struct sbx_error *err)
{
    cleanup(cachedir_close) struct cachedir cache = {.fd = -1};
    int rc = cachedir_open(&cache, err);
    if (rc < 0)
        return rc;
    return open_by_name(name, &cache, deadline, ret_image, err);
}
