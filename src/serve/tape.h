// SPDX-License-Identifier: Apache-2.0
/*
 * What a command has written, kept for whoever asks later: the beginning in memory, and all of it
 * in a file without a name once it is longer. It only grows. Its owner locks. Layer: serve.
 */
#pragma once

#include "serve/serve.h"

#define TAPE_MEMORY_MAX (256 * 1024)

struct tape {
    struct serve *serve; // whose directory the file is in
    struct buf memory;   // all of it while there is no file
    int fd;              // -1: none
    size_t size;
};

void tape_init(struct tape *tape, struct serve *serve);
void tape_deinit(struct tape *tape);
// False when it can't be kept, as of a full disk: nothing of it is then.
bool tape_add(struct tape *tape, const void *data, size_t size);
// Up to `size` bytes from `at` on; 0 at its end, and where it can't be read.
size_t tape_read(const struct tape *tape, size_t at, void *data, size_t size);
