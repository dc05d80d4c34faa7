// SPDX-License-Identifier: Apache-2.0
// "Something is going on", on a terminal only and not before 300 ms have passed. Layer: cli.
#pragma once

#include <pthread.h>
#include <stdbool.h>

struct spinner {
    const char *text; // borrowed until spinner_stop()
    pthread_t thread;
    int wake[2]; // the writing end closed: end
    bool running;
};

// Does nothing when stderr is no terminal or `quiet`. Failing to start is no failure.
void spinner_start(struct spinner *spinner, const char *text, bool quiet);
void spinner_stop(struct spinner *spinner);
