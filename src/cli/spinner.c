// SPDX-License-Identifier: Apache-2.0
// "Something is going on", on a terminal only. Layer: cli.
#include "cli/spinner.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/term.h"

#define DELAY_MS 300
#define FRAME_MS 100

static bool ended(struct spinner *spinner, int wait_ms)
{
    struct pollfd wake = {.fd = spinner->wake[0], .events = POLLIN};
    return poll(&wake, 1, wait_ms) != 0;
}

static void *spin(void *payload)
{
    static const char *const frames[] = {"|", "/", "-", "\\"};
    struct spinner *spinner = payload;
    bool drawn = false;
    for (int wait = DELAY_MS, i = 0; !ended(spinner, wait); wait = FRAME_MS, i++) {
        char line[160];
        int length = snprintf(line, sizeof(line), "\r%s %.100s", frames[i % 4], spinner->text);
        drawn = fd_write_full(STDERR_FILENO, line, (size_t)length) == 0;
    }
    if (drawn && fd_write_full(STDERR_FILENO, "\r\033[K", 4) < 0)
        return NULL; // the terminal is gone
    return NULL;
}

void spinner_start(struct spinner *spinner, const char *text, bool quiet)
{
    *spinner = (struct spinner){.text = text};
    if (quiet || !term_smart(STDERR_FILENO) || fd_pipe(spinner->wake) < 0)
        return;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); // signals are the main thread's
    spinner->running = pthread_create(&spinner->thread, NULL, spin, spinner) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!spinner->running) {
        close(spinner->wake[0]);
        close(spinner->wake[1]);
    }
}

void spinner_stop(struct spinner *spinner)
{
    if (!spinner->running)
        return;
    close(spinner->wake[1]);
    pthread_join(spinner->thread, NULL);
    close(spinner->wake[0]);
    spinner->running = false;
}
