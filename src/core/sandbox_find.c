// SPDX-License-Identifier: Apache-2.0
// Lists of sandboxes, finding by labels, get-or-create. Layer: core.
#include "core/sandbox_find.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/check.h"
#include "core/deadline_call.h"
#include "core/labels.h"

// What a list handed out owns: one list of each provider, and their entries in one array.
struct part {
    const struct provider *provider;
    struct sbx_list list;
};

struct owner {
    struct sbx_info *items;
    size_t part_count;
    struct part parts[CLIENT_PROVIDERS_MAX];
};

static void free_owner(struct owner *owner)
{
    for (size_t i = 0; i < owner->part_count; i++)
        owner->parts[i].provider->ops.list_free(&owner->parts[i].list);
    free(owner->items);
    free(owner);
}

static void cleanup_owner_fn(struct owner **owner)
{
    if (*owner)
        free_owner(*owner);
}

void sbx_list_free(struct sbx_list *list)
{
    if (!list || !list->owner)
        return;
    free_owner(list->owner);
    *list = (struct sbx_list){0};
}

static int compare_age(const void *a, const void *b)
{
    const struct sbx_info *x = a, *y = b;
    if (x->created_ms != y->created_ms)
        return x->created_ms < y->created_ms ? -1 : 1;
    return strcmp(x->id, y->id);
}

static int merge(struct owner *owner, struct sbx_list *ret_list, struct sbx_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < owner->part_count; i++)
        total += owner->parts[i].list.count;
    owner->items = calloc(total + 1, sizeof(*owner->items));
    if (!owner->items)
        return err_nomem(err);
    struct sbx_info *to = owner->items;
    for (size_t i = 0; i < owner->part_count; i++)
        for (size_t k = 0; k < owner->parts[i].list.count; k++, to++) {
            *to = owner->parts[i].list.items[k];
            to->provider = owner->parts[i].provider->ops.name;
        }
    if (total > 1)
        qsort(owner->items, total, sizeof(*owner->items), compare_age);
    *ret_list = (struct sbx_list){.count = total, .items = owner->items, .owner = owner};
    return 0;
}

struct query {
    const struct sbx_pair *labels;
    size_t label_count;
    struct deadline deadline;
};

static int list_one(struct provider *provider, const struct query *query, struct owner *owner,
                    struct sbx_error *err)
{
    struct sbx_call call;
    int code = deadline_call(query->deadline, &call, err);
    if (code == 0 && query->label_count)
        code =
            client_need(provider, provider->ops.capabilities & SBX_CAP_LABELS, SBX_CAP_LABELS, err);
    if (code < 0)
        return code;
    struct part *part = &owner->parts[owner->part_count];
    part->provider = provider;
    code = provider->ops.list(provider->handle, query->labels, query->label_count, &call,
                              &part->list, err);
    if (code < 0)
        return client_done(provider, code, err);
    owner->part_count++;
    return 0;
}

static int list_from(struct provider *const *providers, size_t count, const struct query *query,
                     struct sbx_list *ret_list, struct sbx_error *err)
{
    cleanup(cleanup_owner_fn) struct owner *owner = calloc(1, sizeof(*owner));
    if (!owner)
        return err_nomem(err);
    for (size_t i = 0; i < count; i++) {
        int code = list_one(providers[i], query, owner, err);
        if (code < 0)
            return code;
    }
    int code = merge(owner, ret_list, err);
    if (code == 0)
        owner = NULL;
    return code;
}

// Providers that a name means: that one, or all that are configured and can answer for NULL.
static int select_providers(struct sbx_client *client, const char *name, bool labels,
                            struct provider *ret_providers[CLIENT_PROVIDERS_MAX], size_t *ret_count,
                            struct sbx_error *err)
{
    if (name) {
        *ret_count = 1;
        return client_provider(client, name, ret_providers, err);
    }
    int code = check_not_null(client, "client", err);
    if (code < 0)
        return code;
    struct provider *all[CLIENT_PROVIDERS_MAX];
    size_t known = client_configured(client, all), count = 0;
    for (size_t i = 0; i < known; i++)
        if (!labels || (all[i]->ops.capabilities & SBX_CAP_LABELS))
            ret_providers[count++] = all[i];
    *ret_count = count;
    return 0;
}

int sbx_sandbox_list(struct sbx_client *client, const char *provider, const struct sbx_pair *labels,
                     size_t label_count, const struct sbx_call *call, struct sbx_list *ret_list,
                     struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    struct provider *providers[CLIENT_PROVIDERS_MAX];
    size_t count;
    int code = check_not_null(ret_list, "ret_list", err);
    if (code == 0)
        code = labels_check(labels, label_count, "labels", err);
    if (code == 0)
        code = check_call(call, &full, err);
    if (code == 0)
        code = select_providers(client, provider, label_count > 0, providers, &count, err);
    if (code < 0)
        return code;
    struct query query = {labels, label_count, deadline_from_call(&full)};
    return list_from(providers, count, &query, ret_list, err);
}

