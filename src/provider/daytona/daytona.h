// SPDX-License-Identifier: Apache-2.0
/*
 * The provider `daytona`. Two services answer: the control plane (control.c), which makes, lists
 * and ends sandboxes, and the toolbox of each sandbox (toolbox.c), for commands and files. A
 * command is the only one of a session (process.c), whose log is followed over a WebSocket, or of a
 * terminal (terminal.c). What files are is asked by short commands (entry.c), since the toolbox
 * follows links and tells no errors; contents go as they are (files.c). Layer: provider.
 */
#pragma once

#include "net/http.h"
#include "net/leash.h"
#include "net/websocket.h"
#include "provider/cloud/list.h"

#define LEASH_MS 20000 // how often the minute begins anew that a tied sandbox lives by itself

struct daytona {
    struct http *http;
    char *key;
    char *api;                                    // without a slash at its end
    char *organization;                           // beside a token, or NULL
    char *target;                                 // region, or NULL
    bool archive;                                 // what is paused is archived too
    bool plain;                                   // nothing but what Daytona itself has
    int64_t auto_stop, auto_archive, auto_delete; // minutes; AS_IT_IS: the service's default
    struct leashbook leashes;                     // of tied sandboxes
    struct cloud_reapers reapers;
};
#define AS_IT_IS (-2)

struct daytona_box {
    struct daytona *daytona;
    pthread_mutex_t lock;
    unsigned refs; // the handle, each process; guarded by lock
    char *id;
    char *base;                 // the toolbox's address, with the id
    char *workdir;              // default directory, NULL: the service's
    bool programs;              // the server runs programs as they are (program.c)
    struct cloud_record record; // of the last info
    // The request that ends the last session, not yet answered, or NULL; guarded by lock.
    struct http_stream *leaving;
};

// control.c
int daytona_control_create(void *provider, const struct sbx_spec *spec, const struct sbx_call *call,
                           void **ret_box, struct sbx_error *err);
int daytona_control_get(void *provider, const char *id, const struct sbx_call *call, void **ret_box,
                        struct sbx_error *err);
int daytona_control_info(void *box, const struct sbx_call *call, struct sbx_info *ret_info,
                         struct sbx_error *err);
int daytona_control_destroy(void *box, const struct sbx_call *call, struct sbx_error *err);
int daytona_control_pause(void *box, const struct sbx_call *call, struct sbx_error *err);
int daytona_control_resume(void *box, const struct sbx_call *call, struct sbx_error *err);
int daytona_control_expose(void *box, const struct sbx_port *port, const struct sbx_call *call,
                           char *ret_url, size_t url_size, struct sbx_error *err);
// One exchange with the control plane; `what` begins messages. 2xx or an error. ret_answer may be
// NULL for who needs none.
int daytona_control_call(struct daytona *daytona, const char *method, const char *path,
                         struct buf *body, const char *what, struct deadline deadline,
                         struct jsonv **ret_answer, struct sbx_error *err);
// The headers of every request.
#define DAYTONA_HEADERS 4
struct daytona_headers {
    struct http_header list[DAYTONA_HEADERS];
    char authorization[4200];
};
void daytona_control_headers(const struct daytona *daytona, bool json,
                             struct daytona_headers *ret_headers);
leash_renew_fn daytona_control_renew;
leash_end_fn daytona_control_end;
cloud_remove_fn daytona_control_delete;

// create.c
int daytona_create_body(const struct daytona *daytona, const struct sbx_spec *spec,
                        const char *token, struct buf *body, struct sbx_error *err);

// list.c
int daytona_list_boxes(void *provider, const struct sbx_pair *labels, size_t label_count,
                       const struct sbx_call *call, struct sbx_list *ret_list,
                       struct sbx_error *err);
cloud_record_fn daytona_record_fill;
uint32_t daytona_record_state(const struct jsonv *object);

// box.c
int daytona_box_new(struct daytona *daytona, const struct jsonv *object,
                    struct daytona_box **ret_box, struct sbx_error *err);
void daytona_box_ref(struct daytona_box *box);
void daytona_box_unref(void *box);
const char *daytona_box_id(void *box);
// Takes over the request that ends a session, and waits for the one before: a command need not wait
// for its own. NULL: waits alone.
void daytona_box_leave(struct daytona_box *box, struct http_stream *request);

