// SPDX-License-Identifier: Apache-2.0
// Sandboxes of the provider "fake". Layer: provider.
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "core/labels.h"
#include "provider/fake/fake.h"
#include "provider/fake/process.h"
#include "provider/fake/watch.h"

#define OVERHEAD_BYTES (64 * 1024) // what an empty sandbox is said to take

struct user {
    const char *name;
    const char *home;
    uint32_t uid;
};

static const struct user users[] = {{"root", "/root", 0}, {"user", "/home/user", 1000}};

static const struct user *find_user(uint32_t uid)
{
    for (size_t i = 0; i < ARRAY_SIZE(users); i++)
        if (users[i].uid == uid)
            return &users[i];
    return NULL;
}

const char *fake_user_name(uint32_t uid)
{
    const struct user *user = find_user(uid);
    return user ? user->name : "nobody";
}

const char *fake_user_home(uint32_t uid)
{
    const struct user *user = find_user(uid);
    return user ? user->home : "/";
}

static int user_number(const char *name, uint32_t *ret_uid, struct sbx_error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(users); i++)
        if (strcmp(users[i].name, name) == 0) {
            *ret_uid = users[i].uid;
            return 0;
        }
    if (!text_of(name, TEXT_DIGITS, 7))
        return err_set(err, SBX_ERR_NOT_FOUND, "there is no user '%s' in the sandbox", name);
    *ret_uid = (uint32_t)strtoul(name, NULL, 10);
    return 0;
}

int fake_view(struct fake_box *box, const char *user, struct memfs_view *ret_view,
              struct sbx_error *err)
{
    uint32_t uid = 0;
    int code = user_number(user ? user : box->user, &uid, err);
    if (code == 0)
        *ret_view = (struct memfs_view){.fs = &box->fs, .cwd = fake_user_home(uid), .uid = uid};
    return code;
}

// Pairs and their strings in one block.
static struct sbx_pair *copy_pairs(const struct sbx_pair *pairs, size_t count)
{
    size_t size = (count + 1) * sizeof(*pairs);
    for (size_t i = 0; i < count; i++)
        size += strlen(pairs[i].name) + strlen(pairs[i].value) + 2;
    struct sbx_pair *copy = malloc(size);
    char *text = copy ? (char *)(copy + count + 1) : NULL;
    for (size_t i = 0; copy && i < count; i++) {
        copy[i].name = text;
        text = stpcpy(text, pairs[i].name) + 1;
        copy[i].value = text;
        text = stpcpy(text, pairs[i].value) + 1;
    }
    return copy;
}

void fake_box_unref(struct fake_box *box)
{
    if (--box->refs > 0)
        return;
    memfs_deinit(&box->fs);
    free(box->image);
    free(box->user);
    free(box->workdir);
    free(box->env);
    free(box->labels);
    free(box);
}

void fake_box_end(struct fake_box *box)
{
    if (box->gone)
        return;
    struct fake_box **at = &box->provider->boxes;
    while (*at != box)
        at = &(*at)->next;
    *at = box->next;
    box->gone = true;
    fake_watch_wake_all(box);
    fake_process_end_all(box);
    fake_box_unref(box);
}

// Time to live is enforced by whoever looks next. With the lock held.
static void sweep(struct fake_provider *provider)
{
    int64_t now = clock_boot_ms();
    for (struct fake_box *box = provider->boxes; box;) {
        struct fake_box *next = box->next;
        if (box->expires_at <= now) {
            fake_box_end(box); // lets go of the lock in between: begin again
            next = provider->boxes;
        }
        box = next;
    }
}

int fake_enter(struct fake_handle *handle, struct sbx_error *err)
{
    struct fake_provider *provider = handle->box->provider;
    fake_lock(provider);
    sweep(provider);
    if (!handle->box->gone)
        return 0;
    fake_unlock(provider);
    return err_set(err, SBX_ERR_NOT_FOUND, "sandbox %s is gone", handle->box->id);
}

static void set_ttl(struct fake_box *box, int64_t ttl_ms)
{
    struct deadline end = deadline_in(ttl_ms);
    box->expires_at = end.at_ms;
    box->expires_ms = end.at_ms == DEADLINE_NEVER ? 0 : clock_unix_ms() + ttl_ms;
}

