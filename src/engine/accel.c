// SPDX-License-Identifier: Apache-2.0
// See accel.h. Layer: engine.
#include "engine/accel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "engine/cachedir.h"
#include "engine/probe.h"

#define RECORD "accelerator"
#define RECORD_MAX 256

static const char *device(void)
{
    const char *named = getenv("SANDBOXES_MICROVM_KVM");
    return named && named[0] ? named : ACCEL_DEVICE;
}

// All that the result depends on; a line, which the result follows in the record.
static void describe(char ret_text[RECORD_MAX])
{
    char boot[64] = "";
    struct stat info = {0};
    (void)fd_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
    boot[strcspn(boot, "\n")] = '\0';
    (void)stat(device(), &info);
    snprintf(ret_text, RECORD_MAX, "1 %.40s %.99s %llx %o %u\n", boot, device(),
             (unsigned long long)info.st_rdev, info.st_mode, geteuid());
}

// True with the kept result.
static bool recall(int cache_fd, const char *about, int *ret_failed)
{
    char text[RECORD_MAX + 16];
    size_t length = strlen(about);
    if (fd_read_file(cache_fd, RECORD, text, sizeof(text)) <= 0 ||
        strncmp(text, about, length) != 0)
        return false;
    return sscanf(text + length, "%d", ret_failed) == 1;
}

// Whole or not at all; another process's that comes between is as good.
static void keep(int cache_fd, const char *about, int failed)
{
    char name[48];
    snprintf(name, sizeof(name), "." RECORD ".%d", (int)getpid());
    cleanup_fd int fd = openat(cache_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (dprintf(fd, "%s%d\n", about, failed) < 0 || renameat(cache_fd, name, cache_fd, RECORD) < 0)
        unlinkat(cache_fd, name, 0);
}

static int try_and_keep(int cache_fd, const char *about)
{
    int failed = probe_kvm(device());
    keep(cache_fd, about, failed);
    return failed;
}

int accel_try(void)
{
    char about[RECORD_MAX];
    cleanup(cachedir_close) struct cachedir cache = {.fd = -1};
    if (cachedir_open(&cache, NULL) < 0)
        return probe_kvm(device());
    describe(about);
    return try_and_keep(cache.fd, about);
}

bool accel_is_kvm(void)
{
    char about[RECORD_MAX];
    int failed = ENOENT;
    const char *chosen = getenv("SANDBOXES_MICROVM_ACCEL");
    cleanup(cachedir_close) struct cachedir cache = {.fd = -1};
    if (chosen && (strcmp(chosen, "kvm") == 0 || strcmp(chosen, "tcg") == 0))
        return chosen[0] == 'k';
    if (cachedir_open(&cache, NULL) < 0)
        return probe_kvm(device()) == 0;
    describe(about);
    if (recall(cache.fd, about, &failed))
        return failed == 0;
    failed = try_and_keep(cache.fd, about);
    if (failed)
        log_warn("microvm", "guests are emulated, which is slower: %s %s", device(),
                 accel_reason(failed));
    return failed == 0;
}

void accel_give_up(const char *why)
{
    char about[RECORD_MAX];
    cleanup(cachedir_close) struct cachedir cache = {.fd = -1};
    log_warn("microvm", "guests are emulated, which is slower: with KVM, %s", why);
    if (cachedir_open(&cache, NULL) < 0)
        return;
    describe(about);
    keep(cache.fd, about, ENOEXEC);
}

const char *accel_reason(int failed)
{
    switch (failed) {
    case ENOENT:
    case ENXIO:
        return "is not there";
    case EACCES:
    case EPERM:
        return "is closed to this account";
    case ENOEXEC:
    case ETIMEDOUT:
        return "takes guests and does not run them";
    case ENODEV:
    case ENOTTY:
        return "is not KVM";
    default:
        return strerror(failed);
    }
}
