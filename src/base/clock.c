// SPDX-License-Identifier: Apache-2.0
// Time and deadlines. Layer: base.
#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <time.h>

#include "base/cancel.h"

#ifndef CLOCK_BOOTTIME
#define CLOCK_BOOTTIME CLOCK_MONOTONIC
#endif

static int64_t read_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_boot_ns(void)
{
    return read_ns(CLOCK_BOOTTIME);
}

int64_t clock_boot_ms(void)
{
    return clock_boot_ns() / 1000000;
}

int64_t clock_unix_ms(void)
{
    return read_ns(CLOCK_REALTIME) / 1000000;
}

struct deadline deadline_in(int64_t timeout_ms)
{
    struct deadline deadline = {.at_ms = DEADLINE_NEVER};
    int64_t now = clock_boot_ms();
    if (timeout_ms > 0 && timeout_ms < DEADLINE_NEVER - now)
        deadline.at_ms = now + timeout_ms;
    return deadline;
}

struct deadline deadline_from_call(const struct sbx_call *call)
{
    struct deadline deadline = {.at_ms = DEADLINE_NEVER};
    if (!call)
        return deadline;
    if (call->timeout_ms > 0)
        deadline = deadline_in(call->timeout_ms);
    deadline.cancel = call->cancel;
    return deadline;
}

struct deadline deadline_min(struct deadline deadline, int64_t at_ms)
{
    if (at_ms < deadline.at_ms)
        deadline.at_ms = at_ms;
    return deadline;
}

int deadline_poll_ms(struct deadline deadline)
{
    if (deadline.at_ms == DEADLINE_NEVER)
        return -1;
    int64_t left = deadline.at_ms - clock_boot_ms();
    if (left <= 0)
        return 0;
    return left > INT_MAX ? INT_MAX : (int)left;
}

int deadline_wait(struct deadline deadline, int fd, short events, short *ret_revents,
                  struct sbx_error *err)
{
    struct pollfd fds[2] = {{.fd = fd, .events = events},
                            {.fd = cancel_fd(deadline.cancel), .events = POLLIN}};
    for (;;) {
        int ready = poll(fds, 2, deadline_poll_ms(deadline));
        if (ready < 0 && errno != EINTR)
            return err_sys(err, 0, errno, "cannot wait for a descriptor");
        if (ready > 0 && fds[1].revents)
            return err_set(err, SBX_ERR_CANCELLED, "cancelled");
        if (ready > 0 && fds[0].revents) {
            if (ret_revents)
                *ret_revents = fds[0].revents;
            return 0;
        }
        if (ready == 0 && deadline_poll_ms(deadline) == 0)
            return err_set(err, SBX_ERR_TIMEOUT, "timed out");
    }
}
