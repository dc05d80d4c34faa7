// SPDX-License-Identifier: Apache-2.0
/*
 * Writes QEMU, in which it is loaded, to a file: frozen.h. Its threads stop where a signal meets
 * them, and the state of each lies on its own stack, as the kernel puts it there for a handler.
 * Layer: vmm.
 */
#include "vmm/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "vmm/frozen.h"

#define ARCH_GET_FS 0x1003
#define SET_MODE_FILTER 1 // linux/seccomp.h
#define MAPS_TEXT_MAX (512 * 1024)
#define NAMES_MAX 4096
#define STOP_TRIES 15000
#define STOP_PAUSE_NS 1000000
#define STACK_ROOM (4ull << 20) // below what the first thread's stack has grown to
#define SIGSET_BYTES 8          // the kernel's
#define TLS_SCANNED 2048

static struct frozen image;
static char maps_text[MAPS_TEXT_MAX];
static uint64_t data_end;
static volatile bool asked;
static uint32_t stopped;
static int32_t thread_numbers[FROZEN_THREADS_MAX];
static uint32_t returned __attribute__((used)); // threads of a copy, by freeze_back
static uint64_t thaw_end;

// Where a copy's threads begin, with the stack of the signal: they have left thaw.c.
void freeze_back(void);
__asm__(".pushsection .text\n"
        ".hidden freeze_back\n"
        ".globl freeze_back\n"
        "freeze_back: lock incl returned(%rip)\n"
        "mov $15, %eax\n" // rt_sigreturn(2)
        "syscall\n"
        ".popsection\n");

static long call(long number, long a, long b, long c, long d)
{
    return frozen_call(number, a, b, c, d, 0, 0);
}

static _Noreturn void end(int status)
{
    for (;;)
        call(SYS_exit_group, status, 0, 0, 0);
}

static size_t read_all(const char *path, char *ret_text, size_t size)
{
    size_t used = 0;
    int fd = (int)call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
    for (long got = 1; fd >= 0 && got > 0 && used<size - 1; used += got> 0 ? (size_t)got : 0)
        got = call(SYS_read, fd, (long)(ret_text + used), (long)(size - 1 - used), 0);
    ret_text[used] = '\0';
    if (fd >= 0)
        call(SYS_close, fd, 0, 0, 0);
    return used;
}

// The numbers that are the names in a directory of /proc, up to `most`.
static size_t list_numbers(const char *path, int *ret_numbers, size_t most)
{
    struct entry { // getdents64(2)
        uint64_t inode, next;
        uint16_t size;
        uint8_t type;
        char name[];
    };
    static char names[NAMES_MAX] __attribute__((aligned(8)));
    size_t count = 0;
    int fd = (int)call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    for (long got; fd >= 0 && (got = call(SYS_getdents64, fd, (long)names, NAMES_MAX, 0)) > 0;)
        for (long at = 0; at < got;) {
            const struct entry *entry = (const void *)(names + at);
            int number = atoi(entry->name);
            if (entry->name[0] != '.' && number != fd && count < most)
                ret_numbers[count++] = number;
            at += entry->size;
        }
    if (fd >= 0)
        call(SYS_close, fd, 0, 0, 0);
    return count;
}

static bool is_zero(const char *page)
{
    const uint64_t *words = (const uint64_t *)(const void *)page;
    for (size_t i = 0; i < FROZEN_PAGE / sizeof(*words); i++)
        if (words[i])
            return false;
    return true;
}

static void add_map(struct frozen_map map)
{
    if (map.begin == map.end)
        return;
    if (image.map_count == FROZEN_MAPS_MAX)
        end(3);
    image.maps[image.map_count++] = map;
}