static int fill(struct fake_box *box, const struct sbx_spec *spec, const struct memfs *from,
                struct sbx_error *err)
{
    box->image = strdup(spec->image ? spec->image : "fake");
    box->user = strdup(spec->user ? spec->user : "user");
    box->workdir = spec->workdir ? strdup(spec->workdir) : NULL;
    box->env = copy_pairs(spec->env, spec->env_count);
    box->labels = copy_pairs(spec->labels, spec->label_count);
    if (!box->image || !box->user || !box->env || !box->labels || (spec->workdir && !box->workdir))
        return err_nomem(err);
    box->env_count = spec->env_count;
    box->label_count = spec->label_count;
    labels_sort(box->labels, box->label_count);
    box->created_ms = clock_unix_ms();
    box->ttl_ms = spec->ttl_ms;
    set_ttl(box, spec->ttl_ms);
    if (id_new(box->id) < 0)
        return err_set(err, SBX_ERR_IO, "no random numbers for an id");
    struct memfs_view view;
    int code = from ? memfs_copy(from, &box->fs, err) : memfs_init(&box->fs, err);
    if (code == 0)
        code = fake_view(box, NULL, &view, err);
    struct memfs_node *node;
    if (code == 0 && box->workdir)
        code = memfs_find(&view, box->workdir, MEMFS_FOLLOW, &node, err);
    return code;
}

static void append(struct fake_provider *provider, struct fake_box *box)
{
    struct fake_box **at = &provider->boxes;
    while (*at)
        at = &(*at)->next;
    *at = box;
}

static int count_boxes(const struct fake_provider *provider)
{
    int count = 0;
    for (const struct fake_box *box = provider->boxes; box; box = box->next)
        count++;
    return count;
}

// A failure that the settings ask for. With the lock held.
static int inject(struct fake_provider *provider, int64_t *left, int code, struct sbx_error *err)
{
    if (*left == 0)
        return 0;
    --*left;
    err_set(err, code, "failure injected by the settings of provider 'fake'");
    err->retry_after_ms = (uint32_t)provider->retry_after_ms;
    return code;
}

int fake_inject_exec(struct fake_provider *provider, struct sbx_error *err)
{
    return inject(provider, &provider->exec_failures, provider->exec_error, err);
}

static int delay(int64_t ms, const struct sbx_call *call, struct sbx_error *err)
{
    if (ms == 0)
        return 0;
    struct deadline whole = deadline_from_call(call);
    int64_t until = clock_boot_ms() + ms;
    int code = deadline_wait(deadline_min(whole, until), -1, 0, NULL, err);
    return code == SBX_ERR_TIMEOUT && until <= whole.at_ms ? 0 : code;
}

static bool try_to_search(struct fake_provider *provider)
{
    fake_lock(provider);
    bool taken = !provider->searching;
    provider->searching = true;
    fake_unlock(provider);
    return taken;
}

int fake_lock_labels(void *self, const struct sbx_pair *labels, size_t label_count,
                     const struct sbx_call *call, void **ret_lock, struct sbx_error *err)
{
    (void)labels, (void)label_count; // whoever looks for others waits as well
    struct fake_provider *provider = self;
    while (!try_to_search(provider)) {
        int code = delay(1, call, err);
        if (code < 0)
            return code;
    }
    *ret_lock = provider;
    return 0;
}

void fake_unlock_labels(void *lock)
{
    struct fake_provider *provider = lock;
    fake_lock(provider);
    provider->searching = false;
    fake_unlock(provider);
}

// With the lock held.
static int admit(struct fake_provider *provider, const struct sbx_spec *spec,
                 const struct memfs *from, struct fake_box **ret_box, struct sbx_error *err)
{
    int code = inject(provider, &provider->create_failures, provider->create_error, err);
    if (code < 0)
        return code;
    if (provider->max_sandboxes && count_boxes(provider) >= provider->max_sandboxes)
        return err_set(err, SBX_ERR_QUOTA, "there are %d sandboxes already",
                       (int)provider->max_sandboxes);
    struct fake_box *box = calloc(1, sizeof(*box));
    if (!box)
        return err_nomem(err);
    box->provider = provider;
    box->refs = 1;
    code = fill(box, spec, from, err);
    if (code < 0) {
        fake_box_unref(box);
        return code;
    }
    append(provider, box);
    *ret_box = box;
    return 0;
}

