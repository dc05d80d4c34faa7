// SPDX-License-Identifier: Apache-2.0
// The descriptors of one poll(2), filled anew for each. Layer: netstack.
#pragma once

#include <poll.h>
#include <stddef.h>

#define POLLSET_MAX 1024 // as many as the process may have open

struct pollset {
    size_t count;
    struct pollfd fds[POLLSET_MAX];
};

// Its index, or -1 when there is no room: then it is looked at in a later round.
static inline int pollset_add(struct pollset *set, int fd, short events)
{
    if (set->count == POLLSET_MAX)
        return -1;
    set->fds[set->count] = (struct pollfd){.fd = fd, .events = events};
    return (int)set->count++;
}

static inline short pollset_revents(const struct pollset *set, int index)
{
    return index >= 0 && (size_t)index < set->count ? set->fds[index].revents : 0;
}
