// SPDX-License-Identifier: Apache-2.0
// Processes in few pages: see lean.h. Layer: base.
#include "base/lean.h"

#include <elf.h>
#include <link.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/heap.h"

#define PAGE 4096
#define STACK_SIZE (512 * 1024)
#define GUEST_SIZE (128 * 1024) // from its beginning on

#if !defined(__GLIBC__) && (defined(__x86_64__) || defined(__aarch64__)) && !defined(__ILP32__)
#define LEAN 1
#else
#define LEAN 0
#endif

#if defined(__aarch64__)
#define SPACE_END (UINT64_C(1) << 48)
#else
#define SPACE_END                                                                                  \
    (UINT64_C(0x7ffffffff000)) // of 4 levels; nobody asked for more: 5level-paging.rst
#endif

// The C library finds the vdso by these pairs when it first reads a clock, and keeps what it found.
static void forget_vdso(char **argv)
{
    struct timespec now;
    char **at = argv;
    while (*at++) // arguments
        ;
    while (*at++) // environment
        ;
    for (ElfW(auxv_t) *pair = (ElfW(auxv_t) *)(void *)at; pair->a_type != AT_NULL; pair++)
        if (pair->a_type == AT_SYSINFO_EHDR)
            pair->a_type = AT_IGNORE;
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
}

static char title[32];

// What ps(1) shows. The rest is for debuggers. Where it is refused ps shows the name in brackets.
static void move_title(void)
{
    extern char _end[]; // ld(1)
    uint64_t begin = (uintptr_t)title, end = begin + strlen(title) + 1, image = (uintptr_t)_end;
    struct prctl_mm_map map = {.start_code = begin,
                               .end_code = end,
                               .start_data = begin,
                               .end_data = end,
                               .start_brk = image,
                               .brk = image,
                               .start_stack = begin,
                               .arg_start = begin,
                               .arg_end = end,
                               .env_start = end,
                               .env_end = end,
                               .exe_fd = UINT32_MAX};
    (void)prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0);
}

void lean_begin(char **argv)
{
    static char *none[] = {NULL};
    if (!LEAN)
        return;
    snprintf(title, sizeof(title), "%s", argv[0] ? argv[0] : "");
    forget_vdso(argv);
    environ = none;
}

// Common: see heap_room. Not aligned to a page: then all variables would be, and those with an
// initial value would have a page to themselves.
extern char lean_stack[STACK_SIZE + PAGE];
char lean_stack[STACK_SIZE + PAGE] __attribute__((common, aligned(16)));

static char *stack_begin(void)
{
    return lean_stack + (PAGE - (uintptr_t)lean_stack % PAGE) % PAGE;
}

char *lean_stack_end(void)
{
    (void)mprotect(stack_begin(), PAGE, PROT_NONE);
    return stack_begin() + STACK_SIZE;
}

char *lean_guest_stack_end(enum lean_guest guest)
{
    return LEAN ? stack_begin() + (guest + 1) * GUEST_SIZE : NULL;
}

int lean_clone(int flags, char *stack, int (*body)(void *), void *payload)
{
    if (stack)
        return clone(body, stack, flags | CLONE_VM, payload);
    int pid = (int)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
    if (pid == 0)
        _exit(body(payload));
    return pid;
}

unsigned lean_whose_stack(const void *address)
{
    size_t at = (size_t)((const char *)address - stack_begin());
    return at < (size_t)LEAN_GUESTS * GUEST_SIZE ? (unsigned)(at / GUEST_SIZE) : LEAN_GUESTS;
}

_Noreturn void lean_run(void (*body)(void))
{
#if LEAN
    char *top = lean_stack_end();
#if defined(__x86_64__)
    __asm__ volatile("mov %0, %%rsp\n\tcall *%1" ::"r"(top), "r"(body) : "memory");
#else
    __asm__ volatile("mov sp, %0\n\tblr %1" ::"r"(top), "r"(body) : "memory");
#endif
    __builtin_unreachable();
#else
    body();
    __builtin_unreachable();
#endif
}

void lean_shed(void)
{
    extern char _end[]; // ld(1)
    static bool done;   // of what we were copied from, too
    if (!LEAN || done || !heap_is_inside())
        return;
    done = true;
    uintptr_t first = ((uintptr_t)_end + PAGE - 1) / PAGE * PAGE;
    move_title();
    (void)munmap((void *)first, SPACE_END - first);
}

void lean_trim(void)
{
    // Below the address are the rest of our own frame and the call's.
    uintptr_t first = (uintptr_t)stack_begin() + PAGE;
    uintptr_t end = ((uintptr_t)__builtin_frame_address(0) - 512) / PAGE * PAGE;
    if (end > first && end < first + STACK_SIZE)
        (void)madvise((void *)first, end - first, MADV_DONTNEED);
}
