// SPDX-License-Identifier: Apache-2.0
// SIGPIPE kept from the program. Layer: base.
#include "base/sigpipe.h"

#include <errno.h>
#include <pthread.h>

static bool is_pending(void)
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGPIPE);
}

void sigpipe_block(struct sigpipe *guard)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    guard->was_pending = is_pending();
    pthread_sigmask(SIG_BLOCK, &set, &guard->before);
}

void sigpipe_restore(const struct sigpipe *guard)
{
    int saved = errno, signal;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    if (!guard->was_pending && is_pending())
        sigwait(&set, &signal);
    pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
    errno = saved;
}
