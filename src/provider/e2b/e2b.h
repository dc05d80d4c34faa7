// SPDX-License-Identifier: Apache-2.0
/*
 * The provider `e2b`. Two services answer: the control plane (control.c), which makes, lists and
 * ends sandboxes, and envd inside each sandbox (envd.c), for commands (process.c, start.c) and
 * files (files.c, trees.c).
 *
 * E2B keeps labels as metadata, ours among them: default user and directory, which it has no place
 * for, and the token of provider/cloud/cloud.h. Layer: provider.
 */
#pragma once

#include "net/connect.h"
#include "net/http.h"
#include "net/leash.h"
#include "provider/cloud/list.h"

#define ENVD_PORT 49983
#define LEASH_S 30 // life of a tied sandbox without its maker, unless set

struct e2b {
    struct http *http;
    char *key; // NULL in debug mode
    char *api; // without a slash at its end
    char *domain;
    char *sandbox_url; // for every sandbox, or NULL
    bool debug;
    int64_t leash_s;          // life of a tied sandbox without its maker
    struct leashbook leashes; // of tied sandboxes
    struct cloud_reapers reapers;
};

struct e2b_box {
    struct e2b *e2b;
    pthread_mutex_t lock;
    unsigned refs; // the handle, each process; guarded by lock
    char *id;
    char *base;                 // envd's address
    char *domain;               // of its host names
    char *token;                // of envd, or NULL
    char *user;                 // default user, NULL: the template's
    char *workdir;              // default directory, NULL: that user's home
    bool octets;                // envd takes bare bodies as uploads
    struct cloud_record record; // of the last info
};

// control.c
int e2b_control_create(void *provider, const struct sbx_spec *spec, const struct sbx_call *call,
                       void **ret_box, struct sbx_error *err);
int e2b_control_get(void *provider, const char *id, const struct sbx_call *call, void **ret_box,
                    struct sbx_error *err);
int e2b_control_info(void *box, const struct sbx_call *call, struct sbx_info *ret_info,
                     struct sbx_error *err);
int e2b_control_destroy(void *box, const struct sbx_call *call, struct sbx_error *err);
int e2b_control_set_ttl(void *box, int64_t ttl_ms, const struct sbx_call *call,
                        struct sbx_error *err);
int e2b_control_pause(void *box, const struct sbx_call *call, struct sbx_error *err);
int e2b_control_resume(void *box, const struct sbx_call *call, struct sbx_error *err);
// One exchange with the control plane; `what` begins messages. 2xx or an error. The answer may be
// NULL for who needs none.
int e2b_control_call(struct e2b *e2b, const char *method, const char *path, struct buf *body,
                     const char *what, struct deadline deadline, struct jsonv **ret_answer,
                     struct buf *ret_headers, struct sbx_error *err);
leash_renew_fn e2b_control_renew;
leash_end_fn e2b_control_end;
cloud_remove_fn e2b_control_delete;

// create.c
int e2b_create_body(const struct e2b *e2b, const struct sbx_spec *spec, const char *token,
                    struct buf *body, struct sbx_error *err);

// list.c
int e2b_list_boxes(void *provider, const struct sbx_pair *labels, size_t label_count,
                   const struct sbx_call *call, struct sbx_list *ret_list, struct sbx_error *err);
cloud_record_fn e2b_record_fill;

// box.c
int e2b_box_new(struct e2b *e2b, const struct jsonv *object, struct e2b_box **ret_box,
                struct sbx_error *err);
void e2b_box_ref(struct e2b_box *box);
void e2b_box_unref(void *box);
const char *e2b_box_id(void *box);

// envd.c: headers of every request to envd. `user` NULL: the sandbox's default.
#define ENVD_HEADERS 5
struct envd_headers {
    struct http_header list[ENVD_HEADERS];
    size_t count;
    char authorization[512];
};
void e2b_envd_headers(const struct e2b_box *box, const char *user,
                      struct envd_headers *ret_headers);
// Connect RPC: method is "process.Process/List".
int e2b_envd_call(struct e2b_box *box, const char *user, const char *method, struct buf *message,
                  const char *what, bool idempotent, struct deadline deadline,
                  struct jsonv **ret_answer, struct sbx_error *err);
