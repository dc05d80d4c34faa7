// SPDX-License-Identifier: Apache-2.0
// Making flows, runs, steps and tasks. Layer: metaflow.
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/clock.h"
#include "metaflow/service/mfstore.h"

#define ID_SIZE_MAX 24

// One directory below another; *ret_made tells whether it was not there.
static int make_dir(struct mfstore *store, const char *parent, const char *name, bool *ret_made,
                    struct sbx_error *err)
{
    cleanup_fd int fd = beneath_dir(store->root_fd, parent);
    int made = fd < 0 ? -1 : mkdirat(fd, name, 0777);
    if (made < 0 && (fd < 0 || errno != EEXIST))
        return err_sys(err, 0, errno, "can't make %s in %s/%s", name, store->root, parent);
    if (ret_made)
        *ret_made = made == 0;
    return 0;
}

int mfstore_make_meta(struct mfstore *store, const struct mfpath *path, int *ret_fd,
                      struct sbx_error *err)
{
    char text[MFPATH_SIZE];
    int code = mfpath_text(path, "_meta", text, err);
    if (code < 0)
        return code;
    int fd = beneath_dir(store->root_fd, text);
    for (enum mflevel level = MF_FLOW; fd < 0 && errno == ENOENT && level <= mfpath_level(path);
         level++) {
        const struct mfpath object = mfpath_up_to(path, level),
                            above = mfpath_up_to(path, level - 1);
        char parent[MFPATH_SIZE], self[MFPATH_SIZE];
        mfpath_text(&above, "", parent, NULL);
        mfpath_text(&object, "", self, NULL);
        code = make_dir(store, parent, mfpath_last(&object), NULL, err);
        if (code == 0 && level == mfpath_level(path))
            code = make_dir(store, self, "_meta", NULL, err);
        if (code < 0)
            return code;
        errno = ENOENT;
    }
    fd = fd >= 0 ? fd : beneath_dir(store->root_fd, text);
    if (fd < 0)
        return err_sys(err, 0, errno, "can't open %s/%s", store->root, text);
    *ret_fd = fd;
    return 0;
}

static int copy_tags(json_t *record, const json_t *body, const char *key, struct sbx_error *err)
{
    const json_t *tags = json_object_get(body, key);
    if (tags && !json_is_null(tags) && !json_is_array(tags))
        return err_set(err, SBX_ERR_INVALID, "%s is no list", key);
    size_t i;
    json_t *tag;
    json_array_foreach(tags, i, tag)
    {
        if (!json_is_string(tag))
            return err_set(err, SBX_ERR_INVALID, "%s holds something that is no text", key);
    }
    json_t *copy = json_is_array(tags) ? json_copy((json_t *)tags) : json_array();
    return json_object_set_new(record, key, copy) < 0 ? err_nomem(err) : 0;
}

static const char *user_name(char *buffer, size_t size)
{
    struct passwd entry, *found = NULL;
    return getpwuid_r(getuid(), &entry, buffer, size, &found) == 0 && found ? found->pw_name
                                                                            : "unknown";
}

static int copy_common(json_t *record, const json_t *body, bool all, struct sbx_error *err)
{
    char buffer[1024];
    int code = 0;
    if (all) {
        json_t *user = json_object_get(body, "user_name");
        json_object_set_new(record, "user_name",
                            json_is_string(user) ? json_incref(user)
                                                 : json_string(user_name(buffer, sizeof(buffer))));
        code = copy_tags(record, body, "tags", err);
        if (code == 0)
            code = copy_tags(record, body, "system_tags", err);
    }
    json_t *time = json_object_get(body, "ts_epoch");
    json_object_set_new(record, "ts_epoch",
                        json_is_integer(time) ? json_incref(time) : json_integer(clock_unix_ms()));
    return code;
}