// Opens the oldest running sandbox of the list that is still there.
static int open_oldest(struct sbx_client *client, const struct sbx_list *list,
                       const struct query *query, struct sbx_sandbox **ret_sandbox,
                       struct sbx_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        struct sbx_call call;
        struct provider *provider;
        if (list->items[i].state != SBX_STATE_RUNNING)
            continue;
        int code = deadline_call(query->deadline, &call, err);
        if (code == 0)
            code = client_provider(client, list->items[i].provider, &provider, err);
        if (code == 0)
            code = sandbox_open(provider, list->items[i].id, &call, ret_sandbox, err);
        if (code != SBX_ERR_NOT_FOUND)
            return code;
    }
    return err_set(err, SBX_ERR_NOT_FOUND, "no running sandbox has these labels");
}

static int find_in(struct sbx_client *client, struct provider *const *providers, size_t count,
                   const struct query *query, struct sbx_sandbox **ret_sandbox,
                   struct sbx_error *err)
{
    struct sbx_list list;
    int code = list_from(providers, count, query, &list, err);
    if (code < 0)
        return code;
    code = open_oldest(client, &list, query, ret_sandbox, err);
    sbx_list_free(&list);
    return code;
}

// No labels would match any sandbox, which nobody means.
static int check_some_labels(const struct sbx_pair *labels, size_t count, const char *field,
                             struct sbx_error *err)
{
    if (count == 0)
        return err_set(err, SBX_ERR_INVALID, "%s: at least one label is needed to find a sandbox",
                       field);
    return labels_check(labels, count, field, err);
}

int sbx_sandbox_find(struct sbx_client *client, const char *provider, const struct sbx_pair *labels,
                     size_t label_count, const struct sbx_call *call,
                     struct sbx_sandbox **ret_sandbox, struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    struct provider *providers[CLIENT_PROVIDERS_MAX];
    size_t count;
    int code = check_not_null(ret_sandbox, "ret_sandbox", err);
    if (code == 0)
        code = check_some_labels(labels, label_count, "labels", err);
    if (code == 0)
        code = check_call(call, &full, err);
    if (code == 0)
        code = select_providers(client, provider, true, providers, &count, err);
    if (code < 0)
        return code;
    struct query query = {labels, label_count, deadline_from_call(&full)};
    return find_in(client, providers, count, &query, ret_sandbox, err);
}

// With the labels' lock held: who came second finds what the first has made.
static int find_or_create(struct provider *provider, const struct sbx_spec *spec,
                          const struct query *query, struct sbx_sandbox **ret_sandbox,
                          uint32_t *ret_created, struct sbx_error *err)
{
    struct sbx_call call;
    int code = find_in(provider->client, &provider, 1, query, ret_sandbox, err);
    if (code != SBX_ERR_NOT_FOUND) {
        *ret_created = 0;
        return code;
    }
    code = deadline_call(query->deadline, &call, err);
    if (code == 0)
        code = sandbox_create(provider, spec, &call, ret_sandbox, err);
    *ret_created = 1;
    return code;
}

static int create_locked(struct provider *provider, const struct sbx_spec *spec,
                         const struct query *query, struct sbx_sandbox **ret_sandbox,
                         uint32_t *ret_created, struct sbx_error *err)
{
    void *lock = NULL;
    struct sbx_call call;
    bool can_lock = provider->ops.lock && provider->ops.unlock;
    int code = deadline_call(query->deadline, &call, err);
    if (code == 0 && can_lock)
        code = client_done(provider,
                           provider->ops.lock(provider->handle, spec->labels, spec->label_count,
                                              &call, &lock, err),
                           err);
    if (code < 0)
        return code;
    code = find_or_create(provider, spec, query, ret_sandbox, ret_created, err);
    if (can_lock)
        provider->ops.unlock(lock);
    return code;
}

int sbx_sandbox_get_or_create(struct sbx_client *client, const struct sbx_spec *spec,
                              const struct sbx_call *call, struct sbx_sandbox **ret_sandbox,
                              uint32_t *ret_created, struct sbx_error *err)
{
    need_error(err);
    struct sbx_spec full_spec;
    struct sbx_call full_call;
    struct provider *provider;
    int code = check_not_null(ret_sandbox, "ret_sandbox", err);
    if (code == 0)
        code = check_spec(spec, &full_spec, err);
    if (code == 0)
        code = check_some_labels(full_spec.labels, full_spec.label_count, "spec.labels", err);
    if (code == 0)
        code = check_call(call, &full_call, err);
    if (code == 0)
        code = client_provider(client, full_spec.provider, &provider, err);
    if (code < 0)
        return code;
    struct query query = {full_spec.labels, full_spec.label_count, deadline_from_call(&full_call)};
    uint32_t created = 0;
    code = find_in(client, &provider, 1, &query, ret_sandbox, err);
    if (code == SBX_ERR_NOT_FOUND)
        code = create_locked(provider, &full_spec, &query, ret_sandbox, &created, err);
    if (code == 0 && ret_created)
        *ret_created = created;
    return code;
}