int e2b_envd_open(struct e2b_box *box, const char *user, const char *method, struct buf *message,
                  const char *what, struct deadline deadline, struct connect_stream **ret_stream,
                  struct sbx_error *err);
int e2b_envd_url(const struct e2b_box *box, const char *path, struct buf *ret_url,
                 struct sbx_error *err);
int e2b_envd_metrics(void *box, const struct sbx_call *call, struct sbx_metrics *ret_metrics,
                     struct sbx_error *err);
int e2b_envd_expose(void *box, const struct sbx_port *port, const struct sbx_call *call,
                    char *ret_url, size_t url_size, struct sbx_error *err);
// A proxy's 502 says in words that the sandbox is gone.
int e2b_envd_meaning(const struct e2b_box *box, int code, struct sbx_error *err);

// process.c
int e2b_process_start(void *box, const struct sbx_exec *exec, const struct sbx_call *call,
                      void **ret_process, struct sbx_error *err);
int e2b_process_attach(void *box, uint32_t pid, const struct sbx_call *call, void **ret_process,
                       struct sbx_error *err);
uint32_t e2b_process_pid(void *process);
int e2b_process_read(void *process, const struct sbx_call *call, struct sbx_event *ret_event,
                     struct sbx_error *err);
int e2b_process_write(void *process, const void *data, size_t size, const struct sbx_call *call,
                      struct sbx_error *err);
int e2b_process_close_input(void *process, struct sbx_error *err);
int e2b_process_resize(void *process, uint16_t rows, uint16_t cols, struct sbx_error *err);
int e2b_process_signal(void *process, int32_t signal, struct sbx_error *err);
void e2b_process_free(void *process);
int e2b_process_list(void *box, const struct sbx_call *call, struct sbx_process_list *ret_list,
                     struct sbx_error *err);
// A short command of our own to its end: its exit code and, in `out` if not NULL, its output.
int e2b_process_run(struct e2b_box *box, const char *user, const char *const *argv, size_t argc,
                    struct deadline deadline, int *ret_exit_code, struct buf *out,
                    struct sbx_error *err);

// files.c
int e2b_file_write(void *box, const char *path, const void *data, size_t size,
                   const struct sbx_file_options *options, const struct sbx_call *call,
                   struct sbx_error *err);
int e2b_file_read(void *box, const char *path, const struct sbx_file_options *options,
                  const struct sbx_call *call, char **ret_data, size_t *ret_size,
                  struct sbx_error *err);
int e2b_file_stat(void *box, const char *path, const struct sbx_file_options *options,
                  const struct sbx_call *call, struct sbx_file_list *ret_one,
                  struct sbx_error *err);
void e2b_file_list_free(struct sbx_file_list *list);
int e2b_file_list(void *box, const char *path, const struct sbx_file_options *options,
                  const struct sbx_call *call, struct sbx_file_list *ret_list,
                  struct sbx_error *err);
int e2b_file_mkdir(void *box, const char *path, const struct sbx_file_options *options,
                   const struct sbx_call *call, struct sbx_error *err);
int e2b_file_remove(void *box, const char *path, const struct sbx_file_options *options,
                    const struct sbx_call *call, struct sbx_error *err);
int e2b_file_rename(void *box, const char *from, const char *to,
                    const struct sbx_file_options *options, const struct sbx_call *call,
                    struct sbx_error *err);
int e2b_file_upload(void *box, const char *local_path, const char *path,
                    const struct sbx_file_options *options, const struct sbx_call *call,
                    struct sbx_error *err);
int e2b_file_download(void *box, const char *path, const char *local_path,
                      const struct sbx_file_options *options, const struct sbx_call *call,
                      struct sbx_error *err);

// watch.c
int e2b_watch_start(void *box, const char *path, const struct sbx_file_options *options,
                    const struct sbx_call *call, void **ret_watch, struct sbx_error *err);
int e2b_watch_next(void *watch, const struct sbx_call *call, struct sbx_change *ret_change,
                   struct sbx_error *err);
void e2b_watch_free(void *watch);
