// SPDX-License-Identifier: Apache-2.0
/*
 * What the user mounts. All of it comes by two shares, what may be written and what may not, which
 * have each mount by its number; that a guest can't write to the other one is held outside, by QEMU
 * and the jail. Layer: vmm.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mount_api.h"
#include "base/mount_point.h"
#include "vmm/guest.h"
#include "wire/agent_msg.h"

// Others change these files too: nothing is kept of them but what a program maps.
#define OPTIONS "trans=virtio,version=9p2000.L,cache=mmap,msize=524288,access=client"

static const struct share {
    char kind;
    const char *tag, *path;
    unsigned long flags;
} shares[] = {
    {'r', "read", "/read", MS_RDONLY | MS_NOSUID | MS_NODEV},
    {'w', "write", "/write", MS_NOSUID | MS_NODEV},
};

static const struct share *share_of(const struct sbx_pair *asked)
{
    for (size_t i = 0; i < ARRAY_SIZE(shares); i++)
        if (asked->value[0] == shares[i].kind && !asked->value[1])
            return &shares[i];
    return NULL;
}

// Once, for the first that is asked of it.
static int open_share(const struct share *share)
{
    if (mkdir(share->path, 0755) < 0)
        return errno == EEXIST ? 0 : -1;
    return mount(share->tag, share->path, "9p", share->flags, OPTIONS);
}

static int attach(const struct sbx_pair *asked, size_t number, int root_fd)
{
    char source[32];
    struct stat info;
    const struct share *share = share_of(asked);
    errno = EINVAL;
    if (!share || asked->name[0] != '/' || open_share(share) < 0)
        return -1;
    snprintf(source, sizeof(source), "%s/%zu", share->path, number);
    cleanup_fd int fd = mount_clone(source, false); // with the flags of the share
    if (fd < 0 || fstat(fd, &info) < 0)
        return -1;
    cleanup_fd int target =
        mount_point_open(root_fd, asked->name, S_ISDIR(info.st_mode), mount_point_make, NULL);
    return target < 0 ? -1 : mount_move_onto(fd, target);
}

static int attach_all(const struct agent_config *told, const char *root)
{
    cleanup_fd int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < told->mount_count; i++)
        if (attach(&told->mounts[i], i, root_fd) < 0) {
            char what[120];
            snprintf(what, sizeof(what), "cannot mount '%.90s'", told->mounts[i].name);
            return guest_fail(what);
        }
    return 0;
}

int guest_mount_shares(const struct guest_config *config, const char *root)
{
    struct agent_config told;
    errno = EINVAL;
    if (agent_config_get(config->agent, config->agent_size, &told) < 0)
        return guest_fail("cannot read the agent's configuration");
    int code = attach_all(&told, root);
    agent_config_deinit(&told);
    return code;
}
