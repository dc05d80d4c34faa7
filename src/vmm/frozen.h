// SPDX-License-Identifier: Apache-2.0
/*
 * A frozen QEMU: the file that freeze.c writes from within it and thaw.c makes a process of. What
 * the guest has run is translated in there, devices are made, libraries are linked: a copy begins
 * where another QEMU is after half a second. Each saved guest has one, of this boot of this
 * machine, beside its memory. Layer: vmm.
 */
#pragma once

#include <stdint.h>

#define FROZEN_MAGIC "sbxfrzn1"
#define FROZEN_MAPS_MAX 1536
#define FROZEN_THREADS_MAX 40
#define FROZEN_FDS_MAX 64
#define FROZEN_WATCHES_MAX 32
#define FROZEN_SPECIALS_MAX 8
#define FROZEN_FILTER_MAX 2048
#define FROZEN_PATH_MAX 64
#define FROZEN_SIGNALS 64
#define FROZEN_PAGE 4096ull

// To QEMU from its parent: freeze; and from one of its threads to the others: stop. None that QEMU
// uses itself.
#define FROZEN_SIGNAL 44
#define FROZEN_STOP 45
// Descriptors that its parent gives a frozen one anew, as it does the first three: 10 and 11 and
#define FROZEN_ENDS 10
#define FROZEN_MEMORY_FD 12 // the guest's memory
#define FROZEN_FD 14        // where it is written to, and comes from

// Where thaw.c lies meanwhile and nothing of QEMU may: below all that the kernel places by itself.
#define THAW_BEGIN 0x60000000ull
#define THAW_END 0x64000000ull
#define THAW_IMAGE (THAW_BEGIN + (16ull << 20)) // struct frozen

enum frozen_source { FROZEN_ZERO, FROZEN_DATA, FROZEN_MEMORY };

struct frozen_map {
    uint64_t begin, end, offset; // offset: in this file, or in the guest's memory
    uint32_t protection, source;
};

// The kernel's own, which are moved: vdso(7).
struct frozen_special {
    uint64_t begin, end;
};

// It goes on by returning from the signal in which it was when it froze.
struct frozen_thread {
    uint64_t context, tls;
    int32_t *id; // of the C library, in which it waits for the thread's end: clone(2), ctid
};

enum frozen_kind {
    FROZEN_GIVEN,
    FROZEN_PATH,
    FROZEN_RAM,
    FROZEN_EVENT,
    FROZEN_SIGNALFD,
    FROZEN_EPOLL
};

struct frozen_fd {
    int32_t number;
    uint32_t kind;
    uint32_t flags;
    uint64_t value; // count of an eventfd, mask of a signalfd
    char path[FROZEN_PATH_MAX];
};

struct frozen_watch {
    int32_t epoll, number;
    uint32_t events;
    uint64_t data;
};

// As rt_sigaction(2) has it.
struct frozen_action {
    uint64_t handler, flags, restorer, mask;
};

struct frozen_step { // struct sock_filter
    uint16_t code;
    uint8_t yes, no;
    uint32_t value;
};

struct frozen {
    char magic[8];
    uint32_t map_count, special_count, thread_count, fd_count, watch_count, filter_count;
    uint64_t back;      // where a copy's threads but the first begin
    uint64_t *thaw_end; // to be told where thaw.c ends, which a copy does not keep
    struct frozen_special specials[FROZEN_SPECIALS_MAX];
    struct frozen_thread threads[FROZEN_THREADS_MAX]; // the first is the first
    struct frozen_action actions[FROZEN_SIGNALS];     // of signal 1 and up
    struct frozen_fd fds[FROZEN_FDS_MAX];
    struct frozen_watch watches[FROZEN_WATCHES_MAX];
    struct frozen_step filter[FROZEN_FILTER_MAX]; // of seccomp, that QEMU gave itself
    struct frozen_map maps[FROZEN_MAPS_MAX];
};

#define FROZEN_DATA_AT                                                                             \
    ((sizeof(struct frozen) + FROZEN_PAGE - 1) & ~(FROZEN_PAGE - 1)) // what maps hold lies behind

// System calls without a C library; -errno.
static inline long frozen_call(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
