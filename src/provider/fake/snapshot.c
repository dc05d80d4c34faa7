// SPDX-License-Identifier: Apache-2.0
// Snapshots and forks of the provider "fake". Layer: provider.
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "provider/fake/fake.h"

struct fake_snapshot *fake_snapshot_find(struct fake_provider *provider, const char *name)
{
    struct fake_snapshot *at = provider->snapshots;
    while (at && strcmp(at->name, name) != 0)
        at = at->next;
    return at;
}

static void remove_one(struct fake_provider *provider, struct fake_snapshot *snapshot)
{
    struct fake_snapshot **at = &provider->snapshots;
    while (*at != snapshot)
        at = &(*at)->next;
    *at = snapshot->next;
    memfs_deinit(&snapshot->fs);
    free(snapshot->name);
    free(snapshot);
}

void fake_snapshots_free(struct fake_provider *provider)
{
    while (provider->snapshots)
        remove_one(provider, provider->snapshots);
}

// With the lock held.
static int keep(struct fake_box *box, const char *name, struct sbx_error *err)
{
    struct fake_provider *provider = box->provider;
    struct fake_snapshot *old = fake_snapshot_find(provider, name);
    cleanup_free struct fake_snapshot *made = calloc(1, sizeof(*made));
    cleanup_free char *own_name = strdup(name);
    if (!made || !own_name)
        return err_nomem(err);
    int code = memfs_copy(&box->fs, &made->fs, err);
    if (code < 0)
        return code;
    if (old)
        remove_one(provider, old);
    made->name = steal_ptr(own_name);
    made->next = provider->snapshots;
    provider->snapshots = steal_ptr(made);
    return 0;
}

int fake_snapshot(void *self, const char *name, const struct sbx_call *call, struct sbx_error *err)
{
    struct fake_handle *handle = self;
    if (strcmp(name, "fake") == 0)
        return err_set(err, SBX_ERR_INVALID, "'fake' is the name of an image, not of a snapshot");
    int code = fake_enter(handle, err);
    if (code < 0)
        return code;
    code = keep(handle->box, name, err);
    fake_unlock(handle->box->provider);
    return code;
}

int fake_snapshot_remove(void *self, const char *name, const struct sbx_call *call,
                         struct sbx_error *err)
{
    struct fake_provider *provider = self;
    fake_lock(provider);
    struct fake_snapshot *found = fake_snapshot_find(provider, name);
    if (found)
        remove_one(provider, found);
    fake_unlock(provider);
    return found ? 0 : err_set(err, SBX_ERR_NOT_FOUND, "there is no snapshot '%s'", name);
}

// The original's variables, then the fork's: of one name the last counts.
static struct sbx_pair *join_env(const struct fake_box *box, const struct sbx_fork *fork)
{
    struct sbx_pair *env = calloc(box->env_count + fork->env_count + 1, sizeof(*env));
    if (env && box->env_count)
        memcpy(env, box->env, box->env_count * sizeof(*env));
    if (env && fork->env_count)
        memcpy(env + box->env_count, fork->env, fork->env_count * sizeof(*env));
    return env;
}

int fake_fork(void *self, const struct sbx_fork *fork, const struct sbx_call *call, void **ret_box,
              struct sbx_error *err)
{
    struct fake_handle *handle = self, *made = NULL;
    int code = fake_enter(handle, err);
    if (code < 0)
        return code;
    struct fake_box *box = handle->box;
    cleanup_free struct sbx_pair *env = join_env(box, fork);
    struct sbx_spec spec = SBX_SPEC_INIT;
    spec.image = box->image;
    spec.user = box->user;
    spec.workdir = box->workdir;
    spec.ttl_ms = fork->ttl_ms ? fork->ttl_ms : box->ttl_ms;
    spec.env = env;
    spec.env_count = box->env_count + fork->env_count;
    spec.labels = fork->labels;
    spec.label_count = fork->label_count;
    code = env ? fake_make(box->provider, &spec, &box->fs, &made, err) : err_nomem(err);
    fake_unlock(box->provider);
    if (code == 0)
        *ret_box = made;
    return code;
}
