// SPDX-License-Identifier: Apache-2.0
// Spares: see spare.h. Layer: engine.
#include "engine/spare.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "engine/launch.h"
#include "wire/box_msg.h"
#include "wire/frame.h"

#define READY 3 // at most so many wait

#define ROOT_MOUNT 0x4000 // STATX_MNT_ID_UNIQUE of <linux/stat.h>, Linux 6.8
#define NETWORK_COOKIE 71 // SO_NETNS_COOKIE of <asm-generic/socket.h>, Linux 5.14

void spares_init(struct spares *spares)
{
    *spares = (struct spares){0};
    pthread_mutex_init(&spares->lock, NULL);
    for (int kind = 0; kind < SPARES_KINDS; kind++)
        spares->kinds[kind].fd = -1;
}

void spares_deinit(struct spares *spares)
{
    for (int kind = 0; kind < SPARES_KINDS; kind++)
        if (spares->kinds[kind].fd >= 0)
            close(spares->kinds[kind].fd);
    pthread_mutex_destroy(&spares->lock);
}

void spares_forked(struct spares *spares)
{
    for (int kind = 0; kind < SPARES_KINDS; kind++) {
        if (spares->kinds[kind].fd >= 0)
            close(spares->kinds[kind].fd);
        spares->kinds[kind].fd = -1;
    }
}

void spares_drop(struct spares *spares)
{
    pthread_mutex_lock(&spares->lock);
    spares_forked(spares);
    pthread_mutex_unlock(&spares->lock);
}

// -1: none are made for it.
static int kind_of(uint32_t network)
{
    if (network == SBX_NETWORK_HOST || geteuid() != 0)
        return -1;
    return network == SBX_NETWORK_NONE ? SPARES_NONE : SPARES_DEVICE;
}

static void give_up(struct spares *spares, int kind)
{
    close(steal_fd(&spares->kinds[kind].fd));
    spares->kinds[kind].given_up = true;
}

// passed: -1, or a socket for the jail that is wanted at once.
static bool wish(int fd, int passed)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    char letter = BOX_WISH;
    struct iovec part = {&letter, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (passed >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        control.header = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
        memcpy(CMSG_DATA(&control.header), &passed, sizeof(passed));
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

// A message for each. While its queue is full it has enough to do.
static void ask(struct spares *spares, int kind)
{
    for (; spares->kinds[kind].owed > 0; spares->kinds[kind].owed--)
        if (!wish(spares->kinds[kind].fd, -1)) {
            if (errno != EAGAIN)
                give_up(spares, kind);
            return;
        }
}

static int fork_jail(struct spares *spares, int kind)
{
    int ends[2];
    if (spares->kinds[kind].fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    bool asked = wish(spares->kinds[kind].fd, ends[1]);
    if (!asked && errno != EAGAIN)
        give_up(spares, kind);
    close(ends[1]);
    if (asked)
        return ends[0];
    close(ends[0]);
    return -1;
}

// Without the buffer that a message may need.
static bool is_silent(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

// The next message of the helper, if there is one.
static int take(struct spares *spares, int kind, struct frame_in *in)
{
    struct frame frame;
    int fd = spares->kinds[kind].fd;
    int filled = fd < 0 || is_silent(fd) ? 0 : frame_fill(fd, in);
    if (filled == 0)
        return -1;
    if (filled > 0 && frame_next(in, &frame) == 1 && frame.type == BOX_SPARE &&
        frame.fd_count == 1) {
        spares->kinds[kind].owed++;
        return frame.fds[0];
    }
    give_up(spares, kind);
    return -1;
}

static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    for (const unsigned char *at = data; size > 0; at++, size--)
        hash = (hash ^ *at) * 1099511628211u; // FNV-1a
    return hash;
}

static uint64_t mix_file(uint64_t hash, const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? mix(hash, &info.st_ino, sizeof(info.st_ino)) : hash;
}

// No other namespace has this mount. Where the kernel tells it, that is several times faster than
// asking /proc, which makes objects for each thread that asks.
static uint64_t mix_mounts(uint64_t hash)
{
    struct statx info = {0};
    if (syscall(SYS_statx, AT_FDCWD, "/", 0, ROOT_MOUNT, &info) == 0 && info.stx_mask & ROOT_MOUNT)
        return mix(hash, &info.stx_mnt_id, sizeof(info.stx_mnt_id));
    return mix_file(hash, "/proc/thread-self/ns/mnt");
}

static uint64_t mix_network(uint64_t hash)
{
    uint64_t cookie;
    socklen_t size = sizeof(cookie);
    cleanup_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && getsockopt(fd, SOL_SOCKET, NETWORK_COOKIE, &cookie, &size) == 0)
        return mix(hash, &cookie, sizeof(cookie));
    return mix_file(hash, "/proc/thread-self/ns/net");
}

// Of this thread.
static uint64_t surroundings(void)
{
    char cgroups[4096];
    int nice = getpriority(PRIO_PROCESS, 0);
    uint64_t hash = mix(14695981039346656037u, &nice, sizeof(nice));
    // A process of several threads can't leave its user namespace: setns(2).
    hash = mix_file(mix_network(mix_mounts(hash)), "/proc/self/ns/user");
    ssize_t size = fd_read_file(AT_FDCWD, "/proc/thread-self/cgroup", cgroups, sizeof(cgroups));
    return size > 0 ? mix(hash, cgroups, (size_t)size) : hash;
}

static void start(struct spares *spares, int kind, uint32_t network, const char *jail,
                  uint64_t here)
{
    int fd = launch_helper(jail, network);
    spares->kinds[kind].fd = fd;
    spares->kinds[kind].surroundings = here;
    spares->kinds[kind].owed = READY;
    spares->kinds[kind].given_up = fd < 0;
}

// Those made elsewhere are of no use to this thread; maybe it is the only one.
static bool drop_foreign(struct spares *spares, int kind, uint64_t here)
{
    if (spares->kinds[kind].fd < 0 || spares->kinds[kind].surroundings == here)
        return false;
    close(steal_fd(&spares->kinds[kind].fd));
    spares->kinds[kind].launches = 1;
    return true;
}

int spares_take(struct spares *spares, uint32_t network, const char *jail)
{
    struct frame_in in;
    int kind = kind_of(network);
    if (kind < 0)
        return -1;
    frame_in_init(&in);
    pthread_mutex_lock(&spares->lock);
    bool again = spares->kinds[kind].launches++ > 0;
    pthread_mutex_unlock(&spares->lock);
    if (!again)
        return -1;
    uint64_t here = surroundings(); // many at once look at once
    pthread_mutex_lock(&spares->lock);
    if (!drop_foreign(spares, kind, here) && spares->kinds[kind].fd < 0 &&
        !spares->kinds[kind].given_up)
        start(spares, kind, network, jail, here);
    int fd = take(spares, kind, &in);
    if (fd < 0)
        fd = fork_jail(spares, kind);
    pthread_mutex_unlock(&spares->lock);
    frame_in_deinit(&in);
    return fd;
}

void spares_refill(struct spares *spares, uint32_t network)
{
    int kind = kind_of(network);
    if (kind < 0)
        return;
    pthread_mutex_lock(&spares->lock);
    if (spares->kinds[kind].fd >= 0)
        ask(spares, kind);
    pthread_mutex_unlock(&spares->lock);
}