// What lies between its first and its last page that hold anything is written.
static void add_private(uint64_t begin, uint64_t stop, uint32_t protection)
{
    uint64_t first = begin, last = stop;
    if (protection & PROT_READ) {
        while (first < stop && is_zero((const char *)first))
            first += FROZEN_PAGE;
        while (last > first && is_zero((const char *)last - FROZEN_PAGE))
            last -= FROZEN_PAGE;
    } else {
        first = last = stop;
    }
    add_map((struct frozen_map){begin, first, 0, protection, FROZEN_ZERO});
    add_map((struct frozen_map){first, last, data_end, protection, FROZEN_DATA});
    add_map((struct frozen_map){last, stop, 0, protection, FROZEN_ZERO});
    for (uint64_t at = first; at < last; at += FROZEN_PAGE, data_end += FROZEN_PAGE)
        if (!is_zero((const char *)at) &&
            call(SYS_pwrite64, FROZEN_FD, (long)at, FROZEN_PAGE, (long)data_end) != FROZEN_PAGE)
            end(4);
}

static uint32_t protection_of(const char *text)
{
    return (text[0] == 'r' ? PROT_READ : 0) | (text[1] == 'w' ? PROT_WRITE : 0) |
           (text[2] == 'x' ? PROT_EXEC : 0);
}

// "begin-end rwxp offset device inode  name"
static void add_line(const char *line)
{
    unsigned long begin, stop, offset;
    char flags[5] = "", name[FROZEN_PATH_MAX] = "";
    if (sscanf(line, "%lx-%lx %4s %lx %*s %*s %63s", &begin, &stop, flags, &offset, name) < 4)
        end(5);
    if (strcmp(name, "[vsyscall]") == 0)
        return;
    if (strncmp(name, "[v", 2) == 0) { // [vdso], [vvar], [vvar_vclock]
        if (image.special_count == FROZEN_SPECIALS_MAX)
            end(6);
        image.specials[image.special_count++] = (struct frozen_special){begin, stop};
    } else if (strncmp(name, "/memfd:memory", 13) == 0) {
        add_map((struct frozen_map){begin, stop, offset, protection_of(flags), FROZEN_MEMORY});
    } else if (flags[3] == 's') {
        end(7);
    } else {
        add_private(begin, stop, protection_of(flags));
    }
    if (strcmp(name, "[stack]") == 0)
        add_map(
            (struct frozen_map){begin - STACK_ROOM, begin, 0, protection_of(flags), FROZEN_ZERO});
}

static void add_maps(void)
{
    if (read_all("/proc/self/maps", maps_text, sizeof(maps_text)) >= sizeof(maps_text) - 1)
        end(8);
    for (char *line = maps_text, *stop; (stop = strchr(line, '\n')); line = stop + 1) {
        *stop = '\0';
        add_line(line);
    }
}

static uint64_t field(const char *text, const char *name, int base)
{
    const char *at = strstr(text, name);
    return at ? strtoull(at + strlen(name), NULL, base) : 0;
}

// "tfd:        5 events:       19 data:     55d0c0ffee00  pos:0 ..."
static void add_watches(int number, const char *text)
{
    for (const char *at = text; (at = strstr(at, "tfd:")); at++) {
        if (image.watch_count == FROZEN_WATCHES_MAX)
            end(9);
        image.watches[image.watch_count++] =
            (struct frozen_watch){number, (int)field(at, "tfd:", 10),
                                  (uint32_t)field(at, "events:", 16), field(at, "data:", 16)};
    }
}

static bool is_given(int number)
{
    return number <= 2 || (number >= FROZEN_ENDS && number <= FROZEN_MEMORY_FD);
}

