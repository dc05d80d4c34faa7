// SPDX-License-Identifier: Apache-2.0
// Scoped ownership: a variable marked cleanup_* is released when it leaves scope unless stolen.
// Layer: base.
#pragma once

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_fn(void *pointer)
{
    free(*(void **)pointer);
}

static inline void cleanup_fd_fn(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define cleanup(fn) __attribute__((cleanup(fn)))
#define cleanup_free cleanup(cleanup_free_fn)
#define cleanup_fd cleanup(cleanup_fd_fn)

// Takes ownership out of a cleanup variable: steal_ptr(p) yields p and leaves NULL.
#define steal_ptr(p)                                                                               \
    ({                                                                                             \
        __typeof__(p) stolen_ = (p);                                                               \
        (p) = NULL;                                                                                \
        stolen_;                                                                                   \
    })

static inline int steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
