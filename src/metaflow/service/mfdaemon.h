// SPDX-License-Identifier: Apache-2.0
/*
 * The process that serves one `.metaflow`. Whoever starts it opens the socket first and forks
 * (nothing here has threads before), so that the address answers from then on: what connects while
 * the service comes up, or comes up again after a crash, waits in the socket's queue. Layer:
 * metaflow.
 */
#pragma once

#include "metaflow/service/mfstate.h"

struct mfdaemon_options {
    const char *root; // the `.metaflow` directory; made if missing
    uint16_t port;    // 0: any free one
    int64_t idle_ms;  // silent for so long and without `run`s, it ends; 0: never
    bool kept;
    bool debug; // requests are written to ~/.metaflow-local-service/ID.log
};

// What a starter holds of the service it has started.
struct mfdaemon {
    struct mfdaemon_options options;
    char root[PATH_MAX]; // real path
    char id[MFSTATE_ID_SIZE];
    int dir_fd, lock_fd, listen_fd;
    struct mfstate state;
    bool ours; // started by this call; else it ran already and lock_fd and listen_fd are -1
};

// The running service of this root, or a new one.
int mfdaemon_start(const struct mfdaemon_options *options, int dir_fd, struct mfdaemon *ret_daemon,
                   struct sbx_error *err);
// Another process in place of one that has died, on the same address.
int mfdaemon_restart(struct mfdaemon *daemon, struct sbx_error *err);
// Forgets the socket and the lock; the service has them too.
void mfdaemon_release(struct mfdaemon *daemon);

// Asks it to end and waits until it has. NOT_FOUND, TIMEOUT (killed then).
int mfdaemon_stop(int dir_fd, const char *id, struct sbx_error *err);

// The real path of the `.metaflow` below parent, which is made if `make`.
int mfdaemon_root(const char *parent, bool make, char ret_root[PATH_MAX], struct sbx_error *err);
