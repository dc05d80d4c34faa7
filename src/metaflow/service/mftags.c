// SPDX-License-Identifier: Apache-2.0
// Layer: metaflow.
#include "metaflow/service/mftags.h"

#include <string.h>

#define TAGS_MAX 50 // of a run; more only where more have been before
#define TAG_CHARS_MAX 500
#define TRIES 5

static size_t count_characters(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

// A set of tags is an object whose keys they are.
static int set_of(const json_t *list, const char *what, json_t **ret_set, struct sbx_error *err)
{
    if (list && !json_is_null(list) && !json_is_array(list))
        return err_set(err, SBX_ERR_INVALID, "%s is no list", what);
    cleanup_json json_t *set = json_object();
    size_t i;
    json_t *tag;
    json_array_foreach(list, i, tag)
    {
        const char *text = json_string_value(tag);
        if (!text || strlen(text) != json_string_length(tag))
            return err_set(err, SBX_ERR_INVALID, "%s: tags must be text", what);
        json_object_set_new(set, text, json_true());
    }
    *ret_set = steal_ptr(set);
    return 0;
}

static int check(const json_t *next, size_t before, struct sbx_error *err)
{
    size_t count = json_object_size(next);
    if (count > TAGS_MAX && count > before)
        return err_set(err, SBX_ERR_INVALID, "Cannot increase size of tag set beyond %d", TAGS_MAX);
    const char *tag;
    json_t *value;
    json_object_foreach((json_t *)next, tag, value)
    {
        if (!*tag)
            return err_set(err, SBX_ERR_INVALID, "Tags must not be empty string");
        if (count_characters(tag) > TAG_CHARS_MAX)
            return err_set(err, SBX_ERR_INVALID, "Tag is too long %zu > %d", count_characters(tag),
                           TAG_CHARS_MAX);
    }
    return 0;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static json_t *sorted_list(const json_t *set)
{
    json_t *list = json_array();
    cleanup_free const char **tags = malloc((json_object_size(set) + 1) * sizeof(*tags));
    if (!tags)
        return list;
    size_t count = 0;
    const char *tag;
    json_t *value;
    json_object_foreach((json_t *)set, tag, value) tags[count++] = tag;
    qsort(tags, count, sizeof(*tags), compare_texts);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(tags[i]));
    return list;
}

// What the run's tags become: (now - remove) + (add - system).
static int next_set(const json_t *now, const json_t *system, const json_t *add,
                    const json_t *remove, json_t **ret_next, struct sbx_error *err)
{
    cleanup_json json_t *next = json_copy((json_t *)now);
    const char *tag;
    json_t *value;
    json_object_foreach((json_t *)remove, tag, value)
    {
        if (json_object_get(system, tag))
            return err_set(err, SBX_ERR_INVALID,
                           "Cannot remove a tag that is an existing system tag (%s)", tag);
        json_object_del(next, tag);
    }
    json_object_foreach((json_t *)add, tag, value)
    {
        if (!json_object_get(system, tag))
            json_object_set_new(next, tag, json_true());
    }
    int code = json_equal(next, (json_t *)now) ? 0 : check(next, json_object_size(now), err);
    if (code == 0)
        *ret_next = steal_ptr(next);
    return code;
}

static int write_tags(struct mfstore *store, const struct mfpath *run, json_t *record,
                      const json_t *next, struct sbx_error *err)
{
    cleanup_fd int meta_fd = -1;
    json_object_set_new(record, "tags", sorted_list(next));
    int code = mfstore_make_meta(store, run, &meta_fd, err);
    return code < 0 ? code
                    : mffile_write(&store->writer, meta_fd, "_self.json", record, MFFILE_REPLACE,
                                   true, err);
}

// One try. *ret_same: there was nothing to change (any more).
static int try_change(struct mfstore *store, const struct mfpath *run, const json_t *add,
                      const json_t *remove, json_t **ret_tags, bool *ret_same,
                      struct sbx_error *err)
{
    cleanup_json json_t *record = NULL, *now = NULL, *system = NULL, *next = NULL;
    int code = mfstore_get(store, run, &record, err);
    if (code == 0)
        code = set_of(json_object_get(record, "tags"), "tags", &now, err);
    if (code == 0)
        code = set_of(json_object_get(record, "system_tags"), "system_tags", &system, err);
    if (code == 0)
        code = next_set(now, system, add, remove, &next, err);
    if (code < 0)
        return code;
    *ret_same = json_equal(next, now);
    if (!*ret_same)
        return write_tags(store, run, record, next, err);
    *ret_tags = sorted_list(next);
    return 0;
}

int mftags_change(struct mfstore *store, const struct mfpath *run, const json_t *change,
                  json_t **ret_tags, struct sbx_error *err)
{
    if (!json_is_object(change))
        return err_set(err, SBX_ERR_INVALID, "the body is no JSON object");
    cleanup_json json_t *add = NULL, *remove = NULL;
    int code = set_of(json_object_get(change, "tags_to_add"), "tags_to_add", &add, err);
    if (code == 0)
        code = set_of(json_object_get(change, "tags_to_remove"), "tags_to_remove", &remove, err);
    bool same = false;
    pthread_mutex_lock(&store->lock);
    // Local mode may write the same file: only what is there on a second look has been changed.
    for (int i = 0; code == 0 && !same && i < TRIES; i++)
        code = try_change(store, run, add, remove, ret_tags, &same, err);
    pthread_mutex_unlock(&store->lock);
    if (code == 0 && !same)
        return err_set(err, SBX_ERR_CONFLICT, "other processes keep changing the tags of %s/%s",
                       run->flow, run->run);
    return code;
}
