// SPDX-License-Identifier: Apache-2.0
/*
 * The provider "fake": sandboxes in the memory of this process, the reference of the contract and
 * the ground of tests of what builds on providers. It isolates nothing because nothing runs:
 * commands are interpreted by shell.c and programs.c, each on a thread. One lock guards everything
 * of a provider.
 *
 * Settings ([provider.fake]) inject faults:
 *   create_delay_ms   each creation takes that long
 *   create_failures   that many creations fail first, with create_error
 *   exec_failures     that many commands fail to start first, with exec_error
 *   create_error, exec_error   name of the code, "UNAVAILABLE" if absent
 *   retry_after_ms    put into those errors
 *   max_sandboxes     more are QUOTA; 0: no limit
 *   configured        false: the probe says that it can't be used
 * Layer: provider.
 */
#pragma once

#include <pthread.h>

#include <sandboxes/provider.h>

#include "base/clock.h"
#include "base/id.h"
#include "provider/fake/memfs.h"

struct fake_process;
struct fake_watch;

// Files that were kept under a name.
struct fake_snapshot {
    struct fake_snapshot *next;
    char *name;
    struct memfs fs;
};

struct fake_provider {
    pthread_mutex_t lock;
    pthread_cond_t idle;    // a thread of some command has been joined
    struct fake_box *boxes; // oldest first
    struct fake_snapshot *snapshots;
    int64_t create_delay_ms, create_failures, exec_failures, max_sandboxes, retry_after_ms;
    int create_error, exec_error;
    bool configured;
    bool searching; // somebody gets or creates
};

struct fake_box {
    struct fake_provider *provider;
    struct fake_box *next;
    size_t refs; // its place in the list, each handle, each process
    bool gone;   // destroyed: not in the list any more
    char id[ID_SIZE];
    char *image, *user, *workdir;
    struct sbx_pair *env, *labels; // one block each with its strings
    size_t env_count, label_count;
    int64_t ttl_ms;     // as asked for
    int64_t created_ms; // Unix time
    int64_t expires_ms; // Unix time, 0: never
    int64_t expires_at; // on the scale of clock_boot_ms(), DEADLINE_NEVER: never
    uint64_t cpu_usec;  // of commands that have ended
    uint64_t peak_bytes;
    struct memfs fs;
    struct fake_process *processes; // newest first
    struct fake_watch *watches;
    uint32_t last_pid;
};

// What a caller holds of a sandbox.
struct fake_handle {
    struct fake_box *box;
};

void fake_lock(struct fake_provider *provider);
void fake_unlock(struct fake_provider *provider);

// With the lock held, which is released while commands end: the sandbox leaves the list.
void fake_box_end(struct fake_box *box);
void fake_box_unref(struct fake_box *box);

// Takes the lock and checks that the sandbox lives. On failure the lock is not held.
int fake_enter(struct fake_handle *handle, struct sbx_error *err);

// The view of a user on the sandbox's files; NULL is its default user. NOT_FOUND for unknown users.
int fake_view(struct fake_box *box, const char *user, struct memfs_view *ret_view,
              struct sbx_error *err);
const char *fake_user_name(uint32_t uid);
const char *fake_user_home(uint32_t uid);

// The sandbox part of the table (box.c).
// Mutual exclusion of get-or-create, of this process's threads.
int fake_lock_labels(void *provider, const struct sbx_pair *labels, size_t label_count,
                     const struct sbx_call *call, void **ret_lock, struct sbx_error *err);
void fake_unlock_labels(void *lock);

int fake_create(void *provider, const struct sbx_spec *spec, const struct sbx_call *call,
                void **ret_box, struct sbx_error *err);
int fake_get(void *provider, const char *id, const struct sbx_call *call, void **ret_box,
             struct sbx_error *err);
int fake_list(void *provider, const struct sbx_pair *labels, size_t label_count,
              const struct sbx_call *call, struct sbx_list *ret_list, struct sbx_error *err);
