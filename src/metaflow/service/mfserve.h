// SPDX-License-Identifier: Apache-2.0
// Inside of the serving process: answers until it is told to end or has been idle for long. Layer:
// metaflow.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct mfserve {
    const char *root;
    int listen_fd, dir_fd, lock_fd;
    const char *id;
    int64_t idle_ms; // 0: never idle
    bool debug;
};

int mfserve_run(const struct mfserve *serve); // exit status
