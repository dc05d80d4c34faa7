// SPDX-License-Identifier: Apache-2.0
// An empty mount namespace: see bare.h. Layer: jail.
#include "jail/bare.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define OWN_NAMESPACE "/proc/self/ns/mnt"

// Any directory will do to mount on: it is gone from here at once.
static int empty_namespace(void)
{
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                   mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                         "size=4k,nr_inodes=4,mode=0755") < 0 ||
                   chdir("/proc") < 0 || mkdir("." BARE_DISK, 0700) < 0 ||
                   syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
                   mount(NULL, "/", NULL,
                         MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                         NULL) < 0
               ? -1
               : 0;
}

int bare_enter(const struct bare *bare)
{
    return setns(bare->mounts_fd, CLONE_NEWNS);
}

// setns(2) goes to the root of the namespace, which need not be the one we had.
int bare_leave(const struct bare *bare, int cwd_fd)
{
    if (setns(bare->home_fd, CLONE_NEWNS) < 0 || fchdir(bare->root_fd) < 0 || chroot(".") < 0)
        return -1;
    return cwd_fd >= 0 ? fchdir(cwd_fd) : 0;
}

void bare_close(struct bare *bare)
{
    int *const fds[] = {&bare->mounts_fd, &bare->home_fd, &bare->root_fd};
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        if (*fds[i] >= 0)
            close(steal_fd(fds[i]));
}

void bare_make(struct bare *bare)
{
    bare->home_fd = open(OWN_NAMESPACE, O_RDONLY | O_CLOEXEC);
    bare->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (bare->home_fd < 0 || bare->root_fd < 0 || unshare(CLONE_NEWNS) < 0) {
        bare_close(bare);
        return;
    }
    bare->mounts_fd = open(OWN_NAMESPACE, O_RDONLY | O_CLOEXEC);
    bool made = bare->mounts_fd >= 0 && empty_namespace() == 0;
    if (bare_leave(bare, -1) < 0)
        _exit(1); // lost between two trees: the client starts jails itself then
    if (!made)
        bare_close(bare);
}
