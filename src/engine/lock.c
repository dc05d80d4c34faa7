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
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "core/labels.h"

#define PAUSE_MAX_MS 16
#define WATCHED_MS 100 // one end in this may be missed: of a lock that two processes share

struct label_lock {
    int dir_fd; // own copy
    int fd;
    char name[32];
};

bool lock_has_name(int dir_fd, const char *name, int fd)
{
    struct stat held, named;
    return fstat(fd, &held) == 0 && fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

static int fill_error(struct sbx_error *err)
{
    return err_sys(err, 0, errno, "cannot lock");
}

static int wait_for_ever(int fd, int operation, struct sbx_error *err)
{
    while (flock(fd, operation) < 0)
        if (errno != EINTR)
            return fill_error(err);
    return 0;
}

// Readable when any descriptor of the file was closed, by death too. -1: none is to be had.
static int watch_closing(int fd)
{
    char path[32];
    cleanup_fd int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (watch < 0 || inotify_add_watch(watch, path, IN_CLOSE) < 0)
        return -1;
    return steal_fd(&watch);
}

// Whether a descriptor was closed; its lock goes a moment later.
static bool was_closed(int watch)
{
    char events[1024];
    return watch >= 0 && read(watch, events, sizeof(events)) > 0;
}

// flock(2) itself can't be given an end. So the lock is asked for again and again, ever less often,
// and then when somebody has let go of the file.
int lock_wait(int fd, int operation, struct deadline deadline, struct sbx_error *err)
{
    cleanup_fd int watch = -1;
    if (deadline.at_ms == DEADLINE_NEVER && !deadline.cancel)
        return wait_for_ever(fd, operation, err);
    for (int pause = 1;;) {
        if (flock(fd, operation | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fill_error(err);
        int left = deadline_poll_ms(deadline);
        if (left == 0)
            return err_set(err, SBX_ERR_TIMEOUT, "timed out waiting for another process's lock");
        struct pollfd fds[] = {{.fd = cancel_fd(deadline.cancel), .events = POLLIN},
                               {.fd = watch, .events = POLLIN}};
        if (poll(fds, 2, left > 0 && left < pause ? left : pause) > 0 && fds[0].revents)
            return err_set(err, SBX_ERR_CANCELLED, "cancelled");
        if (was_closed(watch))
            pause = 1;
        else if (pause < PAUSE_MAX_MS)
            pause *= 2;
        else if (watch >= 0 || (watch = watch_closing(fd)) >= 0)
            pause = WATCHED_MS;
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

static int take(struct label_lock *lock, struct deadline deadline, struct sbx_error *err)
{
    for (;;) {
        lock->fd =
            openat(lock->dir_fd, lock->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (lock->fd < 0)
            return err_sys(err, 0, errno, "cannot open the lock of these labels");
        int code = lock_wait(lock->fd, LOCK_EX, deadline, err);
        if (code == 0 && lock_has_name(lock->dir_fd, lock->name, lock->fd))
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
