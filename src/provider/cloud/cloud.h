// SPDX-License-Identifier: Apache-2.0
/*
 * What providers of services have in common: settings, the exclusion of get-or-create, and cost
 * safety. A random token among the labels of every sandbox finds the one whose answer to create was
 * lost, so that it is taken over or ended. Labels of ours begin with OWN_PREFIX and are not told.
 * Layer: provider.
 */
#pragma once

#include <pthread.h>

#include <sandboxes/provider.h>

#include "base/buf.h"
#include "base/clock.h"
#include "net/json.h"

#define OWN_PREFIX "_sandboxes."
#define OWN_USER OWN_PREFIX "user"
#define OWN_WORKDIR OWN_PREFIX "workdir"
#define OWN_TOKEN OWN_PREFIX "token"

#define REQUEST_MS 60000 // of one exchange, when the call has no earlier end
#define TOKEN_SIZE 48

// settings.c

// A copy of the key out of the environment, the settings or the file that they name; NULL if there
// is none. AUTH, DENIED.
int cloud_key(const struct sbx_settings *settings, const char *env, char **ret_key,
              struct sbx_error *err);
// Overwrites and frees it; NULL is accepted.
void cloud_key_free(char *key);
char *cloud_without_slash(const char *text); // at its end; a copy
// Ids and domains become parts of host names and paths.
bool cloud_is_name(const char *text);
struct deadline cloud_deadline(const struct sbx_call *call); // at most REQUEST_MS

// For providers whose service has no exclusion of its own: one for the processes of this machine.
int cloud_lock(void *provider, const struct sbx_pair *labels, size_t label_count,
               const struct sbx_call *call, void **ret_lock, struct sbx_error *err);
void cloud_unlock(void *lock);

// reap.c

typedef int cloud_remove_fn(void *provider, const char *id, struct deadline deadline,
                            struct sbx_error *err);
struct cloud_reapers {
    const char *name; // of the provider
    void *provider;
    int (*list)(void *provider, const struct sbx_pair *labels, size_t label_count,
                const struct sbx_call *call, struct sbx_list *ret_list, struct sbx_error *err);
    cloud_remove_fn *remove;
    pthread_mutex_t lock; // guards what follows
    pthread_cond_t idle;
    unsigned count; // threads that remove what a lost creation may have left
};
void cloud_reapers_init(struct cloud_reapers *reapers);
// Waits for those that still look.
void cloud_reapers_deinit(struct cloud_reapers *reapers);
int cloud_token(char token[TOKEN_SIZE], struct sbx_error *err);
/*
 * After a create that failed so. *ret_id is the sandbox that it has made all the same, to be used
 * or NULL; else what it may still have made is looked for and ended in the background. Free it.
 */
void cloud_reapers_lost(struct cloud_reapers *reapers, const char *token, int code,
                        const struct sbx_error *why, struct deadline deadline, char **ret_id);
// Ends what has this token, in the background.
void cloud_reapers_end(struct cloud_reapers *reapers, const char *token);
