// SPDX-License-Identifier: Apache-2.0
// The root file system of a sandbox in a guest. Layer: vmm.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/node.h"
#include "vmm/guest.h"

#define LAYER_LEAST (1 << 20) // until it is told what it may take

// In the writable layer's file system.
static const struct node nodes[] = {
    {"up", S_IFDIR | 0755, NULL, 0, 0},      {"work", S_IFDIR | 0700, NULL, 0, 0},
    {"up/proc", S_IFDIR | 0555, NULL, 0, 0}, {"up/sys", S_IFDIR | 0555, NULL, 0, 0},
    {"up/dev", S_IFDIR | 0755, NULL, 0, 0},  {"up/tmp", S_IFDIR | 01777, NULL, 0, 0},
};

static int make_nodes(void)
{
    mode_t saved = umask(0);
    const struct node *failed = node_make_all(nodes, ARRAY_SIZE(nodes));
    if (!failed)
        failed = node_make_all(node_dev, ARRAY_SIZE(node_dev));
    if (!failed)
        failed = node_make_all(node_devices, ARRAY_SIZE(node_devices));
    umask(saved);
    return failed ? guest_fail(failed->path) : 0;
}

// Nobody else changes the image while it is in use, so what was read once stays good: cache=loose.
// Large messages, because each costs two changes between guest and host.
#define IMAGE_OPTIONS "trans=virtio,version=9p2000.L,cache=loose,msize=524288,access=client"

#define ROOT "/new"

static const char *const directories[] = {"/rw", "/image", ROOT, "/proc", "/dev", "/group"};

static void layer_options(uint64_t bytes, char *ret_text, size_t size)
{
    // An inode takes about 1 KiB of kernel memory; one for each 4 KiB of disk is plenty.
    snprintf(ret_text, size, "size=%llu,nr_inodes=%llu,mode=0755", (unsigned long long)bytes,
             (unsigned long long)bytes / 4096 + 1024);
}

int guest_leave_disk(void)
{
    char options[100];
    layer_options(LAYER_LEAST, options, sizeof(options));
    mkdir("/stage", 0755);
    // The initial root itself can't be left by pivot_root(2): ramfs-rootfs-initramfs.rst.
    if (mount("tmpfs", "/stage", "tmpfs", MS_NOSUID | MS_NODEV, "size=64k") < 0 ||
        chdir("/stage") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
        chdir("/") < 0)
        return guest_fail("cannot leave the initial memory disk");
    for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
        mkdir(directories[i], 0755);
    if (mount("tmpfs", "/rw", "tmpfs", MS_NOSUID, options) < 0 || chdir("/rw") < 0)
        return guest_fail("cannot mount the writable layer");
    if (make_nodes() < 0)
        return -1;
    return chdir("/") < 0 ? guest_fail("cannot leave the writable layer") : 0;
}

int guest_mount_own(void)
{
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return guest_fail("cannot mount /proc");
    if (mount("/rw/dev", "/dev", NULL, MS_BIND | MS_REC, NULL) < 0 ||
        mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
              "newinstance,ptmxmode=0666,mode=0620") < 0)
        return guest_fail("cannot mount /dev");
    return 0;
}

static int mount_root(uint64_t disk_bytes)
{
    char options[100];
    layer_options(disk_bytes, options, sizeof(options));
    if (mount("tmpfs", "/rw", "tmpfs", MS_NOSUID | MS_REMOUNT, options) < 0)
        return guest_fail("cannot set the size of the writable layer");
    if (mount("image", "/image", "9p", MS_RDONLY | MS_NOSUID | MS_NODEV, IMAGE_OPTIONS) < 0)
        return guest_fail("cannot mount the image");
    if (mount("overlay", ROOT, "overlay", MS_NOSUID | MS_NODEV,
              "lowerdir=/image,upperdir=/rw/up,workdir=/rw/work") < 0)
        return guest_fail("cannot mount the root file system");
    return 0;
}

int guest_enter_root(const struct guest_config *config)
{
    if (mount_root(config->disk_bytes) < 0 || guest_mount_shares(config, ROOT) < 0)
        return -1;
    if (mount("/proc", ROOT "/proc", NULL, MS_MOVE, NULL) < 0 ||
        mount("/dev", ROOT "/dev", NULL, MS_MOVE, NULL) < 0)
        return guest_fail("cannot move /proc and /dev");
    // The old root comes to lie above the new one, and is taken away: pivot_root(2).
    cleanup_fd int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (old < 0 || chdir(ROOT) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
        umount2(".", MNT_DETACH) < 0 || fchdir(old) < 0)
        return guest_fail("cannot enter the root file system");
    return 0;
}
