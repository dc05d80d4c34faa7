// SPDX-License-Identifier: Apache-2.0
// Beginning and end of a local sandbox. Layer: engine.
#include "engine/life.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "engine/monitor_client.h"

#define END_WAIT_MS 10000 // for a monitor that is about to end, or to begin
#define END_PAUSE_MS 2
#define UNDO_MS 5000

static int pause_a_bit(struct deadline deadline, struct sbx_error *err)
{
    struct pollfd cancel = {.fd = cancel_fd(deadline.cancel), .events = POLLIN};
    if (deadline_poll_ms(deadline) == 0)
        return err_set(err, SBX_ERR_TIMEOUT, "timed out");
    if (poll(&cancel, 1, END_PAUSE_MS) > 0)
        return err_set(err, SBX_ERR_CANCELLED, "cancelled");
    return 0;
}

/*
 * One attempt. 0 when it is gone, 1 when it may be tried again: the monitor is starting, ending,
 * has too many visitors, or somebody else sweeps.
 */
static int try_end(const struct store *store, const char *id, int dir_fd, struct deadline deadline,
                   struct sbx_error *err)
{
    int code = monitor_destroy(dir_fd, deadline, err);
    if (code == SBX_ERR_TIMEOUT || code == SBX_ERR_CANCELLED)
        return code;
    enum store_life life = store_look(store, id);
    if (life == STORE_STALE) {
        store_sweep(store, id);
        life = store_look(store, id);
    }
    return life == STORE_GONE ? 0 : 1;
}

int life_end(const struct store *store, const char *id, int dir_fd, struct deadline deadline,
             struct sbx_error *err)
{
    struct deadline bound = deadline_min(deadline, clock_boot_ms() + END_WAIT_MS);
    if (store_look(store, id) == STORE_GONE)
        return err_set(err, SBX_ERR_NOT_FOUND, "sandbox %s does not exist any more", id);
    for (;;) {
        int code = try_end(store, id, dir_fd, deadline, err);
        if (code <= 0)
            return code;
        code = pause_a_bit(bound, err);
        if (code == SBX_ERR_TIMEOUT && bound.at_ms < deadline.at_ms)
            return err_set(err, SBX_ERR_UNAVAILABLE, "sandbox %s does not end", id);
        if (code < 0)
            return code;
    }
}

/*
 * A launch that we gave up may still succeed: it is ended as any sandbox. One that failed has
 * removed itself, unless it never began.
 */
static void undo(const struct store *store, const struct box *box, int code)
{
    struct sbx_error ignored;
    bool gone = unlinkat(store->fd, box->id, AT_REMOVEDIR) == 0;
    if (!gone && (code == SBX_ERR_TIMEOUT || code == SBX_ERR_CANCELLED))
        life_end(store, box->id, box->dir_fd, deadline_in(UNDO_MS), &ignored);
    else if (!gone)
        store_sweep(store, box->id);
}

static int launch(struct boxspec *spec, struct launcher *launcher, struct launch *begun,
                  struct box *box, int *lock_fd, struct deadline deadline, int *ret_leash,
                  struct sbx_error *err)
{
    struct conn conn;
    int conn_fd;
    spec->box.id = box->id;
    spec->box.created_ms = clock_unix_ms();
    int code =
        launch_box(launcher, begun, &spec->box, *lock_fd, deadline, &conn_fd, ret_leash, err);
    spec->box.id = NULL;
    close(steal_fd(lock_fd)); // the monitor has it: our copy would make a dead one look alive
    if (code < 0)
        return code;
    conn_init(&conn, conn_fd);
    box_return(box, &conn);
    box->oom_kills = 0;
    return 0;
}

static void cleanup_box_fn(struct box **box)
{
    box_release(*box);
}

int life_begin(const struct store *store, struct boxspec *spec, struct launcher *launcher,
               struct launch *begun, struct leashes *leashes, struct deadline deadline,
               struct box **ret_box, struct sbx_error *err)
{
    struct store_box made;
    cleanup_launch struct launch none = LAUNCH_NONE;
    int leash_fd = -1;
    int code = store_create(store, deadline, &made, err);
    if (code < 0)
        return code;
    cleanup_fd int lock_fd = made.lock_fd;
    cleanup(cleanup_box_fn) struct box *box = box_new(made.id, made.dir_fd);
    if (!box) {
        unlinkat(store->fd, made.id, AT_REMOVEDIR);
        return err_nomem(err);
    }
    box->in_guest = spec->box.machine[0];
    code = launch(spec, launcher, begun ? begun : &none, box, &lock_fd, deadline, &leash_fd, err);
    if (code < 0) {
        undo(store, box, code);
        return code;
    }
    if (leash_fd >= 0)
        code = leashes_add(leashes, box->id, leash_fd, err); // without room for it, it ends
    if (code == 0)
        *ret_box = steal_ptr(box);
    return code;
}
