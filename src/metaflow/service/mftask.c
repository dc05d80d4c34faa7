// SPDX-License-Identifier: Apache-2.0
// Layer: metaflow.
#include "metaflow/service/mftask.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/clock.h"
#include "base/dir.h"

#define FIELD_IN_NAME_MAX 180
#define FILE_NAME_SIZE 256
#define SAME_TIME_MAX 1000 // records of one field in one millisecond
#define ATTEMPT_MAX 1000000

// A field as a part of a file's name; the record holds the real one.
static void field_in_name(const char *field, char ret_name[FIELD_IN_NAME_MAX + 1])
{
    size_t i = 0;
    for (; i < FIELD_IN_NAME_MAX && field[i]; i++) {
        unsigned char byte = (unsigned char)field[i];
        ret_name[i] = byte == '/' || byte < 0x20 || byte == 0x7f ? '_' : field[i];
    }
    ret_name[i] = '\0';
}

static bool same_as_there(int meta_fd, const char *name, const json_t *record)
{
    cleanup_json json_t *there = NULL;
    return mffile_read(meta_fd, name, &there, NULL) == 0 && json_equal(there, (json_t *)record);
}

// Local mode names the file after the moment of writing. The record's own time is the same but for
// a millisecond, and lets a repeated request find what the first one wrote.
static int write_metadata(struct mfstore *store, int meta_fd, const json_t *record,
                          struct sbx_error *err)
{
    const char *field = json_string_value(json_object_get(record, "field_name"));
    if (!field || !*field)
        return err_set(err, SBX_ERR_INVALID, "metadata without field_name");
    json_int_t time = json_integer_value(json_object_get(record, "ts_epoch"));
    if (time <= 0)
        time = clock_unix_ms();
    char part[FIELD_IN_NAME_MAX + 1], name[FILE_NAME_SIZE];
    field_in_name(field, part);
    for (int i = 0; i < SAME_TIME_MAX; i++) {
        snprintf(name, sizeof(name), "sysmeta_%s_%lld.json", part, (long long)time + i);
        int code = mffile_write(&store->writer, meta_fd, name, record, MFFILE_NEW, false, err);
        if (code != SBX_ERR_CONFLICT || same_as_there(meta_fd, name, record))
            return code == SBX_ERR_CONFLICT ? 0 : code;
    }
    return err_set(err, SBX_ERR_QUOTA, "too much metadata of field %s at once", field);
}

static int write_artifact(struct mfstore *store, int meta_fd, const json_t *record,
                          struct sbx_error *err)
{
    const json_t *name = json_object_get(record, "name");
    const json_t *attempt = json_object_get(record, "attempt_id");
    if (!json_is_string(name) || !mfpath_name_ok(json_string_value(name), json_string_length(name)))
        return err_set(err, SBX_ERR_INVALID, "an artifact has a name that cannot be");
    json_int_t number = json_integer_value(attempt);
    if ((attempt && !json_is_integer(attempt)) || number < 0 || number > ATTEMPT_MAX)
        return err_set(err, SBX_ERR_INVALID, "artifact %s has an attempt_id that cannot be",
                       json_string_value(name));
    char file[FILE_NAME_SIZE];
    snprintf(file, sizeof(file), "%lld_artifact_%s.json", (long long)number,
             json_string_value(name));
    int code = mffile_write(&store->writer, meta_fd, file, record, MFFILE_NEW, false, err);
    return code == SBX_ERR_CONFLICT ? 0 : code;
}

typedef int writer_fn(struct mfstore *store, int meta_fd, const json_t *record,
                      struct sbx_error *err);

// A record tells where it belongs; what the path of the request says counts.
static json_t *place_of(const struct mfpath *task)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "flow_id", task->flow, "run_number", task->run,
                     "step_name", task->step, "task_id", task->task);
}

static int write_one(struct mfstore *store, json_t *place, int meta_fd, json_t *record,
                     writer_fn *write, struct sbx_error *err)
{
    if (!json_is_object(record))
        return err_set(err, SBX_ERR_INVALID, "the body is no list of objects");
    return json_object_update(record, place) < 0 ? err_nomem(err)
                                                 : write(store, meta_fd, record, err);
}

