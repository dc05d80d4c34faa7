/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a provider of sandboxes implements. One const table of functions per service; the library's
 * own are registered in src/core/registry.c, a program may add its own with
 * sbx_client_add_provider().
 *
 * A provider's handles are opaque pointers of its own. Every function may be called from any
 * thread. A function left NULL answers SBX_ERR_UNSUPPORTED. Shapes, errors and ownership are those
 * of the public calls of the same name in sandbox.h, process.h and files.h. Arguments arrive
 * validated, structs at their full size, options and calls never NULL; err is never NULL. A
 * command's whole input (exec->input) never arrives: the library sets SBX_EXEC_STDIN and writes it,
 * beside reading.
 *
 * What an error says decides whether a call that must not have its effect twice may be repeated
 * (manager.h): fill http_status with a service's answer, sys_errno with what connect(2) failed with
 * (ECONNREFUSED, ENETUNREACH, EHOSTUNREACH for a name that has no address), retry_after_ms with
 * what the service asked for.
 */
#ifndef SANDBOXES_PROVIDER_H
#define SANDBOXES_PROVIDER_H

#include <sandboxes/files.h>
#include <sandboxes/process.h>
#include <sandboxes/sandbox.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Settings of one provider: the value of [provider.NAME] key in the configuration, or NULL. */
struct sbx_settings;
SBX_API const char *sbx_settings_get(const struct sbx_settings *settings, const char *key);

/* 1: what is set there comes before the environment (SBX_CLIENT_SETTINGS_FIRST). 0: after it. */
SBX_API uint32_t sbx_settings_first(const struct sbx_settings *settings);

struct sbx_provider_ops {
    size_t size;
    const char *name;
    const char *description;
    uint32_t capabilities; /* enum sbx_capability */

    /* The provider. open is cheap and contacts nobody; probe says whether it can be used here. */
    int (*open)(const struct sbx_settings *settings, void **ret_provider, struct sbx_error *err);
    void (*close)(void *provider);
    int (*probe)(void *provider, struct sbx_provider_info *ret_info, struct sbx_error *err);

    /* Sandboxes. get takes a full id or a unique prefix (CONFLICT when several match). */
    int (*create)(void *provider, const struct sbx_spec *spec, const struct sbx_call *call,
                  void **ret_box, struct sbx_error *err);
    int (*get)(void *provider, const char *id, const struct sbx_call *call, void **ret_box,
               struct sbx_error *err);
    int (*list)(void *provider, const struct sbx_pair *labels, size_t label_count,
                const struct sbx_call *call, struct sbx_list *ret_list, struct sbx_error *err);
    void (*list_free)(struct sbx_list *list);
    /* Mutual exclusion of get-or-create between processes; optional. */
    int (*lock)(void *provider, const struct sbx_pair *labels, size_t label_count,
                const struct sbx_call *call, void **ret_lock, struct sbx_error *err);
    void (*unlock)(void *lock);

    void (*box_free)(void *box);
    const char *(*box_id)(void *box);
    int (*info)(void *box, const struct sbx_call *call, struct sbx_info *ret_info,
                struct sbx_error *err);
    int (*destroy)(void *box, const struct sbx_call *call, struct sbx_error *err);
    int (*set_ttl)(void *box, int64_t ttl_ms, const struct sbx_call *call, struct sbx_error *err);
    int (*metrics)(void *box, const struct sbx_call *call, struct sbx_metrics *ret_metrics,
                   struct sbx_error *err);
    int (*expose)(void *box, const struct sbx_port *port, const struct sbx_call *call,
                  char *ret_url, size_t url_size, struct sbx_error *err);
    int (*pause)(void *box, const struct sbx_call *call, struct sbx_error *err);
    int (*resume)(void *box, const struct sbx_call *call, struct sbx_error *err);

    /* Commands. */
    int (*process_start)(void *box, const struct sbx_exec *exec, const struct sbx_call *call,
                         void **ret_process, struct sbx_error *err);
    int (*process_attach)(void *box, uint32_t pid, const struct sbx_call *call, void **ret_process,
                          struct sbx_error *err);
    uint32_t (*process_pid)(void *process);
    int (*process_read)(void *process, const struct sbx_call *call, struct sbx_event *ret_event,
                        struct sbx_error *err);
    int (*process_write)(void *process, const void *data, size_t size, const struct sbx_call *call,
                         struct sbx_error *err);
    int (*process_close_input)(void *process, struct sbx_error *err);
    int (*process_resize)(void *process, uint16_t rows, uint16_t cols, struct sbx_error *err);
    int (*process_signal)(void *process, int32_t signal, struct sbx_error *err);
    void (*process_free)(void *process);
    int (*process_list)(void *box, const struct sbx_call *call, struct sbx_process_list *ret_list,
                        struct sbx_error *err);
    void (*process_list_free)(struct sbx_process_list *list);

