// SPDX-License-Identifier: Apache-2.0
// A pull's line on the terminal. Layer: registry.
#include "registry/progress.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/thread.h"

#define DRAW_MS 100
#define LINE_MAX_SIZE 256
#define BAR_WIDTH 20

void progress_add(struct progress *progress, uint64_t bytes)
{
    atomic_fetch_add(&progress->done, bytes);
}

void progress_line(const struct progress *progress, int64_t now_ms, unsigned width, char *ret_line,
                   size_t size)
{
    char bar[BAR_WIDTH + 1];
    uint64_t total = progress->total, done = progress->done;
    int64_t passed = now_ms - progress->began_ms;
    size_t full = total ? (size_t)(done > total ? BAR_WIDTH : done * BAR_WIDTH / total) : 0;
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '=', full);
    bar[BAR_WIDTH] = '\0';
    if (!total)
        snprintf(ret_line, size, "%s: asking the registry", progress->name);
    else
        snprintf(ret_line, size, "%s [%s] %.1f of %.1f MB, %u of %u layers, %.1f MB/s",
                 progress->name, bar, (double)done / 1e6, (double)total / 1e6,
                 progress->layers_done, progress->layers,
                 passed > 0 ? (double)done / 1e3 / (double)passed : 0.0);
    if (width && strlen(ret_line) > width)
        ret_line[width] = '\0';
}

static unsigned terminal_width(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col - 1u : 79;
}

static void draw(const struct progress *progress)
{
    char line[LINE_MAX_SIZE], out[LINE_MAX_SIZE + 8];
    progress_line(progress, clock_boot_ms(), terminal_width(), line, sizeof(line));
    int length = snprintf(out, sizeof(out), "\r\033[K%s", line);
    (void)fd_write_full(STDERR_FILENO, out, (size_t)length);
}

static void *run(void *argument)
{
    struct progress *progress = argument;
    struct pollfd wake = {.fd = progress->wake[0], .events = POLLIN};
    while (poll(&wake, 1, DRAW_MS) == 0)
        draw(progress);
    (void)fd_write_full(STDERR_FILENO, "\r\033[K", 4);
    return NULL;
}

void progress_start(struct progress *progress, const char *name, bool quiet)
{
    *progress = (struct progress){.name = name, .began_ms = clock_boot_ms()};
    if (quiet || !isatty(STDERR_FILENO) || fd_pipe(progress->wake) < 0)
        return;
    progress->running = thread_start(&progress->thread, run, progress) == 0;
    if (!progress->running) {
        close(progress->wake[0]);
        close(progress->wake[1]);
    }
}

void progress_stop(struct progress *progress)
{
    if (!progress->running)
        return;
    close(progress->wake[1]);
    pthread_join(progress->thread, NULL);
    close(progress->wake[0]);
    progress->running = false;
}
