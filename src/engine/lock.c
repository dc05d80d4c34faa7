// SPDX-License-Identifier: Apache-2.0
// Locks between processes. Layer: engine.
#include "engine/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "core/labels.h"

#define PAUSE_MAX_MS 16

struct label_lock {
    int dir_fd; // own copy
    int fd;
    char name[32];
};

// flock(2) itself can't be given an end, so the lock is asked for again and again, ever less often.
int lock_wait(int fd, int operation, struct deadline deadline, struct sbx_error *err)
{
    for (int pause = 1;; pause = pause < PAUSE_MAX_MS ? pause * 2 : pause) {
        if (flock(fd, operation | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_sys(err, 0, errno, "cannot lock");
        int left = deadline_poll_ms(deadline);
        if (left == 0)
            return err_set(err, SBX_ERR_TIMEOUT, "timed out waiting for another process's lock");
        struct pollfd cancel = {.fd = cancel_fd(deadline.cancel), .events = POLLIN};
        if (poll(&cancel, 1, left > 0 && left < pause ? left : pause) > 0)
            return err_set(err, SBX_ERR_CANCELLED, "cancelled");
    }
}

// FNV-1a, NULs included. Two sets that collide only wait for each other.
static uint64_t hash_text(uint64_t hash, const char *text)
{
    do
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3ull;
    while (*text++);
    return hash;
}

static int name_lock(const struct sbx_pair *labels, size_t count, char *name, size_t size)
{
    cleanup_free struct sbx_pair *sorted = calloc(count + 1, sizeof(*sorted));
    if (!sorted)
        return -1;
    if (count > 0)
        memcpy(sorted, labels, count * sizeof(*sorted));
    labels_sort(sorted, count);
    uint64_t hash = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < count; i++)
        hash = hash_text(hash_text(hash, sorted[i].name), sorted[i].value);
    snprintf(name, size, ".labels-%016llx", (unsigned long long)hash);
    return 0;
}

// Is the file that we have locked still the one of that name? The last holder may have removed it.
static bool still_named(const struct label_lock *lock)
{
    struct stat ours, named;
    return fstat(lock->fd, &ours) == 0 &&
           fstatat(lock->dir_fd, lock->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

static int take(struct label_lock *lock, struct deadline deadline, struct sbx_error *err)
{
    for (;;) {
        lock->fd =
            openat(lock->dir_fd, lock->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (lock->fd < 0)
            return err_sys(err, 0, errno, "cannot open the lock of these labels");
        int code = lock_wait(lock->fd, LOCK_EX, deadline, err);
        if (code == 0 && still_named(lock))
            return 0;
        close(steal_fd(&lock->fd));
        if (code < 0)
            return code;
    }
}

static void free_lock(struct label_lock *lock)
{
    if (lock->fd >= 0)
        close(lock->fd);
    if (lock->dir_fd >= 0)
        close(lock->dir_fd);
    free(lock);
}

int lock_labels(int dir_fd, const struct sbx_pair *labels, size_t count, struct deadline deadline,
                struct label_lock **ret_lock, struct sbx_error *err)
{
    struct label_lock *lock = malloc(sizeof(*lock));
    if (!lock)
        return err_nomem(err);
    *lock = (struct label_lock){.fd = -1, .dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0)};
    int code = 0;
    if (lock->dir_fd < 0)
        code = err_sys(err, 0, errno, "cannot lock labels");
    else if (name_lock(labels, count, lock->name, sizeof(lock->name)) < 0)
        code = err_nomem(err);
    else
        code = take(lock, deadline, err);
    if (code < 0) {
        free_lock(lock);
        return code;
    }
    *ret_lock = lock;
    return 0;
}

void lock_release(struct label_lock *lock)
{
    if (!lock)
        return;
    unlinkat(lock->dir_fd, lock->name, 0); // still locked: the next one sees that the name is gone
    free_lock(lock);
}
