// SPDX-License-Identifier: Apache-2.0
// A heap within the program's image: see heap.h. Layer: base.
#include "base/heap.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define ROOM ((size_t)1 << 20) // with text, data and stack less than the 2 MiB of a page table
#define ALIGN 16
#define STEPS 4 // classes between powers of two
#define CLASSES 60
#define OUTSIDE UINT32_MAX // the class of blocks of mmap(2)

enum mark { MARK_USED = 0x5bd1e995, MARK_FREE = 0x2545f491 }; // of no text and no small number

struct block {
    size_t size; // all of it
    uint32_t class;
    uint32_t mark; // what was overwritten, or freed twice, ends the program here
    union {
        char data[1];
        struct block *next; // while it is free
    } __attribute__((aligned(ALIGN)));
};
#define HEADER offsetof(struct block, data)

static struct {
    struct block *free[CLASSES];
    size_t used;    // of heap_room
    size_t outside; // blocks
} heap;

// Common symbols come behind everything small, which so shares pages with the first blocks.
extern char heap_room[ROOM];
char heap_room[ROOM] __attribute__((common, aligned(ALIGN)));

// Sizes of classes: 32, 40, 48, 56, 64, 80, ... rounded to ALIGN.
static uint32_t find_class(size_t size, size_t *ret_size)
{
    uint32_t class = 0;
    for (size_t power = 32; class < CLASSES; power *= 2)
        for (size_t step = 0; step < STEPS && class < CLASSES; step++, class ++)
            if ((*ret_size = power + power / STEPS * step) >= size) {
                *ret_size = (*ret_size + ALIGN - 1) / ALIGN * ALIGN;
                return class;
            }
    return OUTSIDE;
}

static void change_mark(struct block *block, enum mark from, enum mark to)
{
    if (block->mark != from)
        __builtin_trap();
    block->mark = to;
}

static struct block *get_outside(size_t size)
{
    struct block *block =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        return NULL;
    *block = (struct block){.size = size, .class = OUTSIDE, .mark = MARK_USED};
    heap.outside++;
    return block;
}

static struct block *get_inside(uint32_t class, size_t size)
{
    struct block *block = heap.free[class];
    if (block) {
        change_mark(block, MARK_FREE, MARK_USED);
        heap.free[class] = block->next;
        return block;
    }
    if (size > ROOM - heap.used)
        return get_outside(size);
    block = (struct block *)(void *)(heap_room + heap.used);
    heap.used += size;
    *block = (struct block){.size = size, .class = class, .mark = MARK_USED};
    return block;
}

void *heap_get(size_t size)
{
    struct block *block = NULL;
    size_t whole;
    if (size < SIZE_MAX / 2) {
        uint32_t class = find_class(size + HEADER, &whole);
        block = class == OUTSIDE ? get_outside(size + HEADER) : get_inside(class, whole);
    }
    if (block)
        return block->data;
    errno = ENOMEM;
    return NULL;
}

static struct block *block_of(void *data)
{
    return (struct block *)(void *)((char *)data - HEADER);
}

void heap_put(void *data)
{
    int saved = errno; // free(3) keeps it
    struct block *block = data ? block_of(data) : NULL;
    if (block)
        change_mark(block, MARK_USED, MARK_FREE);
    if (block && block->class == OUTSIDE) {
        heap.outside--;
        munmap(block, block->size);
    } else if (block) {
        block->next = heap.free[block->class];
        heap.free[block->class] = block;
    }
    errno = saved;
}

static void *resize_outside(struct block *block, size_t size)
{
    struct block *moved = mremap(block, block->size, size, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED)
        return NULL;
    moved->size = size;
    return moved->data;
}

// What nobody came after can end earlier.
static void shrink_last(struct block *block, size_t size)
{
    size_t whole;
    uint32_t class = find_class(size + HEADER, &whole);
    if (block->class == OUTSIDE || class >= block->class ||
        (char *)block + block->size != heap_room + heap.used)
        return;
    heap.used -= block->size - whole;
    block->size = whole;
    block->class = class;
}

void *heap_resize(void *data, size_t size)
{
    struct block *block = data ? block_of(data) : NULL;
    if (block)
        change_mark(block, MARK_USED, MARK_USED);
    if (block && size < block->size / 2)
        shrink_last(block, size);
    if (block && size <= block->size - HEADER)
        return data;
    if (block && block->class == OUTSIDE && size < SIZE_MAX / 2)
        return resize_outside(block, size + HEADER);
    void *grown = heap_get(size);
    if (grown && block) {
        memcpy(grown, data, block->size - HEADER);
        heap_put(data);
    }
    return grown;
}

bool heap_is_inside(void)
{
    return heap.outside == 0;
}
