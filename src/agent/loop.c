// SPDX-License-Identifier: Apache-2.0
// The event loop. Layer: agent.
#include "agent/loop.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/clock.h"

#define EVENTS_BATCH 32

int loop_init(struct loop *loop)
{
    loop->next_ms = DEADLINE_NEVER;
    loop->fd = epoll_create1(EPOLL_CLOEXEC);
    return loop->fd < 0 ? -1 : 0;
}

static int wait_ms(const struct loop *loop)
{
    return deadline_poll_ms((struct deadline){.at_ms = loop->next_ms});
}

void loop_turn(struct agent *agent)
{
    struct epoll_event events[EVENTS_BATCH];
    int count = epoll_wait(agent->loop.fd, events, EVENTS_BATCH, wait_ms(&agent->loop));
    for (int i = 0; i < count; i++) {
        struct watch *watch = events[i].data.ptr;
        if (watch->fd >= 0 && watch->events)
            watch->ready(agent, watch, events[i].events);
    }
}

void loop_wake_at(struct agent *agent, int64_t at_ms)
{
    if (at_ms < agent->loop.next_ms)
        agent->loop.next_ms = at_ms;
}

int watch_set(struct agent *agent, struct watch *watch, uint32_t events)
{
    if (watch->events == events || watch->fd < 0)
        return 0;
    int op = !watch->events ? EPOLL_CTL_ADD : !events ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(agent->loop.fd, op, watch->fd, &event) < 0)
        return -1;
    watch->events = events;
    return 0;
}

void watch_close(struct agent *agent, struct watch *watch)
{
    if (watch->fd < 0)
        return;
    watch_set(agent, watch, 0);
    close(watch->fd);
    watch->fd = -1;
    watch->events = 0;
}
