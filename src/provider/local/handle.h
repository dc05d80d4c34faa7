// SPDX-License-Identifier: Apache-2.0
// What the files of the provider `local` share: its handles, and calls that only pass on to the
// engine. Layer: provider.
#pragma once

#include <limits.h>

#include <sandboxes/provider.h>

#include "engine/box.h"
#include "engine/boxspec.h"
#include "engine/files.h"
#include "engine/launch.h"
#include "engine/leash.h"
#include "engine/machine.h"
#include "engine/record.h"
#include "engine/task.h"

struct local {
    pthread_mutex_t lock;
    bool found;  // programs are known
    bool guests; // this is `microvm`
    char agent[PATH_MAX], netstack[PATH_MAX];
    struct machine_parts parts; // of guests
    struct launcher launcher;
    struct leashes leashes; // tied sandboxes end with the client that made them
};

struct local_box {
    struct local *local;
    struct box *box;
    pthread_mutex_t lock; // guards the record
    struct record record;
    bool has_record;
    char *delta; // of its layers, one of a snapshot or fork; or NULL
};

int local_gone(const struct local_box *handle, struct sbx_error *err);

// Programs of ours that a sandbox needs. SETUP.
int local_find_programs(struct local *local, struct sbx_error *err);
// A sandbox as the spec says, which gets its programs here. begun: as life_begin()'s.
int local_launch(struct local *local, struct boxspec *spec, struct launch *begun,
                 struct deadline deadline, struct local_box **ret_handle, struct sbx_error *err);
// What never changes is read once; the rest each time. With the handle's lock held.
int local_read_record(struct local_box *handle, struct sbx_error *err);
// The same without the lock held, for a sandbox that lives: NOT_FOUND for one that has ended.
// *ret_info, if not NULL, is what the record says now.
int local_look(struct local_box *handle, struct sbx_info *ret_info, struct sbx_error *err);

int local_snapshot(void *box, const char *name, const struct sbx_call *call, struct sbx_error *err);
int local_snapshot_remove(void *provider, const char *name, const struct sbx_call *call,
                          struct sbx_error *err);
int local_fork(void *box, const struct sbx_fork *fork, const struct sbx_call *call, void **ret_box,
               struct sbx_error *err);

int local_process_start(void *box, const struct sbx_exec *exec, const struct sbx_call *call,
                        void **ret_process, struct sbx_error *err);
int local_process_run(void *box, const struct sbx_exec *exec, const struct sbx_call *call,
                      void **ret_process, struct sbx_error *err);
int local_process_attach(void *box, uint32_t pid, const struct sbx_call *call, void **ret_process,
                         struct sbx_error *err);
uint32_t local_process_pid(void *process);
int local_process_read(void *process, const struct sbx_call *call, struct sbx_event *ret_event,
                       struct sbx_error *err);
int local_process_write(void *process, const void *data, size_t size, const struct sbx_call *call,
                        struct sbx_error *err);
int local_process_close_input(void *process, struct sbx_error *err);
int local_process_resize(void *process, uint16_t rows, uint16_t cols, struct sbx_error *err);
int local_process_signal(void *process, int32_t signal, struct sbx_error *err);
void local_process_free(void *process);
int local_process_list(void *box, const struct sbx_call *call, struct sbx_process_list *ret_list,
                       struct sbx_error *err);

int local_file_write(void *box, const char *path, const void *data, size_t size,
                     const struct sbx_file_options *options, const struct sbx_call *call,
                     struct sbx_error *err);
int local_file_read(void *box, const char *path, const struct sbx_file_options *options,
                    const struct sbx_call *call, char **ret_data, size_t *ret_size,
                    struct sbx_error *err);
int local_file_upload(void *box, const char *local_path, const char *path,
                      const struct sbx_file_options *options, const struct sbx_call *call,
                      struct sbx_error *err);
int local_file_download(void *box, const char *path, const char *local_path,
                        const struct sbx_file_options *options, const struct sbx_call *call,
                        struct sbx_error *err);
int local_file_stat(void *box, const char *path, const struct sbx_file_options *options,
                    const struct sbx_call *call, struct sbx_file_list *ret_one,
                    struct sbx_error *err);
int local_file_list(void *box, const char *path, const struct sbx_file_options *options,
                    const struct sbx_call *call, struct sbx_file_list *ret_list,
                    struct sbx_error *err);
int local_file_mkdir(void *box, const char *path, const struct sbx_file_options *options,
                     const struct sbx_call *call, struct sbx_error *err);
int local_file_remove(void *box, const char *path, const struct sbx_file_options *options,
                      const struct sbx_call *call, struct sbx_error *err);
int local_file_rename(void *box, const char *from, const char *to,
                      const struct sbx_file_options *options, const struct sbx_call *call,
                      struct sbx_error *err);
int local_watch_start(void *box, const char *path, const struct sbx_file_options *options,
                      const struct sbx_call *call, void **ret_watch, struct sbx_error *err);
int local_watch_next(void *watch, const struct sbx_call *call, struct sbx_change *ret_change,
                     struct sbx_error *err);
void local_watch_free(void *watch);
