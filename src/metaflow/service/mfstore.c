// SPDX-License-Identifier: Apache-2.0
// Reading. Layer: metaflow.
#include "metaflow/service/mfstore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/dir.h"
#include "metaflow/service/mfruns.h"

#define SELF "_meta/_self.json"

int mfstore_open(const char *path, struct mfstore *ret_store, struct sbx_error *err)
{
    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return err_sys(err, 0, errno, "can't make %s", path);
    cleanup_free char *root = realpath(path, NULL);
    cleanup_fd int fd = root ? open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0)
        return err_sys(err, 0, errno, "can't open %s", path);
    struct mfruns *runs = mfruns_new();
    if (!runs)
        return err_nomem(err);
    *ret_store = (struct mfstore){.root_fd = steal_fd(&fd), .root = steal_ptr(root), .runs = runs};
    pthread_mutex_init(&ret_store->lock, NULL);
    mffile_writer_init(&ret_store->writer, ret_store->root_fd);
    mffile_writer_sweep(&ret_store->writer);
    return 0;
}

void mfstore_close(struct mfstore *store)
{
    for (size_t i = 0; i < MFSTORE_COUNTERS; i++)
        free(store->counters[i].run);
    mfruns_free(store->runs);
    pthread_mutex_destroy(&store->lock);
    free(store->root);
    close(store->root_fd);
}

static int read_self(struct mfstore *store, const struct mfpath *path, json_t **ret_record,
                     struct sbx_error *err)
{
    char text[MFPATH_SIZE];
    int code = mfpath_text(path, SELF, text, err);
    return code < 0 ? code : mffile_read(store->root_fd, text, ret_record, err);
}

static void put_tags(json_t *record, const json_t *run)
{
    static const char *const keys[] = {"tags", "system_tags"};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        json_t *tags = json_object_get(run, keys[i]);
        json_object_set_new(record, keys[i],
                            json_is_array(tags) ? json_incref(tags) : json_array());
    }
}

int mfstore_overlay(struct mfstore *store, const struct mfpath *path, json_t *record,
                    struct sbx_error *err)
{
    const struct mfpath run_path = mfpath_up_to(path, MF_RUN);
    cleanup_json json_t *run = NULL;
    int code = read_self(store, &run_path, &run, err);
    if (code == 0)
        put_tags(record, run);
    return code;
}

int mfstore_get(struct mfstore *store, const struct mfpath *path, json_t **ret_record,
                struct sbx_error *err)
{
    cleanup_json json_t *record = NULL;
    int code = read_self(store, path, &record, err);
    if (code == 0 && mfpath_level(path) > MF_RUN)
        code = mfstore_overlay(store, path, record, err);
    if (code == 0)
        *ret_record = steal_ptr(record);
    return code;
}

bool mfstore_exists(struct mfstore *store, const struct mfpath *path)
{
    char text[MFPATH_SIZE];
    if (mfpath_text(path, SELF, text, NULL) < 0)
        return false;
    cleanup_fd int fd = beneath_open(store->root_fd, text, O_RDONLY | O_NONBLOCK, 0);
    return fd >= 0;
}

void mfnames_deinit(struct mfnames *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct mfnames){0};
}

static int add_name(struct mfnames *names, const char *name)
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? names->capacity * 2 : 16;
        char **items = realloc(names->items, capacity * sizeof(*items));
        if (!items)
            return -1;
        names->items = items;
        names->capacity = capacity;
    }
    char *copy = strdup(name);
    if (!copy)
        return -1;
    names->items[names->count++] = copy;
    return 0;
}

int mfnames_compare(const char *left, const char *right)
{
    bool left_number = mfpath_is_number(left), right_number = mfpath_is_number(right);
    if (left_number != right_number)
        return left_number ? -1 : 1;
    size_t left_size = strlen(left), right_size = strlen(right);
    if (left_number && left_size != right_size)
        return left_size < right_size ? -1 : 1;
    return strcmp(left, right);
}

static int compare_items(const void *a, const void *b)
{
    return mfnames_compare(*(char *const *)a, *(char *const *)b);
}

static int read_names(DIR *dir, struct mfnames *names)
{
    for (struct dirent *entry; (entry = readdir(dir));) {
        bool may_be_dir = entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN;
        if (may_be_dir && mfpath_name_ok(entry->d_name, strlen(entry->d_name)) &&
            add_name(names, entry->d_name) < 0)
            return -1;
    }
    return 0;
}

int mfstore_children(struct mfstore *store, const struct mfpath *path, struct mfnames *ret_names,
                     struct sbx_error *err)
{
    char text[MFPATH_SIZE];
    int code = mfpath_text(path, "", text, err);
    if (code < 0)
        return code;
    DIR *dir = dir_adopt(beneath_dir(store->root_fd, text));
    if (!dir)
        return err_sys(err, 0, errno, "can't list %s", text);
    cleanup_mfnames struct mfnames names = {0};
    int failed = read_names(dir, &names);
    closedir(dir);
    if (failed)
        return err_nomem(err);
    if (names.count)
        qsort(names.items, names.count, sizeof(*names.items), compare_items);
    *ret_names = names;
    names = (struct mfnames){0};
    return 0;
}

int mfstore_each(struct mfstore *store, const struct mfpath *path,
                 int (*take)(void *payload, json_t *record), void *payload, struct sbx_error *err)
{
    cleanup_json json_t *run = NULL;
    int code = mfpath_level(path) < MF_RUN ? 0 : mfstore_get(store, path, &run, err);
    if (code < 0)
        return code;
    cleanup_mfnames struct mfnames names = {0};
    code = mfstore_children(store, path, &names, err);
    for (size_t i = 0; code == 0 && i < names.count; i++) {
        const struct mfpath child = mfpath_child(path, names.items[i]);
        cleanup_json json_t *record = NULL;
        // Without a record it is no object (yet), or none of ours.
        if (read_self(store, &child, &record, NULL) < 0)
            continue;
        if (run)
            put_tags(record, run);
        code = take(payload, record);
    }
    return code;
}

static int add_record(void *payload, json_t *record)
{
    struct buf *out = payload;
    cleanup_free char *text = json_dumps(record, JSON_ENSURE_ASCII);
    if (!text)
        return SBX_ERR_NOMEM;
    buf_puts(out, out->size > 1 ? ", " : "");
    buf_puts(out, text);
    return out->failed ? SBX_ERR_NOMEM : 0;
}

int mfstore_list(struct mfstore *store, const struct mfpath *path, struct buf *out,
                 struct sbx_error *err)
{
    if (mfpath_level(path) == MF_FLOW)
        return mfruns_list(store->runs, store, path, out, err);
    buf_puts(out, "[");
    int code = mfstore_each(store, path, add_record, out, err);
    buf_puts(out, "]");
    return code == SBX_ERR_NOMEM ? err_nomem(err) : code;
}
