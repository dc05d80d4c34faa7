// SPDX-License-Identifier: Apache-2.0
/*
 * Loaded into QEMU. Linked with nothing: the C library is the one that QEMU brings. Besides
 * freezing it (freeze.c) it does six things:
 *  - The file of the guest's memory is opened read-only, since it is everybody's. QEMU asks for
 *    writing, even though it maps it privately; newer versions (8.2) don't by themselves.
 *  - What the guest gives back is taken from its own copies of pages alone: QEMU would punch holes
 *    into that file first, and give up.
 *  - Tables of a megabyte each that QEMU fills with zeroes for its 9p devices, and hardly ever uses
 *    (hw/9pfs/9p.c: qpp_table, qpf_table), are given back to the kernel before the guest runs, and
 *    what is left of a megabyte for a tree of devices that none of our guests asks for
 *    (softmmu/device_tree.c). Not if the guest boots: it runs by then.
 *  - Frames of the guest's network are larger than Ethernet's.
 *  - A guest hears at once that an address can't be reached, as other sandboxes do.
 *  - It has the name of QEMU's disassembler, which is not loaded then. Nobody asks for it here, and
 *    its tables, relocated for each process, take more memory than any other library's.
 * Layer: vmm.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <slirp/libslirp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "vmm/freeze.h"
#include "wire/machine.h"

#define TABLE_LEAST (1 << 20)
#define TABLES_MAX 16
#define PAGE 4096
#define SIGSET_BYTES 8 // the kernel's

long syscall(long number, ...);

static bool is_copy; // of a saved guest

static int open_at(const char *path, int flags, int mode)
{
    const char saved[] = MACHINE_SAVED_MEMORY;
    size_t i = 0;
    while (i < sizeof(saved) && path[i] == saved[i])
        i++; // ends behind the NUL of both, or where they differ
    if (i == sizeof(saved))
        flags = O_RDONLY | O_CLOEXEC, is_copy = true;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define EXPORTED __attribute__((visibility("default")))

// Without O_CREAT and O_TMPFILE nobody passes a mode; then what is read here is not used.
EXPORTED int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = va_arg(args, int);
    va_end(args);
    return open_at(path, flags, mode);
}

// What a call without a mode becomes by _FORTIFY_SOURCE, in glibc.
EXPORTED int open_checked(const char *path, int flags) __asm__("__open_2");
EXPORTED int open_checked(const char *path, int flags)
{
    return open_at(path, flags, 0);
}

// On 64-bit machines both names mean the same.
EXPORTED __attribute__((alias("open"))) int open64(const char *path, int flags, ...);
EXPORTED __attribute__((alias("__open_2"))) int open64_checked(const char *path,
                                                               int flags) __asm__("__open64_2");

EXPORTED int fallocate(int fd, int mode, off_t offset, off_t size)
{
    if (is_copy && mode & FALLOC_FL_PUNCH_HOLE)
        return 0;
    return (int)syscall(SYS_fallocate, fd, mode, offset, size);
}

EXPORTED __attribute__((alias("fallocate"))) int fallocate64(int fd, int mode, off_t offset,
                                                             off_t size);

// The errors by which a connection ends, and libslirp tells the guest of but one of them: of others
// it says that no more data comes, which for one that was never made is nothing (src/socket.c,
// soread()), and for others the end of a whole file.
EXPORTED ssize_t recv(int fd, void *data, size_t size, int flags)
{
    ssize_t got = recvfrom(fd, data, size, flags, NULL, NULL);
    if (got < 0 && (errno == EHOSTUNREACH || errno == ENETUNREACH || errno == ETIMEDOUT))
        errno = ECONNRESET;
    return got;
}

// QEMU has no words for the size of its network's frames.
EXPORTED Slirp *slirp_new(const SlirpConfig *config, const SlirpCb *callbacks, void *opaque)
{
    SlirpConfig *own = (SlirpConfig *)(uintptr_t)config; // on QEMU's stack, as long as its version
    Slirp *(*make)(const SlirpConfig *, const SlirpCb *, void *) =
        (Slirp * (*)(const SlirpConfig *, const SlirpCb *, void *)) dlsym(RTLD_NEXT, "slirp_new");
    own->if_mtu = own->if_mru = MACHINE_NET_MTU;
    return make ? make(config, callbacks, opaque) : NULL;
}

// Used by the first thread alone, while it is alone.
static struct {
    char *begin;
    size_t size;
} tables[TABLES_MAX];
static size_t table_count;
static bool released, listens;

static void note_table(void *begin, size_t size)
{
    if (size < TABLE_LEAST || released || table_count == TABLES_MAX || getenv(MACHINE_BOOTS))
        return;
    tables[table_count].begin = begin;
    tables[table_count++].size = size;
}

EXPORTED int posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
    void *memory = memalign(alignment, size);
    if (!memory)
        return ENOMEM;
    note_table(memory, size);
    *ret_memory = memory;
    return 0;
}

EXPORTED int fdt_create(void *memory, int size);
EXPORTED int fdt_create(void *memory, int size)
{
    int (*create)(void *, int) = (int (*)(void *, int))dlsym(RTLD_NEXT, "fdt_create");
    note_table(memory, (size_t)size);
    return create ? create(memory, size) : -1;
}

static bool is_zero(const char *page)
{
    const uint64_t *words = (const uint64_t *)(const void *)page;
    for (size_t i = 0; i < PAGE / sizeof(*words); i++)
        if (words[i])
            return false;
    return true;
}

static void release(char *begin, size_t size)
{
    const char *end = begin + size;
    char *page = begin + (-(uintptr_t)begin & (PAGE - 1));
    while (page + PAGE <= end) {
        char *from = page;
        for (; page + PAGE <= end && is_zero(page); page += PAGE)
            ;
        if (page > from)
            syscall(SYS_madvise, from, page - from, MADV_DONTNEED);
        else
            page += PAGE;
    }
}

/*
 * Before QEMU's loop waits for the first time, after it has made its devices, it waits for orders
 * and its guest does not run: nobody writes to the tables.
 */
EXPORTED int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                   const sigset_t *mask)
{
    struct timespec copy;
    for (size_t i = 0; i < table_count && !released; i++)
        release(tables[i].begin, tables[i].size);
    released |= table_count > 0;
    if (!listens)
        listens = freeze_listen();
    if (timeout)
        copy = *timeout; // the kernel changes it
    int ready = (int)syscall(SYS_ppoll, fds, count, timeout ? &copy : NULL, mask, SIGSET_BYTES);
    is_copy |= freeze_if_asked();
    return ready;
}

// Capstone's interface, as far as QEMU uses it: nothing can be disassembled.
#define CS_ERR_ARCH 2
EXPORTED int cs_open(int arch, int mode, size_t *handle);
EXPORTED int cs_open(int arch, int mode, size_t *handle)
{
    return CS_ERR_ARCH;
}

EXPORTED int cs_close(size_t *handle);
EXPORTED int cs_close(size_t *handle)
{
    return 0;
}

EXPORTED int cs_option(size_t handle, int type, size_t value);
EXPORTED int cs_option(size_t handle, int type, size_t value)
{
    return CS_ERR_ARCH;
}

EXPORTED void *cs_malloc(size_t handle);
EXPORTED void *cs_malloc(size_t handle)
{
    return NULL;
}

EXPORTED bool cs_disasm_iter(size_t handle, const uint8_t **code, size_t *size, uint64_t *address,
                             void *instruction);
EXPORTED bool cs_disasm_iter(size_t handle, const uint8_t **code, size_t *size, uint64_t *address,
                             void *instruction)
{
    return false;
}
