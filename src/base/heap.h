// SPDX-License-Identifier: Apache-2.0
/*
 * The heap of a small program that lives as long as its sandbox, thousands of them side by side:
 * within the program's own image, so that no other part of the address space needs page tables,
 * which would be more than what is in it. Blocks of one size class are used again for that class.
 * What the image has no room for comes from mmap(2), a block each, and goes back there. For one
 * thread. Layer: base.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

// As malloc(3), realloc(3) and free(3); heap_malloc.c gives them these names.
void *heap_get(size_t size);
void *heap_resize(void *block, size_t size);
void heap_put(void *block);

// False while a block is outside of the image.
bool heap_is_inside(void);