// The directory of the records of a task that exists.
static int open_meta(struct mfstore *store, const struct mfpath *task, int *ret_fd,
                     struct sbx_error *err)
{
    char text[MFPATH_SIZE];
    int code = mfpath_text(task, "_meta", text, err);
    cleanup_fd int fd = code < 0 ? -1 : beneath_dir(store->root_fd, text);
    if (code < 0)
        return code;
    if (fd < 0 || faccessat(fd, "_self.json", F_OK, 0) < 0)
        return err_set(err, SBX_ERR_NOT_FOUND, "Task %s/%s/%s/%s does not exist", task->flow,
                       task->run, task->step, task->task);
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int add(struct mfstore *store, const struct mfpath *task, json_t *list, writer_fn *write,
               size_t *ret_count, struct sbx_error *err)
{
    cleanup_fd int meta_fd = -1;
    cleanup_json json_t *place = place_of(task);
    size_t count = json_is_array(list) ? json_array_size(list) : 1;
    int code = place ? open_meta(store, task, &meta_fd, err) : err_nomem(err);
    pthread_mutex_lock(&store->lock);
    for (size_t i = 0; code == 0 && i < count; i++)
        code = write_one(store, place, meta_fd,
                         json_is_array(list) ? json_array_get(list, i) : list, write, err);
    pthread_mutex_unlock(&store->lock);
    if (code == 0)
        *ret_count = count;
    return code;
}

int mftask_add_metadata(struct mfstore *store, const struct mfpath *task, json_t *list,
                        size_t *ret_count, struct sbx_error *err)
{
    return add(store, task, list, write_metadata, ret_count, err);
}

int mftask_add_artifacts(struct mfstore *store, const struct mfpath *task, json_t *list,
                         size_t *ret_count, struct sbx_error *err)
{
    return add(store, task, list, write_artifact, ret_count, err);
}

// Calls take with each file of a task whose name begins with prefix.
static int each_file(struct mfstore *store, const struct mfpath *task, const char *prefix,
                     int (*take)(void *payload, int meta_fd, const char *name), void *payload,
                     struct sbx_error *err)
{
    char text[MFPATH_SIZE];
    int code = mfpath_text(task, "_meta", text, err);
    if (code < 0)
        return code;
    DIR *dir = dir_adopt(beneath_dir(store->root_fd, text));
    if (!dir)
        return err_sys(err, 0, errno, "can't read %s", text);
    for (struct dirent *entry; code == 0 && (entry = readdir(dir));) {
        size_t size = strlen(entry->d_name);
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 && size > 5 &&
            strcmp(entry->d_name + size - 5, ".json") == 0)
            code = take(payload, dirfd(dir), entry->d_name);
    }
    closedir(dir);
    return code == SBX_ERR_NOMEM ? err_nomem(err) : code;
}

struct gather {
    json_t *list;
    const char *field; // NULL: any
};

static int take_record(void *payload, int meta_fd, const char *name)
{
    struct gather *gather = payload;
    cleanup_json json_t *record = NULL;
    if (mffile_read(meta_fd, name, &record, NULL) < 0)
        return 0; // gone, or damaged by others: the rest is still worth having
    const char *field = json_string_value(json_object_get(record, "field_name"));
    if (gather->field && (!field || strcmp(field, gather->field) != 0))
        return 0;
    return json_array_append(gather->list, record) < 0 ? SBX_ERR_NOMEM : 0;
}

static int compare_times(const void *a, const void *b)
{
    const json_t *left = *(json_t *const *)a, *right = *(json_t *const *)b;
    json_int_t left_time = json_integer_value(json_object_get(left, "ts_epoch"));
    json_int_t right_time = json_integer_value(json_object_get(right, "ts_epoch"));
    if (left_time != right_time)
        return left_time < right_time ? -1 : 1;
    const char *left_name = json_string_value(json_object_get(left, "field_name"));
    const char *right_name = json_string_value(json_object_get(right, "field_name"));
    return strcmp(left_name ? left_name : "", right_name ? right_name : "");
}

static int sort_records(json_t **list, struct sbx_error *err)
{
    size_t count = json_array_size(*list);
    cleanup_free json_t **items = malloc((count + 1) * sizeof(*items));
    json_t *sorted = json_array();
    if (!items || !sorted) {
        json_decref(sorted);
        return err_nomem(err);
    }
    for (size_t i = 0; i < count; i++)
        items[i] = json_array_get(*list, i);
    qsort(items, count, sizeof(json_t *), compare_times);
    for (size_t i = 0; i < count; i++)
        json_array_append(sorted, items[i]);
    json_decref(*list);
    *list = sorted;
    return 0;
}

