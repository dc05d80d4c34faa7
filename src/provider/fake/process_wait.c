// SPDX-License-Identifier: Apache-2.0
// Commands of the provider "fake": waiting for a change, or for an end. Layer: provider.
#include "provider/fake/process_impl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "base/cleanup.h"
#include "base/fd.h"

void fake_process_notify(struct fake_process *process)
{
    pthread_cond_broadcast(&process->changed);
    for (struct waiter *waiter = process->waiters; waiter; waiter = waiter->next) {
        ssize_t written = write(waiter->wake_fd, "", 1);
        (void)written; // full: it will wake up anyway
    }
}

void fake_process_notify_all(struct fake_box *box)
{
    for (struct fake_process *process = box->processes; process; process = process->next)
        fake_process_notify(process);
}

int fake_process_wait_change(struct fake_process *process, struct deadline deadline,
                             struct sbx_error *err)
{
    int ends[2];
    if (fd_pipe(ends) < 0)
        return err_sys(err, 0, errno, "cannot make a pipe to wait for a command");
    fd_set_nonblock(ends[1], true);
    struct waiter waiter = {.next = process->waiters, .wake_fd = ends[1]};
    process->waiters = &waiter;
    fake_unlock(process->box->provider);
    int code = deadline_wait(deadline, ends[0], POLLIN, NULL, err);
    fake_lock(process->box->provider);
    struct waiter **at = &process->waiters;
    while (*at != &waiter)
        at = &(*at)->next;
    *at = waiter.next;
    close(ends[0]);
    close(ends[1]);
    return code;
}

void fake_process_wait_until(struct fake_process *process, int64_t at_ms)
{
    int64_t until = at_ms < process->timeout_at ? at_ms : process->timeout_at;
    if (process->box->expires_at < until)
        until = process->box->expires_at;
    if (until == DEADLINE_NEVER) {
        pthread_cond_wait(&process->changed, &process->box->provider->lock);
        return;
    }
    int64_t left = until - clock_boot_ms();
    if (left <= 0)
        return;
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += left / 1000;
    at.tv_nsec += left % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&process->changed, &process->box->provider->lock, &at);
}

static void check_time(struct fake_process *process)
{
    int64_t now = clock_boot_ms();
    if (process->signal)
        return;
    if (process->timeout_at <= now)
        process->outcome.flags |= SBX_OUTCOME_TIMED_OUT;
    if (process->timeout_at <= now || process->box->expires_at <= now)
        process->signal = SIGKILL;
}

bool fake_process_alive(struct fake_process *process)
{
    check_time(process);
    while (process->stopped && !process->signal) {
        fake_process_wait_until(process, DEADLINE_NEVER);
        check_time(process);
    }
    return !process->signal;
}

bool fake_process_sleep(struct fake_process *process, int64_t ms)
{
    int64_t until = clock_boot_ms() + ms;
    while (fake_process_alive(process) && clock_boot_ms() < until)
        fake_process_wait_until(process, until);
    return fake_process_alive(process);
}