static void add_fd(int number)
{
    char path[40], text[2048], target[FROZEN_PATH_MAX] = "";
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", number);
    if (read_all(path, text, sizeof(text)) >= sizeof(text) - 1) // not all that it watches
        end(9);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", number);
    call(SYS_readlinkat, AT_FDCWD, (long)path, (long)target, FROZEN_PATH_MAX - 1);
    struct frozen_fd fd = {
        .number = number, .kind = FROZEN_PATH, .flags = (uint32_t)field(text, "flags:\t", 8)};
    if (strcmp(target, "anon_inode:[eventfd]") == 0) {
        fd.kind = FROZEN_EVENT;
        fd.value = field(text, "eventfd-count:", 16);
    } else if (strcmp(target, "anon_inode:[signalfd]") == 0) {
        fd.kind = FROZEN_SIGNALFD;
        fd.value = field(text, "sigmask:", 16);
    } else if (strcmp(target, "anon_inode:[eventpoll]") == 0) {
        fd.kind = FROZEN_EPOLL;
        add_watches(number, text);
    } else if (is_given(number)) {
        fd.kind = FROZEN_GIVEN;
    } else if (strncmp(target, "/memfd:memory", 13) == 0) {
        fd.kind = FROZEN_RAM;
    } else if (strncmp(target, "/memfd:", 7) == 0) {
        return; // what is being written
    } else if (target[0] == '/') {
        memcpy(fd.path, target, sizeof(target));
    } else {
        dprintf(2, "descriptor %d is %s\n", number, target);
        end(10);
    }
    if (image.fd_count == FROZEN_FDS_MAX)
        end(11);
    image.fds[image.fd_count++] = fd;
}

static void add_fds(void)
{
    int numbers[FROZEN_FDS_MAX * 2];
    size_t count = list_numbers("/proc/self/fd", numbers, FROZEN_FDS_MAX * 2);
    for (size_t i = 0; i < count; i++)
        add_fd(numbers[i]);
}

static void add_actions(void)
{
    for (int i = 0; i < FROZEN_SIGNALS; i++)
        call(SYS_rt_sigaction, i + 1, 0, (long)&image.actions[i], SIGSET_BYTES);
}

// Where the C library has a thread's number: at the same distance from what its register shows, for
// all of them.
static bool find_ids(void)
{
    for (size_t at = 0; at < TLS_SCANNED; at += sizeof(int32_t)) {
        size_t same = 0;
        while (same < image.thread_count &&
               *(int32_t *)(image.threads[same].tls + at) == thread_numbers[same])
            same++;
        if (same < image.thread_count)
            continue;
        for (size_t i = 0; i < same; i++)
            image.threads[i].id = (int32_t *)(image.threads[i].tls + at);
        return true;
    }
    return false;
}

static void write_image(void)
{
    if (!find_ids())
        end(15);
    if (image.filter_count == 0) // a copy would be freer than the original
        end(16);
    data_end = FROZEN_DATA_AT;
    image.back = (uint64_t)(uintptr_t)freeze_back;
    image.thaw_end = &thaw_end;
    add_actions();
    add_fds();
    add_maps();
    memcpy(image.magic, FROZEN_MAGIC, sizeof(image.magic));
    if (call(SYS_pwrite64, FROZEN_FD, (long)&image, sizeof(image), 0) != sizeof(image) ||
        call(SYS_ftruncate, FROZEN_FD, (long)data_end, 0, 0) < 0)
        end(12);
    end(0);
}

// poll(2) of the first thread ends with EINTR, and freeze_if_asked() goes on. Where it was about to
// wait it is asked once more.
static void note(int number)
{
    asked = true;
}

// Each thread comes here, the first one last. Copies go on behind it.
static void stop(int number, siginfo_t *info, void *context)
{
    bool first = call(SYS_gettid, 0, 0, 0, 0) == call(SYS_getpid, 0, 0, 0, 0);
    uint32_t place = first ? 0 : __atomic_add_fetch(&stopped, 1, __ATOMIC_SEQ_CST);
    struct frozen_thread *thread = &image.threads[place];
    thread_numbers[place] = (int32_t)call(SYS_gettid, 0, 0, 0, 0);
    thread->context = (uint64_t)(uintptr_t)context;
    call(SYS_arch_prctl, ARCH_GET_FS, (long)&thread->tls, 0, 0);
    if (first)
        write_image();
    __atomic_add_fetch(&image.thread_count, 1, __ATOMIC_SEQ_CST);
    for (;;)
        call(SYS_pause, 0, 0, 0, 0);
}