int mftask_metadata(struct mfstore *store, const struct mfpath *task, const char *field,
                    json_t **ret_list, struct sbx_error *err)
{
    char prefix[FIELD_IN_NAME_MAX + 16] = "sysmeta_", part[FIELD_IN_NAME_MAX + 1];
    if (field) {
        field_in_name(field, part);
        snprintf(prefix, sizeof(prefix), "sysmeta_%s_", part);
    }
    cleanup_json json_t *list = json_array();
    struct gather gather = {list, field};
    int code = each_file(store, task, prefix, take_record, &gather, err);
    if (code == 0)
        code = sort_records(&list, err);
    if (code == 0)
        *ret_list = steal_ptr(list);
    return code;
}

// As local mode: the last by name, which ends in its time.
static int take_last_name(void *payload, int meta_fd, const char *name)
{
    char *last = payload;
    if (strcmp(name, last) > 0)
        snprintf(last, FILE_NAME_SIZE, "%s", name);
    return 0;
}

// *ret_attempt is negative when none is done.
static int last_attempt(struct mfstore *store, const struct mfpath *task, int64_t *ret_attempt,
                        struct sbx_error *err)
{
    char name[FILE_NAME_SIZE] = "", path[MFPATH_SIZE], file[FILE_NAME_SIZE + 8];
    int code = each_file(store, task, "sysmeta_attempt-done_", take_last_name, name, err);
    if (code < 0)
        return code;
    *ret_attempt = -1;
    snprintf(file, sizeof(file), "_meta/%s", name);
    cleanup_json json_t *record = NULL;
    if (!*name || mfpath_text(task, file, path, NULL) < 0 ||
        mffile_read(store->root_fd, path, &record, NULL) < 0)
        return 0;
    const char *value = json_string_value(json_object_get(record, "value"));
    char *end = NULL;
    long long attempt = value ? strtoll(value, &end, 10) : -1;
    if (value && end != value && !*end && attempt >= 0 && attempt <= ATTEMPT_MAX)
        *ret_attempt = attempt;
    return 0;
}

int mftask_artifacts(struct mfstore *store, const struct mfpath *task, int64_t attempt,
                     json_t **ret_list, struct sbx_error *err)
{
    int code = attempt == MFTASK_LAST_ATTEMPT ? last_attempt(store, task, &attempt, err) : 0;
    char prefix[48];
    snprintf(prefix, sizeof(prefix), "%lld_artifact_", (long long)attempt);
    cleanup_json json_t *list = json_array();
    struct gather gather = {list, NULL};
    if (code == 0 && attempt >= 0)
        code = each_file(store, task, prefix, take_record, &gather, err);
    size_t i;
    json_t *record;
    json_array_foreach(list, i, record)
    {
        if (code == 0)
            code = mfstore_overlay(store, task, record, err);
    }
    if (code == 0)
        *ret_list = steal_ptr(list);
    return code;
}

int mftask_artifact(struct mfstore *store, const struct mfpath *task, const char *name,
                    int64_t attempt, json_t **ret_record, struct sbx_error *err)
{
    if (!mfpath_name_ok(name, strlen(name)))
        return err_set(err, SBX_ERR_INVALID, "an artifact can't have this name");
    int code = attempt == MFTASK_LAST_ATTEMPT ? last_attempt(store, task, &attempt, err) : 0;
    if (code == 0 && attempt < 0)
        return err_set(err, SBX_ERR_NOT_FOUND, "no attempt of this task is done");
    char file[FILE_NAME_SIZE + 32], path[MFPATH_SIZE];
    snprintf(file, sizeof(file), "_meta/%lld_artifact_%s.json", (long long)attempt, name);
    cleanup_json json_t *record = NULL;
    if (code == 0)
        code = mfpath_text(task, file, path, err);
    if (code == 0)
        code = mffile_read(store->root_fd, path, &record, err);
    if (code == 0)
        code = mfstore_overlay(store, task, record, err);
    if (code == 0)
        *ret_record = steal_ptr(record);
    return code;
}
