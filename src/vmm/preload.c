// SPDX-License-Identifier: Apache-2.0
/*
 * Loaded into QEMU when it runs from a saved guest: it opens the file of the guest's memory for
 * writing, even though it maps it privately and never writes to it. The file is everybody's and
 * read-only. Newer versions (8.2) ask for it read-only by themselves. Linked with nothing: the C
 * library is the one that QEMU brings. Layer: vmm.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "wire/machine.h"

long syscall(long number, ...);

static int open_at(const char *path, int flags, int mode)
{
    const char saved[] = MACHINE_SAVED_MEMORY;
    size_t i = 0;
    while (i < sizeof(saved) && path[i] == saved[i])
        i++; // ends behind the NUL of both, or where they differ
    if (i == sizeof(saved))
        flags = O_RDONLY | O_CLOEXEC;
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