// The files that the image stands for; NULL for those that every sandbox begins with.
static int find_image(struct fake_provider *provider, const char *image,
                      const struct memfs **ret_from, struct sbx_error *err)
{
    const struct fake_snapshot *snapshot = NULL;
    bool known = !image || strcmp(image, "fake") == 0;
    if (!known && !(snapshot = fake_snapshot_find(provider, image))) {
        err_set(err, SBX_ERR_NOT_FOUND, "there is no image '%s'", image);
        return err_hint(err, "the provider 'fake' has only the image 'fake', and snapshots");
    }
    *ret_from = snapshot ? &snapshot->fs : NULL;
    return 0;
}

int fake_make(struct fake_provider *provider, const struct sbx_spec *spec, const struct memfs *from,
              struct fake_handle **ret_handle, struct sbx_error *err)
{
    cleanup_free struct fake_handle *handle = calloc(1, sizeof(*handle));
    if (!handle)
        return err_nomem(err);
    int code = from ? 0 : find_image(provider, spec->image, &from, err);
    if (code == 0)
        code = admit(provider, spec, from, &handle->box, err);
    if (code < 0)
        return code;
    handle->box->refs++;
    *ret_handle = steal_ptr(handle);
    return 0;
}

int fake_create(void *self, const struct sbx_spec *spec, const struct sbx_call *call,
                void **ret_box, struct sbx_error *err)
{
    struct fake_provider *provider = self;
    struct fake_handle *handle = NULL;
    int code = delay(provider->create_delay_ms, call, err);
    if (code < 0)
        return code;
    fake_lock(provider);
    sweep(provider);
    code = fake_make(provider, spec, NULL, &handle, err);
    fake_unlock(provider);
    if (code == 0)
        *ret_box = handle;
    return code;
}

// The box with this id, or the only one whose id begins so. With the lock held.
static int find_box(struct fake_provider *provider, const char *id, struct fake_box **ret_box,
                    struct sbx_error *err)
{
    struct fake_box *found = NULL;
    for (struct fake_box *box = provider->boxes; box; box = box->next) {
        if (strncmp(box->id, id, strlen(id)) != 0)
            continue;
        if (found) {
            err_set(err, SBX_ERR_CONFLICT, "several sandboxes have ids that begin with '%s'", id);
            return err_hint(err, "give more of the id: '%s' or '%s'", found->id, box->id);
        }
        found = box;
    }
    if (!found)
        return err_set(err, SBX_ERR_NOT_FOUND, "there is no sandbox '%s'", id);
    *ret_box = found;
    return 0;
}

int fake_get(void *self, const char *id, const struct sbx_call *call, void **ret_box,
             struct sbx_error *err)
{
    struct fake_provider *provider = self;
    cleanup_free struct fake_handle *handle = calloc(1, sizeof(*handle));
    if (!handle)
        return err_nomem(err);
    fake_lock(provider);
    sweep(provider);
    int code = find_box(provider, id, &handle->box, err);
    if (code == 0)
        handle->box->refs++;
    fake_unlock(provider);
    if (code == 0)
        *ret_box = steal_ptr(handle);
    return code;
}

void fake_box_free(void *self)
{
    struct fake_handle *handle = self;
    struct fake_provider *provider = handle->box->provider;
    fake_lock(provider);
    fake_box_unref(handle->box);
    fake_unlock(provider);
    free(handle);
}

const char *fake_box_id(void *self)
{
    return ((struct fake_handle *)self)->box->id;
}

// Strings stay with the box, which the receiver keeps alive.
static void describe(const struct fake_box *box, struct sbx_info *info)
{
    *info = (struct sbx_info){.size = sizeof(*info),
                              .id = box->id,
                              .image = box->image,
                              .user = box->user,
                              .state = SBX_STATE_RUNNING,
                              .network = SBX_NETWORK_NONE,
                              .created_ms = box->created_ms,
                              .expires_ms = box->expires_ms,
                              .labels = box->labels,
                              .label_count = box->label_count};
}

