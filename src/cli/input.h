// SPDX-License-Identifier: Apache-2.0
// Carries our standard input to a command in a sandbox, on a thread of its own. Layer: cli.
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include <sandboxes/process.h>

#include "base/error.h"

struct input {
    struct sbx_process *process; // borrowed until input_stop()
    struct sbx_cancel *stop;
    pthread_t thread;
    bool running;
};

// Whether there can be anything to read on stdin: it is open and not /dev/null.
bool input_wanted(void);

int input_start(struct input *input, struct sbx_process *process, struct sbx_error *err);
void input_stop(struct input *input);