void fake_list_free(struct sbx_list *list);
void fake_box_free(void *box);
const char *fake_box_id(void *box);
int fake_info(void *box, const struct sbx_call *call, struct sbx_info *ret_info,
              struct sbx_error *err);
int fake_destroy(void *box, const struct sbx_call *call, struct sbx_error *err);
int fake_set_ttl(void *box, int64_t ttl_ms, const struct sbx_call *call, struct sbx_error *err);
int fake_metrics(void *box, const struct sbx_call *call, struct sbx_metrics *ret_metrics,
                 struct sbx_error *err);

// Makes a sandbox and a handle to it. With the lock held. from: its files; NULL: those of the
// image.
int fake_make(struct fake_provider *provider, const struct sbx_spec *spec, const struct memfs *from,
              struct fake_handle **ret_handle, struct sbx_error *err);

// Snapshots (snapshot.c). With the lock held; NULL if there is none of this name.
struct fake_snapshot *fake_snapshot_find(struct fake_provider *provider, const char *name);
void fake_snapshots_free(struct fake_provider *provider);
int fake_snapshot(void *box, const char *name, const struct sbx_call *call, struct sbx_error *err);
int fake_snapshot_remove(void *provider, const char *name, const struct sbx_call *call,
                         struct sbx_error *err);
int fake_fork(void *box, const struct sbx_fork *fork, const struct sbx_call *call, void **ret_box,
              struct sbx_error *err);

// Commands (process.c).
int fake_process_start(void *box, const struct sbx_exec *exec, const struct sbx_call *call,
                       void **ret_process, struct sbx_error *err);
int fake_process_attach(void *box, uint32_t pid, const struct sbx_call *call, void **ret_process,
                        struct sbx_error *err);
uint32_t fake_process_pid(void *process);
int fake_process_read(void *process, const struct sbx_call *call, struct sbx_event *ret_event,
                      struct sbx_error *err);
int fake_process_write(void *process, const void *data, size_t size, const struct sbx_call *call,
                       struct sbx_error *err);
int fake_process_close_input(void *process, struct sbx_error *err);
int fake_process_resize(void *process, uint16_t rows, uint16_t cols, struct sbx_error *err);
int fake_process_signal(void *process, int32_t signal, struct sbx_error *err);
void fake_process_free(void *process);
int fake_process_list(void *box, const struct sbx_call *call, struct sbx_process_list *ret_list,
                      struct sbx_error *err);
void fake_process_list_free(struct sbx_process_list *list);

// Files (files.c, transfer.c).
int fake_file_write(void *box, const char *path, const void *data, size_t size,
                    const struct sbx_file_options *options, const struct sbx_call *call,
                    struct sbx_error *err);
int fake_file_read(void *box, const char *path, const struct sbx_file_options *options,
                   const struct sbx_call *call, char **ret_data, size_t *ret_size,
                   struct sbx_error *err);
int fake_file_upload(void *box, const char *local_path, const char *path,
                     const struct sbx_file_options *options, const struct sbx_call *call,
                     struct sbx_error *err);
int fake_file_download(void *box, const char *path, const char *local_path,
                       const struct sbx_file_options *options, const struct sbx_call *call,
                       struct sbx_error *err);
int fake_file_stat(void *box, const char *path, const struct sbx_file_options *options,
                   const struct sbx_call *call, struct sbx_file_list *ret_one,
                   struct sbx_error *err);
int fake_file_list(void *box, const char *path, const struct sbx_file_options *options,
                   const struct sbx_call *call, struct sbx_file_list *ret_list,
                   struct sbx_error *err);
void fake_file_list_free(struct sbx_file_list *list);
int fake_file_mkdir(void *box, const char *path, const struct sbx_file_options *options,
                    const struct sbx_call *call, struct sbx_error *err);
int fake_file_remove(void *box, const char *path, const struct sbx_file_options *options,
                     const struct sbx_call *call, struct sbx_error *err);
int fake_file_rename(void *box, const char *from, const char *to,
                     const struct sbx_file_options *options, const struct sbx_call *call,
                     struct sbx_error *err);
