// SPDX-License-Identifier: Apache-2.0
// Names of the C library for heap.h, in static programs with musl, which allows that. Layer: base.
#include "base/heap.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef __GLIBC__
void *malloc(size_t size)
{
    return heap_get(size);
}

void *calloc(size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size) {
        errno = ENOMEM;
        return NULL;
    }
    void *block = heap_get(count * size);
    return block ? memset(block, 0, count * size) : NULL;
}

void *realloc(void *block, size_t size)
{
    return heap_resize(block, size);
}

void free(void *block)
{
    heap_put(block);
}
#endif
