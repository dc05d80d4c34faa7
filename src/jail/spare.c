// SPDX-License-Identifier: Apache-2.0
// Spare networks: see spare.h. Layer: jail.
#include "jail/spare.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "jail/ids.h"
#include "jail/network.h"

// Behind whoever is at work: the sandbox that took the last one is about to run its first command.
#define NICE 10
#define DELAY_MS 3

enum { SPARE_USERNS, SPARE_NETNS, SPARE_DEVICE, SPARE_MAX };

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

// A range of ids as if for a new sandbox, and the network in it. How many descriptors, or a code.
static int make(struct jail *jail, int ret_fds[SPARE_MAX], struct sbx_error *err)
{
    char id[24] = "";
    unsigned char seed[8];
    if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        return jail_fail(err, "ids", "cannot get random bytes");
    for (size_t i = 0; i < sizeof(seed); i++)
        snprintf(id + 2 * i, 3, "%02x", seed[i]);
    jail->spec.id = id;
    ids_choose(jail);
    jail->shared->netns_fd = jail->shared->device_fd = -1;
    pid_t pid = network_start(jail, err);
    if (pid < 0)
        return pid;
    ret_fds[SPARE_USERNS] = ids_open_namespace(jail, pid, err);
    int code = network_join(jail, pid, err);
    ret_fds[SPARE_NETNS] = jail->shared->netns_fd;
    ret_fds[SPARE_DEVICE] = jail->shared->device_fd;
    if (code == 0 && ret_fds[SPARE_USERNS] < 0)
        code = ret_fds[SPARE_USERNS];
    return code < 0 ? code : ret_fds[SPARE_DEVICE] >= 0 ? SPARE_MAX : SPARE_DEVICE;
}

static int serve_one(struct jail *jail)
{
    struct sbx_error err;
    int fds[SPARE_MAX] = {-1, -1, -1};
    int count = make(jail, fds, &err);
    if (count > 0)
        count = frame_send(BOOT_FD, BOX_SPARE, &jail->ids.base, sizeof(jail->ids.base), fds,
                           (size_t)count, deadline_in(10000), &err);
    close_all(fds, SPARE_MAX);
    return count < 0 ? -1 : 0;
}

// Waits for the next wish, and then a moment for others. False at the end of the socket.
static bool is_wanted(void)
{
    static const struct timespec delay = {.tv_nsec = DELAY_MS * 1000000L};
    char byte;
    ssize_t got = recv(BOOT_FD, &byte, 1, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) {
        do
            got = recv(BOOT_FD, &byte, 1, 0);
        while (got < 0 && errno == EINTR);
        nanosleep(&delay, NULL);
    }
    return got == 1;
}

void spare_serve(struct jail *jail, const struct frame *request)
{
    uint32_t network;
    if (request->size != sizeof(network))
        return;
    memcpy(&network, request->payload, sizeof(network));
    jail->spec.network = network;
    prctl(PR_SET_NAME, "sandboxes-spare");
    (void)setpriority(PRIO_PROCESS, 0, NICE);
    if (network == SBX_NETWORK_HOST || !jail_begin(jail) || !jail->privileged)
        return;
    while (is_wanted() && serve_one(jail) == 0)
        ;
}

int spare_take(struct jail *jail, const struct frame *frame)
{
    struct jail_spare *spare = &jail->spare;
    bool good = frame->size == sizeof(spare->base) && spare->userns_fd < 0 &&
                frame->fd_count > SPARE_NETNS && frame->fd_count <= SPARE_MAX;
    if (good)
        memcpy(&spare->base, frame->payload, sizeof(spare->base));
    if (!good || !ids_is_base(spare->base)) {
        close_all(frame->fds, frame->fd_count);
        return -1;
    }
    spare->userns_fd = frame->fds[SPARE_USERNS];
    spare->netns_fd = frame->fds[SPARE_NETNS];
    spare->device_fd = frame->fd_count > SPARE_DEVICE ? frame->fds[SPARE_DEVICE] : -1;
    return 0;
}

bool spare_use(struct jail *jail)
{
    const struct jail_spare *spare = &jail->spare;
    bool device = jail->spec.network != SBX_NETWORK_NONE;
    if (spare->userns_fd < 0)
        return false;
    if (!jail->privileged || jail->spec.network == SBX_NETWORK_HOST ||
        device != (spare->device_fd >= 0)) {
        close_all((const int[]){spare->userns_fd, spare->netns_fd, spare->device_fd}, SPARE_MAX);
        return false;
    }
    jail->ids.base = jail->ids.gid_base = spare->base;
    jail->userns_fd = spare->userns_fd;
    jail->shared->netns_fd = spare->netns_fd;
    jail->shared->device_fd = jail->device_fd = spare->device_fd;
    return true;
}
