// SPDX-License-Identifier: Apache-2.0
// Spare networks. Layer: engine.
#include "engine/spare.h"

#include <sys/socket.h>

#include "base/cleanup.h"
#include "engine/launch.h"
#include "wire/frame.h"

#define READY 3 // at most so many wait

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

// A message for each.
static void ask(struct spares *spares, int kind)
{
    for (; spares->kinds[kind].owed > 0; spares->kinds[kind].owed--)
        if (send(spares->kinds[kind].fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
            give_up(spares, kind);
            return;
        }
}

// The next message of the helper, if there is one.
static bool take(struct spares *spares, int kind, struct frame_in *in, struct frame *ret_frame)
{
    int fd = spares->kinds[kind].fd;
    int filled = fd < 0 ? 0 : frame_fill(fd, in);
    if (filled == 0)
        return false;
    if (filled > 0 && frame_next(in, ret_frame) == 1 && ret_frame->type == BOX_SPARE) {
        spares->kinds[kind].owed++;
        return true;
    }
    give_up(spares, kind);
    return false;
}

void spares_give(struct spares *spares, uint32_t network, int boot_fd)
{
    struct frame_in in;
    struct frame frame;
    struct sbx_error ignored;
    int kind = kind_of(network);
    if (kind < 0)
        return;
    frame_in_init(&in);
    pthread_mutex_lock(&spares->lock);
    bool taken = take(spares, kind, &in, &frame);
    pthread_mutex_unlock(&spares->lock);
    if (taken) {
        (void)frame_send(boot_fd, BOX_SPARE, frame.payload, frame.size, frame.fds, frame.fd_count,
                         deadline_in(1000), &ignored);
        for (size_t i = 0; i < frame.fd_count; i++)
            close(frame.fds[i]);
    }
    frame_in_deinit(&in);
}

static void start(struct spares *spares, int kind, uint32_t network, const char *jail)
{
    int fd = launch_helper(jail, BOX_SPARES, &network, sizeof(network));
    spares->kinds[kind].fd = fd;
    spares->kinds[kind].owed = READY;
    spares->kinds[kind].given_up = fd < 0;
}

void spares_refill(struct spares *spares, uint32_t network, const char *jail)
{
    int kind = kind_of(network);
    if (kind < 0)
        return;
    pthread_mutex_lock(&spares->lock);
    bool again = ++spares->kinds[kind].launches > 1;
    if (spares->kinds[kind].fd < 0 && !spares->kinds[kind].given_up && again)
        start(spares, kind, network, jail);
    if (spares->kinds[kind].fd >= 0)
        ask(spares, kind);
    pthread_mutex_unlock(&spares->lock);
}