// toolbox.c: path without a slash before it. `body` may be NULL.
int daytona_toolbox_url(const struct daytona_box *box, const char *path, struct buf *ret_url,
                        struct sbx_error *err);
int daytona_toolbox_call(struct daytona_box *box, const char *method, const char *path,
                         struct buf *body, const char *what, struct deadline deadline,
                         struct jsonv **ret_answer, struct sbx_error *err);
// As a call that is not waited for.
int daytona_toolbox_begin(struct daytona_box *box, const char *method, const char *path,
                          const struct buf *body, struct http_stream **ret_stream,
                          struct sbx_error *err);
int daytona_toolbox_open(struct daytona_box *box, const char *path, const char *what,
                         struct deadline deadline, struct ws **ret_ws, struct sbx_error *err);
// A short command of our own to its end: its exit code and both streams together as text.
int daytona_toolbox_run(void *box, const char *user, const char *const *argv, size_t argc,
                        struct deadline deadline, int *ret_exit_code, struct buf *out,
                        struct sbx_error *err);

// metrics.c
int daytona_metrics(void *box, const struct sbx_call *call, struct sbx_metrics *ret_metrics,
                    struct sbx_error *err);

// process.c
int daytona_process_start(void *box, const struct sbx_exec *exec, const struct sbx_call *call,
                          void **ret_process, struct sbx_error *err);
// follow.c: by one request to `sandboxes serve`.
int daytona_process_follow(void *box, const struct sbx_exec *exec, const struct sbx_call *call,
                           void **ret_process, struct sbx_error *err);
// whole.c: with one request, where the command allows it.
int daytona_process_run(void *box, const struct sbx_exec *exec, const struct sbx_call *call,
                        void **ret_process, struct sbx_error *err);
int daytona_process_attach(void *box, uint32_t pid, const struct sbx_call *call, void **ret_process,
                           struct sbx_error *err);
uint32_t daytona_process_pid(void *process);
int daytona_process_read(void *process, const struct sbx_call *call, struct sbx_event *ret_event,
                         struct sbx_error *err);
void daytona_process_free(void *process);

// process_io.c
int daytona_process_write(void *process, const void *data, size_t size, const struct sbx_call *call,
                          struct sbx_error *err);
int daytona_process_close_input(void *process, struct sbx_error *err);
int daytona_process_resize(void *process, uint16_t rows, uint16_t cols, struct sbx_error *err);
int daytona_process_signal(void *process, int32_t signal, struct sbx_error *err);
int daytona_process_list(void *box, const struct sbx_call *call, struct sbx_process_list *ret_list,
                         struct sbx_error *err);

// files.c
int daytona_file_write(void *box, const char *path, const void *data, size_t size,
                       const struct sbx_file_options *options, const struct sbx_call *call,
                       struct sbx_error *err);
int daytona_file_read(void *box, const char *path, const struct sbx_file_options *options,
                      const struct sbx_call *call, char **ret_data, size_t *ret_size,
                      struct sbx_error *err);
int daytona_file_upload(void *box, const char *local_path, const char *path,
                        const struct sbx_file_options *options, const struct sbx_call *call,
                        struct sbx_error *err);
int daytona_file_download(void *box, const char *path, const char *local_path,
                          const struct sbx_file_options *options, const struct sbx_call *call,
                          struct sbx_error *err);

// entry.c
int daytona_file_stat(void *box, const char *path, const struct sbx_file_options *options,
                      const struct sbx_call *call, struct sbx_file_list *ret_one,
                      struct sbx_error *err);
int daytona_file_list(void *box, const char *path, const struct sbx_file_options *options,
                      const struct sbx_call *call, struct sbx_file_list *ret_list,
                      struct sbx_error *err);
void daytona_file_list_free(struct sbx_file_list *list);
int daytona_file_mkdir(void *box, const char *path, const struct sbx_file_options *options,
                       const struct sbx_call *call, struct sbx_error *err);
int daytona_file_remove(void *box, const char *path, const struct sbx_file_options *options,
                        const struct sbx_call *call, struct sbx_error *err);
int daytona_file_rename(void *box, const char *from, const char *to,
                        const struct sbx_file_options *options, const struct sbx_call *call,
                        struct sbx_error *err);
