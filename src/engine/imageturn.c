// SPDX-License-Identifier: Apache-2.0
// Turns of processes that fetch the same image. Layer: engine.
#include "engine/imageturn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/imagerecord.h"
#include "engine/lock.h"

static void name_file(const struct imagestore *store, const char *name, struct imageturn *turn)
{
    char record[IMAGERECORD_FILE_SIZE];
    imagerecord_file(name, record);
    snprintf(turn->file, sizeof(turn->file), "%s.lock", record);
    turn->dir_fd = store->records_fd;
}

// Of a locked file, shared or not: its owner told before it let go, or died.
static bool was_told(int fd, int64_t since_ns)
{
    int64_t asked_ns;
    return pread(fd, &asked_ns, sizeof(asked_ns), 0) == (ssize_t)sizeof(asked_ns) &&
           asked_ns >= since_ns;
}

/*
 * Who waits asks for a shared lock, so that all wake up at once, look, and go. Only who finds that
 * nothing was told waits for the lock itself: else those who look would keep each other from it.
 * 0: locked; 1: told; 2: to be opened anew.
 */
static int wait_turn(struct imageturn *turn, bool *is_shared, int64_t since_ns,
                     struct deadline deadline, struct sbx_error *err)
{
    bool tried = flock(turn->fd, LOCK_EX | LOCK_NB) == 0;
    int rc = tried ? 0 : lock_wait(turn->fd, *is_shared ? LOCK_SH : LOCK_EX, deadline, err);
    if (rc < 0)
        return rc;
    if (!tried && was_told(turn->fd, since_ns))
        return 1;
    bool locked = tried || !*is_shared;
    *is_shared = false;
    return locked && lock_has_name(turn->dir_fd, turn->file, turn->fd) ? 0 : 2;
}

int imageturn_take(const struct imagestore *store, const char *name, int64_t since_ns,
                   struct deadline deadline, struct imageturn *ret_turn, struct sbx_error *err)
{
    struct imageturn turn = IMAGETURN_NONE;
    int rc = 2;
    name_file(store, name, &turn);
    for (bool is_shared = true; rc == 2;) {
        cleanup_fd int fd =
            openat(turn.dir_fd, turn.file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
            return err_sys(err, 0, errno, "cannot open %s/records/%s", store->path, turn.file);
        turn.fd = fd;
        rc = wait_turn(&turn, &is_shared, since_ns, deadline, err);
        if (rc == 0 && ftruncate(fd, 0) < 0) // what a killed one told in another boot
            rc = err_sys(err, 0, errno, "cannot write %s/records/%s", store->path, turn.file);
        if (rc == 0)
            turn.fd = steal_fd(&fd);
    }
    if (rc == 0)
        *ret_turn = turn;
    return rc;
}

struct imageturn imageturn_adopt(const struct imagestore *store, const char *name, int fd,
                                 bool lent)
{
    struct imageturn turn = {.fd = fd, .lent = lent};
    name_file(store, name, &turn);
    return turn;
}

void imageturn_tell(const struct imageturn *turn, int64_t asked_ns)
{
    (void)!pwrite(turn->fd, &asked_ns, sizeof(asked_ns), 0); // untold, the next asks again
}

void imageturn_end(struct imageturn *turn)
{
    if (turn->fd < 0)
        return;
    if (!turn->lent) {
        unlinkat(turn->dir_fd, turn->file, 0);
        flock(turn->fd, LOCK_UN); // a process that we started may still have it
    }
    close(steal_fd(&turn->fd));
}
