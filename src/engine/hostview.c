// SPDX-License-Identifier: Apache-2.0
// The image `host`: what it is made from. Layer: engine.
#include "engine/hostview.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/hosttree.h"
#include "engine/view.h"

// What the view is made from: a change of these makes a new one. Not etc itself, which changes with
// every lease of an address; what packages put there comes with a new state of the package
// database.
static const char *const watched[] = {
    "usr/bin",
    "usr/local/bin",
    "usr/local/etc",
    "usr/etc",
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
    "var/lib/dpkg", // its files are linked to, so new ones need a new view
    "var/lib/dpkg/info",
};

struct source {
    const char *host;
    int host_fd;
    bool mirror;
};

static int build(void *payload, int new_fd, struct sbx_error *err)
{
    const struct source *source = payload;
    return hosttree_build(new_fd, source->host_fd, source->host, source->mirror, err);
}

int hostview_open(const char *host, uint32_t flags, const struct cachedir *cache,
                  struct deadline deadline, struct image *ret_image, struct sbx_error *err)
{
    cleanup_fd int host_fd = open(host[0] ? host : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (host_fd < 0)
        return err_sys(err, 0, errno, "cannot open %s", host[0] ? host : "/");
    struct statkey key = view_key("host");
    bool mirror = (flags & IMAGE_FOR_ROOT) && geteuid() != 0;
    statkey_add_text(&key, host);
    statkey_add(&key, &mirror, sizeof(mirror));
    for (size_t i = 0; i < ARRAY_SIZE(watched); i++) {
        struct stat info;
        bool there = fstatat(host_fd, watched[i], &info, AT_SYMLINK_NOFOLLOW) == 0;
        statkey_add_stat(&key, there ? &info : NULL);
    }
    struct source source = {host, host_fd, mirror};
    return view_open(cache, "host", &key, deadline, build, &source, ret_image, err);
}
