// SPDX-License-Identifier: Apache-2.0
// flock(2) with a deadline, and locks named by a set of labels. Layer: engine.
#pragma once

#include <stdbool.h>

#include "base/clock.h"

// flock(2) that gives up at the deadline. Errors: TIMEOUT, CANCELLED, IO.
int lock_wait(int fd, int operation, struct deadline deadline, struct sbx_error *err);

// Whether the locked file still has its name: its last owner may have removed it meanwhile.
bool lock_has_name(int dir_fd, const char *name, int fd);

/*
 * Mutual exclusion between processes for this set of labels, in any order, by a file in the
 * directory. Release may come after dir_fd is closed; the file goes with the lock.
 */
struct label_lock;
int lock_labels(int dir_fd, const struct sbx_pair *labels, size_t count, struct deadline deadline,
                struct label_lock **ret_lock, struct sbx_error *err);
void lock_release(struct label_lock *lock);
