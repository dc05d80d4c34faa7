// SPDX-License-Identifier: Apache-2.0
/*
 * sandboxes-thaw: becomes the QEMU that was frozen. Linked with nothing, at an address where QEMU
 * has nothing, as it makes room of all else. It runs with the rights of QEMU in the jail, and reads
 * what this machine wrote; the guest's part of that is guest memory alone. Layer: vmm.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "vmm/frozen.h"

#define ARCH_SET_FS 0x1002
#define SET_MODE_FILTER 1 // linux/seccomp.h
#define STACK_SIZE 65536
#define TEXT_MAX 65536
#define SIGSET_BYTES 8
#define EVENT_FLAGS (O_NONBLOCK | O_CLOEXEC) // eventfd(2), signalfd(2): the same numbers

static const struct frozen *image = (const void *)THAW_IMAGE;
#define SPECIALS_AT (THAW_BEGIN + (32ull << 20)) // on their way

// As pthread_create(3) has it: what QEMU forbids itself lets no other flags through.
#define THREAD_FLAGS                                                                               \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SIGHAND | CLONE_THREAD |            \
     CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

extern char _end[]; // ld(1)
char thaw_stack[STACK_SIZE] __attribute__((aligned(16)));
static char text[TEXT_MAX];
static struct frozen_special own[FROZEN_SPECIALS_MAX];
static unsigned own_count;
static int thread_id;

_Noreturn void thaw(void);

__asm__(".globl _start\n"
        "_start: lea thaw_stack+65536(%rip), %rsp\n"
        "xor %ebp, %ebp\n"
        "call thaw\n");

static long call(long number, long a, long b, long c, long d)
{
    return frozen_call(number, a, b, c, d, 0, 0);
}

static _Noreturn void fail(const char *what)
{
    size_t size = 0;
    while (what[size])
        size++;
    call(SYS_write, 2, (long)what, (long)size, 0);
    for (;;)
        call(SYS_exit_group, 1, 0, 0, 0);
}

static void check(long result, const char *what)
{
    if (result < 0)
        fail(what);
}

static void map(uint64_t at, uint64_t size, uint32_t protection, long flags, int fd, uint64_t from)
{
    long got = frozen_call(SYS_mmap, (long)at, (long)size, protection, flags, fd, (long)from);
    if (got != (long)at)
        fail("cannot map a saved guest");
}

static uint64_t take_hex(const char **at)
{
    uint64_t value = 0;
    for (;; (*at)++) {
        char c = **at;
        if (c >= '0' && c <= '9')
            value = value * 16 + (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (uint64_t)(c - 'a' + 10);
        else
            return value;
    }
}

static bool is_free(uint64_t begin, uint64_t end)
{
    for (unsigned i = 0; i < image->map_count; i++)
        if (image->maps[i].begin < end && begin < image->maps[i].end)
            return false;
    for (unsigned i = 0; i < image->special_count; i++)
        if (image->specials[i].begin < end && begin < image->specials[i].end)
            return false;
    return true;
}

// "begin-end ... [vdso]": the kernel's own are kept, the rest goes.
static void leave_one(const char *line, const char *stop)
{
    uint64_t begin = take_hex(&line);
    line++;
    uint64_t end = take_hex(&line);
    while (line < stop && *line != '[')
        line++;
    if (stop - line > 2 && line[1] == 'v') {
        if (line[2] == 's') // [vsyscall] stays where it is
            return;
        if (own_count == FROZEN_SPECIALS_MAX)
            fail("this kernel's pages are not known");
        own[own_count++] = (struct frozen_special){begin, end};
    } else if (line[1] == 's' && stop > line && is_free(begin, end)) {
        return; // [stack], where the command line lies: /proc/PID/cmdline
    } else if (begin < THAW_BEGIN || begin >= THAW_END) {
        check(call(SYS_munmap, (long)begin, (long)(end - begin), 0, 0), "cannot make room");
    }
}

static void leave(void)
{
    const char path[] = "/proc/self/maps";
    long fd = call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
    size_t size = 0;
    for (long got = 1; got > 0 && size < TEXT_MAX; size += (size_t)got) {
        got = call(SYS_read, fd, (long)(text + size), (long)(TEXT_MAX - size), 0);
        check(got, "cannot read /proc/self/maps");
    }
    call(SYS_close, fd, 0, 0, 0);
    const char *line = text;
    for (const char *at = text; at < text + size; at++)
        if (*at == '\n') {
            leave_one(line, at);
            line = at + 1;
        }
}

static void move(const struct frozen_special *from, uint64_t to)
{
    uint64_t size = from->end - from->begin;
    long got = frozen_call(SYS_mremap, (long)from->begin, (long)size, (long)size,
                           MREMAP_MAYMOVE | MREMAP_FIXED, (long)to, 0);
    if (got != (long)to)
        fail("cannot move the kernel's pages");
}

// In two steps, since they may lie where others of them go.
static void move_specials(void)
{
    if (own_count != image->special_count)
        fail("this kernel's pages are others");
    uint64_t at = SPECIALS_AT;
    for (unsigned i = 0; i < own_count; i++) {
        if (own[i].end - own[i].begin != image->specials[i].end - image->specials[i].begin)
            fail("this kernel's pages are others");
        move(&own[i], at);
        own[i] = (struct frozen_special){at, at + own[i].end - own[i].begin};
        at = own[i].end;
    }
    for (unsigned i = 0; i < own_count; i++)
        move(&own[i], image->specials[i].begin);
}

static void map_all(void)
{
    for (unsigned i = 0; i < image->map_count; i++) {
        const struct frozen_map *one = &image->maps[i];
        long flags = MAP_PRIVATE | MAP_FIXED_NOREPLACE | MAP_NORESERVE;
        int from = one->source == FROZEN_MEMORY ? FROZEN_MEMORY_FD : FROZEN_FD;
        if (one->source == FROZEN_ZERO)
            flags |= MAP_ANONYMOUS, from = -1;
        map(one->begin, one->end - one->begin, one->protection, flags, from, one->offset);
    }
}

static int make(const struct frozen_fd *fd)
{
    switch (fd->kind) {
    case FROZEN_EVENT:
        return (int)call(SYS_eventfd2, (long)fd->value, fd->flags & EVENT_FLAGS, 0, 0);
    case FROZEN_SIGNALFD:
        return (int)call(SYS_signalfd4, -1, (long)&fd->value, SIGSET_BYTES,
                         fd->flags & EVENT_FLAGS);
    case FROZEN_EPOLL:
        return (int)call(SYS_epoll_create1, EPOLL_CLOEXEC, 0, 0, 0);
    case FROZEN_RAM:
        return (int)call(SYS_fcntl, FROZEN_MEMORY_FD, F_DUPFD_CLOEXEC, FROZEN_FDS_MAX, 0);
    default: // what QEMU writes to, it had made: the guest's console
        return (int)call(SYS_openat, AT_FDCWD, (long)fd->path,
                         fd->flags | O_CLOEXEC | (fd->flags & O_ACCMODE ? O_CREAT : 0), 0600);
    }
}

static void make_fds(void)
{
    for (unsigned i = 0; i < image->fd_count; i++) {
        const struct frozen_fd *fd = &image->fds[i];
        if (fd->kind == FROZEN_GIVEN) { // it does not block
            call(SYS_fcntl, fd->number, F_SETFL, fd->flags & O_NONBLOCK, 0);
            continue;
        }
        int made = make(fd);
        check(made, fd->kind == FROZEN_PATH ? fd->path : "cannot make a descriptor");
        if (made == fd->number)
            continue;
        check(call(SYS_dup3, made, fd->number, O_CLOEXEC, 0), "cannot place a descriptor");
        call(SYS_close, made, 0, 0, 0);
    }
    for (unsigned i = 0; i < image->watch_count; i++) {
        const struct frozen_watch *watch = &image->watches[i];
        struct epoll_event event = {.events = watch->events, .data.u64 = watch->data};
        check(call(SYS_epoll_ctl, watch->epoll, EPOLL_CTL_ADD, watch->number, (long)&event),
              "cannot watch a descriptor");
    }
}

static void take_signals(void)
{
    for (int i = 0; i < FROZEN_SIGNALS; i++) // two of them can't be set
        call(SYS_rt_sigaction, i + 1, (long)&image->actions[i], 0, SIGSET_BYTES);
}

static void forbid(void)
{
    const struct {
        uint16_t count;
        const struct frozen_step *steps;
    } program = {(uint16_t)image->filter_count, image->filter};
    check(call(SYS_seccomp, SET_MODE_FILTER, 0, (long)&program, 0), "cannot forbid system calls");
}

// Its first act is to return from the signal, which it does in freeze.c.
static void start(const struct frozen_thread *thread)
{
    register long r10 __asm__("r10") = (long)thread->id;
    register long r8 __asm__("r8") = (long)thread->tls;
    long result;
    __asm__ volatile("syscall\n"
                     "test %%rax, %%rax\n"
                     "jnz 1f\n"
                     "jmp *%[back]\n"
                     "1:"
                     : "=a"(result)
                     : "a"(SYS_clone), "D"(THREAD_FLAGS), "S"(thread->context), "d"(&thread_id),
                       "r"(r10), "r"(r8), [back] "r"(image->back)
                     : "rcx", "r11", "memory");
    check(result, "cannot start a thread");
}

_Noreturn void thaw(void)
{
    map((uint64_t)(uintptr_t)image, sizeof(*image), PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE,
        FROZEN_FD, 0);
    leave();
    move_specials();
    map_all();
    call(SYS_close, FROZEN_FD, 0, 0, 0);
    make_fds();
    take_signals();
    *image->thaw_end = (uint64_t)(uintptr_t)_end;
    call(SYS_arch_prctl, ARCH_SET_FS, (long)image->threads[0].tls, 0, 0);
    call(SYS_set_tid_address, (long)image->threads[0].id, 0, 0, 0);
    call(SYS_prctl, PR_SET_TIMERSLACK, 1, 0, 0); // as QEMU does for itself
    call(SYS_prctl, PR_SET_NAME, (long)"qemu-system-x86", 0, 0);
    forbid();
    for (unsigned i = 1; i < image->thread_count; i++)
        start(&image->threads[i]);
    __asm__ volatile("mov %0, %%rsp\n"
                     "mov %1, %%eax\n"
                     "syscall\n"
                     :
                     : "r"(image->threads[0].context), "i"(SYS_rt_sigreturn)
                     : "memory");
    __builtin_unreachable();
}
