// SPDX-License-Identifier: Apache-2.0
// Layer: metaflow.
#include "metaflow/service/mfruns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/beneath.h"

#define FLOWS_KEPT 4
#define SETTLED_NS 100000000 // far above the resolution of file times

struct version {
    ino_t inode;
    off_t size;
    int64_t changed_ns;
};

struct run {
    char *name; // owned
    char *text; // its record, owned; NULL: has none
    struct version version;
    bool settled;
};

struct flow {
    char *name; // owned; NULL: free
    struct run *items;
    size_t count;
    struct version version;
    bool settled;
    uint64_t used;
};

struct mfruns {
    pthread_mutex_t lock;
    struct flow flows[FLOWS_KEPT];
    uint64_t uses;
};

struct mfruns *mfruns_new(void)
{
    struct mfruns *runs = calloc(1, sizeof(*runs));
    if (runs)
        pthread_mutex_init(&runs->lock, NULL);
    return runs;
}

static void free_items(struct run *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(items[i].name);
        free(items[i].text);
    }
    free(items);
}

static void reset(struct flow *flow)
{
    free_items(flow->items, flow->count);
    free(flow->name);
    *flow = (struct flow){0};
}

void mfruns_free(struct mfruns *runs)
{
    if (!runs)
        return;
    for (size_t i = 0; i < FLOWS_KEPT; i++)
        reset(&runs->flows[i]);
    pthread_mutex_destroy(&runs->lock);
    free(runs);
}

static struct flow *flow_of(struct mfruns *runs, const char *name)
{
    struct flow *found = NULL, *oldest = &runs->flows[0];
    for (size_t i = 0; i < FLOWS_KEPT; i++) {
        struct flow *flow = &runs->flows[i];
        if (flow->name && strcmp(flow->name, name) == 0)
            found = flow;
        if (flow->used < oldest->used)
            oldest = flow;
    }
    if (!found) {
        reset(oldest);
        oldest->name = strdup(name);
        found = oldest;
    }
    found->used = ++runs->uses;
    return found->name ? found : NULL;
}

static struct version version_of(const struct stat *info)
{
    return (struct version){info->st_ino, info->st_size,
                            (int64_t)info->st_ctim.tv_sec * 1000000000 + info->st_ctim.tv_nsec};
}

static bool same(const struct version *a, const struct version *b)
{
    return a->inode == b->inode && a->size == b->size && a->changed_ns == b->changed_ns;
}

static bool is_settled(const struct version *version)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - version->changed_ns > SETTLED_NS;
}

// What is known of runs that are still there moves into the new list; both are sorted.
static int take_names(struct flow *flow, struct mfstore *store, const struct mfpath *path,
                      struct sbx_error *err)
{
    cleanup_mfnames struct mfnames names = {0};
    int code = mfstore_children(store, path, &names, err);
    struct run *items = code == 0 ? calloc(names.count + 1, sizeof(*items)) : NULL;
    if (!items)
        return code < 0 ? code : err_nomem(err);
    size_t old = 0;
    for (size_t i = 0; i < names.count; i++) {
        while (old < flow->count && mfnames_compare(flow->items[old].name, names.items[i]) < 0)
            old++;
        if (old < flow->count && strcmp(flow->items[old].name, names.items[i]) == 0) {
            items[i] = flow->items[old];
            flow->items[old++] = (struct run){0};
        } else {
            items[i].name = steal_ptr(names.items[i]);
        }
    }
    free_items(flow->items, flow->count);
    flow->items = items;
    flow->count = names.count;
    return 0;
}

static int refresh_names(struct flow *flow, struct mfstore *store, const struct mfpath *path,
                         int flow_fd, struct sbx_error *err)
{
    struct stat info;
    if (fstat(flow_fd, &info) < 0)
        return err_sys(err, 0, errno, "can't look at %s", path->flow);
    const struct version version = version_of(&info);
    if (flow->settled && same(&version, &flow->version))
        return 0;
    flow->version = version;
    flow->settled = is_settled(&version);
    int code = take_names(flow, store, path, err);
    if (code < 0)
        flow->settled = false;
    return code;
}

static void read_run(struct run *run, struct mfstore *store, const char *file)
{
    free(run->text);
    *run = (struct run){.name = run->name};
    char *text;
    size_t size;
    struct stat info;
    if (mffile_read_text(store->root_fd, file, &text, &size, &info, NULL) < 0)
        return;
    cleanup_json json_t *record = json_loadb(text, size, JSON_ALLOW_NUL, NULL);
    free(text);
    if (!json_is_object(record))
        return;
    run->text = json_dumps(record, JSON_ENSURE_ASCII);
    run->version = version_of(&info);
    run->settled = run->text && is_settled(&run->version);
}

static void refresh_run(struct run *run, struct mfstore *store, const struct mfpath *flow,
                        int flow_fd)
{
    char file[MFPATH_SIZE];
    struct stat info;
    snprintf(file, sizeof(file), "%s/_meta/_self.json", run->name);
    if (fstatat(flow_fd, file, &info, AT_SYMLINK_NOFOLLOW) == 0 && run->settled) {
        const struct version version = version_of(&info);
        if (same(&version, &run->version))
            return;
    }
    const struct mfpath path = mfpath_child(flow, run->name);
    if (mfpath_text(&path, "_meta/_self.json", file, NULL) == 0)
        read_run(run, store, file);
}

static int list_locked(struct mfruns *runs, struct mfstore *store, const struct mfpath *path,
                       struct buf *out, struct sbx_error *err)
{
    cleanup_fd int flow_fd = beneath_dir(store->root_fd, path->flow);
    if (flow_fd < 0)
        return err_sys(err, 0, errno, "can't list the runs of %s", path->flow);
    struct flow *flow = flow_of(runs, path->flow);
    if (!flow)
        return err_nomem(err);
    int code = refresh_names(flow, store, path, flow_fd, err);
    if (code < 0)
        return code;
    buf_puts(out, "[");
    for (size_t i = 0; i < flow->count; i++) {
        refresh_run(&flow->items[i], store, path, flow_fd);
        if (!flow->items[i].text)
            continue;
        buf_puts(out, out->size > 1 ? ", " : "");
        buf_puts(out, flow->items[i].text);
    }
    buf_puts(out, "]");
    return out->failed ? err_nomem(err) : 0;
}

int mfruns_list(struct mfruns *runs, struct mfstore *store, const struct mfpath *flow,
                struct buf *out, struct sbx_error *err)
{
    char text[MFPATH_SIZE];
    int code = mfpath_text(flow, "", text, err);
    if (code < 0)
        return code;
    pthread_mutex_lock(&runs->lock);
    code = list_locked(runs, store, flow, out, err);
    pthread_mutex_unlock(&runs->lock);
    return code;
}
