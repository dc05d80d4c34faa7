// SPDX-License-Identifier: Apache-2.0
// Changes in directories of the provider "fake". Layer: provider.
#include "provider/fake/watch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"

#define ITEMS_MAX 4096 // not yet read; then changes are lost, which is told

struct item {
    struct item *next;
    uint32_t kind;
    char name[];
};

struct fake_watch {
    struct fake_watch *next;      // of its sandbox
    struct fake_box *box;         // a reference
    const struct memfs_node *top; // NULL: it is gone
    bool recursive, lost;
    struct item *first, **last;
    size_t count;
    struct item *told; // holds the name that was told
    int ends[2];       // readable when `awake`
    bool awake;
};

static void wake(struct fake_watch *watch)
{
    if (!watch->awake)
        watch->awake = write(watch->ends[1], "", 1) == 1;
}

void fake_watch_wake_all(struct fake_box *box)
{
    for (struct fake_watch *watch = box->watches; watch; watch = watch->next)
        wake(watch);
}

// --- What changes. All with the provider's lock held.

// The name below the directory; false when it is not below.
static bool put_name(const struct fake_watch *watch, const struct memfs_node *node, struct buf *out)
{
    const struct memfs_node *path[MEMFS_DEPTH_MAX];
    size_t depth = 0;
    for (; node != watch->top && node->parent != node; node = node->parent) {
        if (depth == ARRAY_SIZE(path))
            return false;
        path[depth++] = node;
    }
    if (node != watch->top || depth == 0 || (depth > 1 && !watch->recursive))
        return false;
    while (depth > 0) {
        buf_puts(out, out->size ? "/" : "");
        buf_puts(out, path[--depth]->name);
    }
    return buf_text(out);
}

static void add(struct fake_watch *watch, uint32_t kind, const struct buf *name)
{
    struct item *item = watch->count < ITEMS_MAX ? calloc(1, sizeof(*item) + name->size + 1) : NULL;
    if (item) {
        item->kind = kind;
        memcpy(item->name, name->data, name->size);
        *watch->last = item;
        watch->last = &item->next;
        watch->count++;
    } else {
        watch->lost = true;
    }
    wake(watch);
}

static void on_change(void *payload, const struct memfs_node *node, uint32_t kind)
{
    struct fake_box *box = payload;
    for (struct fake_watch *watch = box->watches; watch; watch = watch->next) {
        cleanup_buf struct buf name = BUF_INIT(64 << 10);
        if (!watch->top)
            continue;
        if (put_name(watch, node, &name))
            add(watch, kind, &name);
        if (kind == SBX_CHANGE_REMOVE && memfs_inside(watch->top, node)) {
            watch->top = NULL;
            wake(watch);
        }
    }
}

// --- Calls

static void forget(struct fake_watch *watch)
{
    struct fake_watch **at = &watch->box->watches;
    while (*at != watch)
        at = &(*at)->next;
    *at = watch->next;
}

static void free_items(struct fake_watch *watch)
{
    while (watch->first) {
        struct item *next = watch->first->next;
        free(watch->first);
        watch->first = next;
    }
    free(watch->told);
}

void fake_watch_free(void *self)
{
    struct fake_watch *watch = self;
    struct fake_provider *provider = watch->box->provider;
    fake_lock(provider);
    forget(watch);
    fake_box_unref(watch->box);
    fake_unlock(provider);
    free_items(watch);
    close(watch->ends[0]);
    close(watch->ends[1]);
    free(watch);
}

// With the lock held.
static int find_top(struct fake_handle *handle, const char *path,
                    const struct sbx_file_options *options, const struct memfs_node **ret_top,
                    struct sbx_error *err)
{
    struct memfs_view view;
    struct memfs_node *top;
    int code = fake_view(handle->box, options->user, &view, err);
    if (code == 0)
        code = memfs_find(&view, path, MEMFS_FOLLOW, &top, err);
    if (code == 0 && top->kind != SBX_FILE_DIRECTORY)
        code = err_set(err, SBX_ERR_CONFLICT, "'%s' is not a directory", path);
    if (code == 0 && !memfs_may(top, view.uid, 4))
        code = err_set(err, SBX_ERR_DENIED, "user %u may not read '%s'", view.uid, path);
    if (code == 0)
        *ret_top = top;
    return code;
}

int fake_watch_start(void *self, const char *path, const struct sbx_file_options *options,
                     const struct sbx_call *call, void **ret_watch, struct sbx_error *err)
{
    struct fake_handle *handle = self;
    struct fake_box *box = handle->box;
    cleanup_free struct fake_watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return err_nomem(err);
    int code = fake_enter(handle, err);
    if (code < 0)
        return code;
    code = find_top(handle, path, options, &watch->top, err);
    if (code == 0 && fd_pipe(watch->ends) < 0)
        code = err_sys(err, 0, errno, "cannot make a pipe to wait for changes");
    if (code == 0) {
        watch->recursive = options->recursive;
        watch->last = &watch->first;
        watch->box = box;
        box->refs++;
        watch->next = box->watches;
        box->watches = watch;
        box->fs.on_change = on_change;
        box->fs.payload = box;
        *ret_watch = steal_ptr(watch);
    }
    fake_unlock(box->provider);
    return code;
}

// With the lock held: 1 when nothing has happened.
static int take(struct fake_watch *watch, struct sbx_change *ret_change, struct sbx_error *err)
{
    struct item *item = watch->first;
    if (item) {
        free(watch->told);
        watch->told = item;
        watch->first = item->next;
        watch->count--;
        if (!watch->first)
            watch->last = &watch->first;
        *ret_change = (struct sbx_change){.kind = item->kind, .name = item->name};
        return 0;
    }
    if (watch->lost) {
        watch->lost = false;
        return err_set(err, SBX_ERR_QUOTA, "changes came faster than they were read");
    }
    return watch->top ? 1 : err_set(err, SBX_ERR_NOT_FOUND, "the directory has gone");
}

int fake_watch_next(void *self, const struct sbx_call *call, struct sbx_change *ret_change,
                    struct sbx_error *err)
{
    struct fake_watch *watch = self;
    struct fake_handle handle = {watch->box};
    struct deadline deadline = deadline_from_call(call);
    for (;;) {
        char byte;
        int code = fake_enter(&handle, err);
        if (code < 0)
            return code;
        code = take(watch, ret_change, err);
        if (code == 1 && watch->awake)
            watch->awake = read(watch->ends[0], &byte, 1) != 1;
        int64_t expires_at = watch->box->expires_at;
        fake_unlock(watch->box->provider);
        if (code != 1)
            return code;
        code = deadline_wait(deadline_min(deadline, expires_at), watch->ends[0], POLLIN, NULL, err);
        bool expired = code == SBX_ERR_TIMEOUT && expires_at < deadline.at_ms;
        if (code < 0 && !expired)
            return code;
    }
}
