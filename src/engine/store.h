// SPDX-License-Identifier: Apache-2.0
/*
 * The store of local sandboxes: one directory each beneath the runtime directory.
 *
 * Who holds flock(2) on such a directory makes it live: its creator, then its monitor, which
 * inherits the open file description. A free lock means that both are gone, after a crash or a
 * restart of the machine; whoever sees that removes what is left. Between mkdir(2) and flock(2) a
 * new directory looks like a stale one, so creators hold the base directory's lock shared
 * meanwhile, and nobody is taken for stale without holding it exclusively. Layer: engine.
 */
#pragma once

#include "base/clock.h"
#include "base/id.h"
#include "engine/record.h"

struct store {
    int fd;
    char path[512];
};

// Opens (and makes) the runtime directory; see base/dirs.h for errors.
int store_open(struct store *ret_store, struct sbx_error *err);
void store_close(struct store *store);
#define cleanup_store cleanup(store_close)

// lock_labels() (engine/lock.h) in the runtime directory.
struct label_lock;
int store_lock_labels(const struct sbx_pair *labels, size_t count, struct deadline deadline,
                      struct label_lock **ret_lock, struct sbx_error *err);

// A new sandbox's directory.
struct store_box {
    char id[ID_SIZE];
    int lock_fd; // owned; holds the lock as long as it or an inherited copy is open
    int dir_fd;  // owned; O_PATH, holds no lock
};

int store_create(const struct store *store, struct deadline deadline, struct store_box *ret_box,
                 struct sbx_error *err);

/*
 * The living sandbox with this id, or the only one whose id begins so ("sb-" may be left out).
 * *ret_dir_fd holds no lock. One whose record is damaged is found by its whole id alone, with a
 * record that is all zero, so that it can be ended. Errors: NOT_FOUND, CONFLICT (several), NOMEM,
 * IO.
 */
int store_find(const struct store *store, const char *id, struct record *ret_record,
               int *ret_dir_fd, struct sbx_error *err);

// Living sandboxes with all these labels, oldest first. Stale ones are swept.
int store_list(const struct store *store, const struct sbx_pair *labels, size_t label_count,
               struct record **ret_records, size_t *ret_count, struct sbx_error *err);
void store_list_free(struct record *records, size_t count);

enum store_life { STORE_ALIVE, STORE_STALE, STORE_GONE };
enum store_life store_look(const struct store *store, const char *id);

// Removes a stale sandbox's processes, cgroups and directory; a living one is left alone.
void store_sweep(const struct store *store, const char *id);