int fake_info(void *self, const struct sbx_call *call, struct sbx_info *ret_info,
              struct sbx_error *err)
{
    struct fake_handle *handle = self;
    int code = fake_enter(handle, err);
    if (code < 0)
        return code;
    describe(handle->box, ret_info);
    fake_unlock(handle->box->provider);
    return 0;
}

struct list_owner {
    struct fake_provider *provider;
    size_t count;
    struct fake_box **boxes; // each with a reference
    struct sbx_info *items;
};

static void free_owner(struct list_owner *owner)
{
    fake_lock(owner->provider);
    for (size_t i = 0; i < owner->count; i++)
        fake_box_unref(owner->boxes[i]);
    fake_unlock(owner->provider);
    free(owner->boxes);
    free(owner->items);
    free(owner);
}

void fake_list_free(struct sbx_list *list)
{
    free_owner(list->owner);
    *list = (struct sbx_list){0};
}

static struct list_owner *new_owner(struct fake_provider *provider, size_t room)
{
    struct list_owner *owner = calloc(1, sizeof(*owner));
    if (!owner)
        return NULL;
    owner->provider = provider;
    owner->boxes = calloc(room + 1, sizeof(struct fake_box *));
    owner->items = calloc(room + 1, sizeof(struct sbx_info));
    if (owner->boxes && owner->items)
        return owner;
    free(owner->boxes);
    free(owner->items);
    free(owner);
    return NULL;
}

int fake_list(void *self, const struct sbx_pair *labels, size_t label_count,
              const struct sbx_call *call, struct sbx_list *ret_list, struct sbx_error *err)
{
    struct fake_provider *provider = self;
    fake_lock(provider);
    sweep(provider);
    struct list_owner *owner = new_owner(provider, (size_t)count_boxes(provider));
    for (struct fake_box *box = owner ? provider->boxes : NULL; box; box = box->next) {
        if (!labels_match(box->labels, box->label_count, labels, label_count))
            continue;
        box->refs++;
        describe(box, &owner->items[owner->count]);
        owner->boxes[owner->count++] = box;
    }
    fake_unlock(provider);
    if (!owner)
        return err_nomem(err);
    *ret_list = (struct sbx_list){.count = owner->count, .items = owner->items, .owner = owner};
    return 0;
}

int fake_destroy(void *self, const struct sbx_call *call, struct sbx_error *err)
{
    struct fake_handle *handle = self;
    int code = fake_enter(handle, err);
    if (code < 0)
        return code;
    fake_box_end(handle->box);
    fake_unlock(handle->box->provider);
    return 0;
}

int fake_set_ttl(void *self, int64_t ttl_ms, const struct sbx_call *call, struct sbx_error *err)
{
    struct fake_handle *handle = self;
    int code = fake_enter(handle, err);
    if (code < 0)
        return code;
    set_ttl(handle->box, ttl_ms);
    fake_process_notify_all(handle->box);
    fake_unlock(handle->box->provider);
    return 0;
}

int fake_metrics(void *self, const struct sbx_call *call, struct sbx_metrics *ret_metrics,
                 struct sbx_error *err)
{
    struct fake_handle *handle = self;
    int code = fake_enter(handle, err);
    if (code < 0)
        return code;
    struct fake_box *box = handle->box;
    ret_metrics->pids = fake_process_count(box, true);
    ret_metrics->memory_bytes = OVERHEAD_BYTES * (1 + (uint64_t)ret_metrics->pids);
    if (box->peak_bytes < ret_metrics->memory_bytes)
        box->peak_bytes = ret_metrics->memory_bytes;
    ret_metrics->memory_peak_bytes = box->peak_bytes;
    ret_metrics->cpu_usec = box->cpu_usec;
    ret_metrics->disk_bytes = box->fs.bytes;
    ret_metrics->disk_limit_bytes = MEMFS_BYTES_MAX;
    fake_unlock(box->provider);
    return 0;
}