bool freeze_listen(void)
{
    struct sigaction request = {.sa_handler = note, .sa_flags = SA_RESTART};
    struct sigaction action = {.sa_sigaction = stop, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigfillset(&action.sa_mask);
    return sigaction(FROZEN_SIGNAL, &request, NULL) == 0 &&
           sigaction(FROZEN_STOP, &action, NULL) == 0;
}

// True when all but this one have stopped. Some may just be ending, or beginning.
static bool stop_others(long self)
{
    int threads[FROZEN_THREADS_MAX];
    uint32_t before = __atomic_load_n(&image.thread_count, __ATOMIC_SEQ_CST);
    size_t count = list_numbers("/proc/self/task", threads, FROZEN_THREADS_MAX);
    if (count == FROZEN_THREADS_MAX)
        end(13);
    for (size_t i = 0; i < count && count > before + 1; i++)
        if (threads[i] != self)
            call(SYS_tgkill, self, threads[i], FROZEN_STOP, 0);
    return count == before + 1;
}

/*
 * In a copy. Who finds a way into QEMU shall find no code, and no list of where all else lies, at
 * an address that is the same everywhere. What has been allocated meanwhile may lie between.
 */
static void leave_thaw(void)
{
    while (__atomic_load_n(&returned, __ATOMIC_SEQ_CST) < image.thread_count - 1)
        call(SYS_sched_yield, 0, 0, 0, 0);
    call(SYS_munmap, THAW_BEGIN, (long)(thaw_end - THAW_BEGIN), 0, 0);
    call(SYS_munmap, THAW_IMAGE, sizeof(image), 0, 0);
}

bool freeze_if_asked(void)
{
    struct timespec pause = {0, STOP_PAUSE_NS};
    long self = call(SYS_getpid, 0, 0, 0, 0);
    if (!asked)
        return false;
    for (int i = 0; !stop_others(self); i++) {
        if (i == STOP_TRIES)
            end(14);
        call(SYS_nanosleep, (long)&pause, 0, 0, 0);
    }
    image.thread_count++; // and this one
    call(SYS_tgkill, self, self, FROZEN_STOP, 0);
    leave_thaw();
    asked = false;
    return true;
}

#define EXPORTED __attribute__((visibility("default")))

// QEMU's threads let no signal through; this one they must.
EXPORTED int pthread_sigmask(int how, const sigset_t *set, sigset_t *ret_old)
{
    uint64_t mask = 0;
    if (set) {
        memcpy(&mask, set, sizeof(mask));
        if (how != SIG_UNBLOCK)
            mask &= ~(1ull << (FROZEN_STOP - 1));
    }
    return (int)-call(SYS_rt_sigprocmask, how, (long)(set ? &mask : NULL), (long)ret_old,
                      SIGSET_BYTES);
}

static void note_filter(const struct frozen_step *steps, size_t count)
{
    if (count > FROZEN_FILTER_MAX)
        return;
    memcpy(image.filter, steps, count * sizeof(*steps));
    image.filter_count = (uint32_t)count;
}

// What QEMU forbids itself, it forbids its copies. seccomp(2) has no function of its own.
EXPORTED long syscall(long number, ...);
EXPORTED long syscall(long number, ...)
{
    long arguments[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++)
        arguments[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_io_uring_setup) { // a copy could not have it
        errno = ENOSYS;
        return -1;
    }
    long result = frozen_call(number, arguments[0], arguments[1], arguments[2], arguments[3],
                              arguments[4], arguments[5]);
    if (number == SYS_seccomp && arguments[0] == SET_MODE_FILTER && arguments[2] && result >= 0) {
        const struct {
            uint16_t count;
            const struct frozen_step *steps;
        } *program = (const void *)arguments[2];
        note_filter(program->steps, program->count);
    }
    if (result >= 0 || result < -4095)
        return result;
    errno = (int)-result;
    return -1;
}
