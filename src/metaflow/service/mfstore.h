// SPDX-License-Identifier: Apache-2.0
/*
 * Flows, runs, steps and tasks in `.metaflow`, in the files of Metaflow's local mode:
 * FLOW/RUN/STEP/TASK/_meta/_self.json. The files are the truth and nothing else is: each question
 * is answered from them, so that what local mode writes meanwhile is seen at once and a service
 * that was killed has nothing to repair. Tags belong to the run; steps and tasks show their run's.
 *
 * All calls may come from several threads. One lock guards what makes or changes records; readers
 * take none, since files change whole. Layer: metaflow.
 */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "base/buf.h"
#include "metaflow/service/mffile.h"
#include "metaflow/service/mfpath.h"

#define MFSTORE_COUNTERS 64
#define MFSTORE_ANSWER_MAX (256u * 1024 * 1024)

struct mfruns;

// The last task id given out in a run; seeded from the files.
struct mfstore_counter {
    char *run; // FLOW/RUN, owned; NULL: free
    int64_t last;
    uint64_t used;
};

struct mfstore {
    int root_fd;
    char *root; // real path of `.metaflow`, owned
    pthread_mutex_t lock;
    // Under the lock:
    struct mffile_writer writer;
    int64_t last_run;
    struct mfstore_counter counters[MFSTORE_COUNTERS];
    uint64_t uses;
    struct mfruns *runs; // has its own lock
};

// Opens `.metaflow` at this path, made if missing.
int mfstore_open(const char *path, struct mfstore *ret_store, struct sbx_error *err);
void mfstore_close(struct mfstore *store);

// The object's record, with its run's tags. NOT_FOUND.
int mfstore_get(struct mfstore *store, const struct mfpath *path, json_t **ret_record,
                struct sbx_error *err);
bool mfstore_exists(struct mfstore *store, const struct mfpath *path);

// Replaces the record's tags by those of its run.
int mfstore_overlay(struct mfstore *store, const struct mfpath *path, json_t *record,
                    struct sbx_error *err);

// Names of the directories below an object, sorted: numbers first by value. Those without a record
// are among them.
struct mfnames {
    char **items; // owned
    size_t count, capacity;
};
void mfnames_deinit(struct mfnames *names);
#define cleanup_mfnames cleanup(mfnames_deinit)
int mfnames_compare(const char *left, const char *right);
int mfstore_children(struct mfstore *store, const struct mfpath *path, struct mfnames *ret_names,
                     struct sbx_error *err);

// Records of everything directly below, in the children's order, as a JSON array (steps and tasks
// with their run's tags). Nothing there is an empty list. `take` may stop by a negative answer.
int mfstore_each(struct mfstore *store, const struct mfpath *path,
                 int (*take)(void *payload, json_t *record), void *payload, struct sbx_error *err);
int mfstore_list(struct mfstore *store, const struct mfpath *path, struct buf *out,
                 struct sbx_error *err);

/*
 * Makes an object out of a request's body: user_name, tags, system_tags, ts_epoch; run_number and
 * task_id only when they are chosen names and no numbers, which are ours to give. What is above it
 * is made too. CONFLICT when it exists; INVALID.
 */
int mfstore_create(struct mfstore *store, enum mflevel level, const struct mfpath *path,
                   const json_t *body, json_t **ret_record, struct sbx_error *err);

// The directory of the object's records, made if missing. For those who hold the lock.
int mfstore_make_meta(struct mfstore *store, const struct mfpath *path, int *ret_fd,
                      struct sbx_error *err);
