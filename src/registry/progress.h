// SPDX-License-Identifier: Apache-2.0
// How far a pull is, as one line on a terminal that is drawn again and again. Layer: registry.
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    const char *name;
    _Atomic uint64_t total, done; // bytes
    _Atomic unsigned layers, layers_done;
    int64_t began_ms;
    pthread_t thread;
    int wake[2];
    bool running;
};

// Draws on standard error if that is a terminal and not `quiet`; counts in any case.
void progress_start(struct progress *progress, const char *name, bool quiet);
void progress_stop(struct progress *progress);
void progress_add(struct progress *progress, uint64_t bytes);

// The line, at most `width` columns.
void progress_line(const struct progress *progress, int64_t now_ms, unsigned width, char *ret_line,
                   size_t size);