    /* Files. */
    int (*file_write)(void *box, const char *path, const void *data, size_t size,
                      const struct sbx_file_options *options, const struct sbx_call *call,
                      struct sbx_error *err);
    int (*file_read)(void *box, const char *path, const struct sbx_file_options *options,
                     const struct sbx_call *call, char **ret_data, size_t *ret_size,
                     struct sbx_error *err);
    int (*file_upload)(void *box, const char *local_path, const char *path,
                       const struct sbx_file_options *options, const struct sbx_call *call,
                       struct sbx_error *err);
    int (*file_download)(void *box, const char *path, const char *local_path,
                         const struct sbx_file_options *options, const struct sbx_call *call,
                         struct sbx_error *err);
    int (*file_stat)(void *box, const char *path, const struct sbx_file_options *options,
                     const struct sbx_call *call, struct sbx_file_list *ret_one,
                     struct sbx_error *err);
    int (*file_list)(void *box, const char *path, const struct sbx_file_options *options,
                     const struct sbx_call *call, struct sbx_file_list *ret_list,
                     struct sbx_error *err);
    void (*file_list_free)(struct sbx_file_list *list);
    int (*file_mkdir)(void *box, const char *path, const struct sbx_file_options *options,
                      const struct sbx_call *call, struct sbx_error *err);
    int (*file_remove)(void *box, const char *path, const struct sbx_file_options *options,
                       const struct sbx_call *call, struct sbx_error *err);
    int (*file_rename)(void *box, const char *from, const char *to,
                       const struct sbx_file_options *options, const struct sbx_call *call,
                       struct sbx_error *err);

    /* In the child of a fork: see sbx_client_forked(); optional. */
    void (*forked)(void *provider);

    /*
     * As process_start, for a command at whose output nobody looks before its end; optional. It may
     * wait for that end, and gives the whole output to process_read then. Or it waits for nothing,
     * and process_read tells that the command could not be started.
     */
    int (*process_run)(void *box, const struct sbx_exec *exec, const struct sbx_call *call,
                       void **ret_process, struct sbx_error *err);

    /* Snapshots. fork is never NULL. */
    int (*snapshot)(void *box, const char *name, const struct sbx_call *call,
                    struct sbx_error *err);
    int (*snapshot_remove)(void *provider, const char *name, const struct sbx_call *call,
                           struct sbx_error *err);
    int (*fork)(void *box, const struct sbx_fork *fork, const struct sbx_call *call, void **ret_box,
                struct sbx_error *err);

    /* Changes in directories: all three or none. */
    int (*watch_start)(void *box, const char *path, const struct sbx_file_options *options,
                       const struct sbx_call *call, void **ret_watch, struct sbx_error *err);
    int (*watch_next)(void *watch, const struct sbx_call *call, struct sbx_change *ret_change,
                      struct sbx_error *err);
    void (*watch_free)(void *watch);

    /* As process_start, for a command whose handle nobody sees before its end; optional. */
    int (*process_follow)(void *box, const struct sbx_exec *exec, const struct sbx_call *call,
                          void **ret_process, struct sbx_error *err);

    /* Other rules for the network, of which network, allow and allow_count are set; optional. */
    int (*set_network)(void *box, const struct sbx_spec *rules, const struct sbx_call *call,
                       struct sbx_error *err);
};

/*
 * Adds a provider to this client, which opens it at its first use. ops and its strings are copied,
 * the functions must stay. It takes part wherever a provider is named, never in auto-detection.
 * CONFLICT if the name is taken.
 */
SBX_API int sbx_client_add_provider(struct sbx_client *client, const struct sbx_provider_ops *ops,
                                    struct sbx_error *err);

/*
 * The same for a provider that lives already, an object of the program's own: `payload` is what its
 * functions receive as the provider, from any thread and several at once. ops->open is not called;
 * ops->close, if there is one, is called with the payload once, when the client is closed, and
 * never if registering failed.
 */
SBX_API int sbx_client_register_provider(struct sbx_client *client,
                                         const struct sbx_provider_ops *ops, void *payload,
                                         struct sbx_error *err);

#ifdef __cplusplus
}
#endif
#endif