// Members in the order in which local mode writes them.
static int make_record(const struct mfpath *path, const json_t *body, json_t **ret_record,
                       struct sbx_error *err)
{
    const struct {
        const char *key, *value;
    } rows[] = {{"run_number", path->run},
                {"step_name", path->step},
                {"task_id", path->task},
                {"flow_id", path->flow}};
    cleanup_json json_t *record = json_object();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].value)
            json_object_set_new(record, rows[i].key, json_string(rows[i].value));
    int code = copy_common(record, body, mfpath_level(path) > MF_FLOW, err);
    if (code == 0)
        *ret_record = steal_ptr(record);
    return code;
}

static int write_self(struct mfstore *store, const struct mfpath *path, const json_t *body,
                      json_t **ret_record, struct sbx_error *err)
{
    cleanup_json json_t *record = NULL;
    cleanup_fd int meta_fd = -1;
    int code = make_record(path, body, &record, err);
    if (code == 0)
        code = mfstore_make_meta(store, path, &meta_fd, err);
    // A run that is torn by a loss of power would make its whole flow unreadable for local mode.
    bool durable = mfpath_level(path) <= MF_RUN;
    if (code == 0)
        code =
            mffile_write(&store->writer, meta_fd, "_self.json", record, MFFILE_NEW, durable, err);
    if (code == SBX_ERR_CONFLICT)
        return err_set(err, code, "%s %s exists", mfpath_kind(mfpath_level(path)),
                       mfpath_last(path));
    if (code == 0 && ret_record)
        *ret_record = steal_ptr(record);
    return code;
}

static int ensure(struct mfstore *store, const struct mfpath *path, const json_t *body,
                  struct sbx_error *err)
{
    if (mfstore_exists(store, path))
        return 0;
    int code = write_self(store, path, body, NULL, err);
    return code == SBX_ERR_CONFLICT ? 0 : code;
}

// A directory of that name that was not there before: nobody else has this id.
static int claim(struct mfstore *store, const struct mfpath *parent, int64_t *id,
                 char ret_name[ID_SIZE_MAX], struct sbx_error *err)
{
    char text[MFPATH_SIZE];
    int code = mfpath_text(parent, "", text, err);
    for (bool made = false; code == 0 && !made; *id += !made) {
        snprintf(ret_name, ID_SIZE_MAX, "%lld", (long long)*id);
        code = make_dir(store, text, ret_name, &made, err);
    }
    return code;
}

// As local mode: microseconds since 1970; later runs have larger numbers.
static int claim_run(struct mfstore *store, const struct mfpath *flow, char ret_name[ID_SIZE_MAX],
                     struct sbx_error *err)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t id = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    if (id <= store->last_run)
        id = store->last_run + 1;
    int code = claim(store, flow, &id, ret_name, err);
    if (code == 0)
        store->last_run = id;
    return code;
}

// The largest number of a task in any step of the run.
static int largest_task(struct mfstore *store, const struct mfpath *run, int64_t *ret_id,
                        struct sbx_error *err)
{
    cleanup_mfnames struct mfnames steps = {0};
    int code = mfstore_children(store, run, &steps, err);
    int64_t largest = 0;
    for (size_t i = 0; code == 0 && i < steps.count; i++) {
        const struct mfpath step = mfpath_child(run, steps.items[i]);
        cleanup_mfnames struct mfnames tasks = {0};
        code = mfstore_children(store, &step, &tasks, err);
        for (size_t j = 0; code == 0 && j < tasks.count; j++) {
            int64_t id = strlen(tasks.items[j]) < 19 && mfpath_is_number(tasks.items[j])
                             ? strtoll(tasks.items[j], NULL, 10)
                             : 0;
            largest = id > largest ? id : largest;
        }
    }
    *ret_id = largest;
    return code;
}

static struct mfstore_counter *oldest_counter(struct mfstore *store)
{
    struct mfstore_counter *oldest = &store->counters[0];
    for (size_t i = 1; i < MFSTORE_COUNTERS; i++)
        if (store->counters[i].used < oldest->used)
            oldest = &store->counters[i];
    return oldest;
}

static int counter_of(struct mfstore *store, const struct mfpath *run,
                      struct mfstore_counter **ret_counter, struct sbx_error *err)
{
    char text[MFPATH_SIZE];
    mfpath_text(run, "", text, NULL);
    struct mfstore_counter *counter = NULL;
    for (size_t i = 0; i < MFSTORE_COUNTERS && !counter; i++)
        if (store->counters[i].run && strcmp(store->counters[i].run, text) == 0)
            counter = &store->counters[i];
    if (!counter) {
        int64_t last = 0;
        int code = largest_task(store, run, &last, err);
        char *copy = code == 0 ? strdup(text) : NULL;
        if (!copy)
            return code < 0 ? code : err_nomem(err);
        counter = oldest_counter(store);
        free(counter->run);
        *counter = (struct mfstore_counter){.run = copy, .last = last};
    }
    counter->used = ++store->uses;
    *ret_counter = counter;
    return 0;
}

static int claim_task(struct mfstore *store, const struct mfpath *step, char ret_name[ID_SIZE_MAX],
                      struct sbx_error *err)
{
    const struct mfpath run = mfpath_up_to(step, MF_RUN);
    struct mfstore_counter *counter = NULL;
    int code = counter_of(store, &run, &counter, err);
    if (code < 0)
        return code;
    int64_t id = counter->last + 1;
    code = claim(store, step, &id, ret_name, err);
    if (code == 0)
        counter->last = id;
    return code;
}

// The name that the body chose, or NULL when the id is ours to give.
static int chosen_name(const json_t *body, enum mflevel level, const char **ret_name,
                       struct sbx_error *err)
{
    const json_t *name = json_object_get(body, level == MF_RUN ? "run_number" : "task_id");
    *ret_name = NULL;
    if (!json_is_string(name) || mfpath_is_number(json_string_value(name)))
        return 0;
    if (!mfpath_name_ok(json_string_value(name), json_string_length(name)))
        return err_set(err, SBX_ERR_INVALID, "%s has a name that cannot be", mfpath_kind(level));
    *ret_name = json_string_value(name);
    return 0;
}

static int create_locked(struct mfstore *store, enum mflevel level, const struct mfpath *path,
                         const json_t *body, json_t **ret_record, struct sbx_error *err)
{
    const struct mfpath above = mfpath_up_to(path, level - 1);
    int code = 0;
    if (level == MF_RUN || level == MF_TASK)
        code = ensure(store, &above, body, err);
    if (code < 0 || level == MF_FLOW || level == MF_STEP)
        return code < 0 ? code : write_self(store, path, body, ret_record, err);
    const char *name = NULL;
    char id[ID_SIZE_MAX];
    code = chosen_name(body, level, &name, err);
    if (code == 0 && !name)
        code = level == MF_RUN ? claim_run(store, &above, id, err)
                               : claim_task(store, &above, id, err);
    const struct mfpath object = mfpath_child(&above, name ? name : id);
    return code < 0 ? code : write_self(store, &object, body, ret_record, err);
}

int mfstore_create(struct mfstore *store, enum mflevel level, const struct mfpath *path,
                   const json_t *body, json_t **ret_record, struct sbx_error *err)
{
    if (!json_is_object(body))
        return err_set(err, SBX_ERR_INVALID, "the body is no JSON object");
    const struct mfpath run = mfpath_up_to(path, MF_RUN);
    char text[MFPATH_SIZE];
    int code = mfpath_text(path, "", text, err);
    if (code < 0)
        return code;
    if (level > MF_RUN && !mfstore_exists(store, &run))
        return err_set(err, SBX_ERR_NOT_FOUND, "Run %s/%s does not exist", run.flow, run.run);
    pthread_mutex_lock(&store->lock);
    code = create_locked(store, level, path, body, ret_record, err);
    pthread_mutex_unlock(&store->lock);
    return code;
}
