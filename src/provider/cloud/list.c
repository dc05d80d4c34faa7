// SPDX-License-Identifier: Apache-2.0
// Sandboxes as a service lists them. Layer: provider.
#include "provider/cloud/list.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/labels.h"

struct cloud_list {
    struct jsonv **pages;
    size_t page_count;
    struct cloud_record *records;
    size_t count;
    struct sbx_info *items;
};

void cloud_record_deinit(struct cloud_record *record)
{
    jsonv_free(record->root);
    free(record->labels);
    *record = (struct cloud_record){0};
}

static bool is_own(const char *name)
{
    return strncmp(name, OWN_PREFIX, strlen(OWN_PREFIX)) == 0;
}

void cloud_record_renew(pthread_mutex_t *lock, struct cloud_record *held,
                        const struct cloud_record *fresh, struct jsonv *root,
                        struct sbx_info *ret_info)
{
    pthread_mutex_lock(lock);
    cloud_record_deinit(held);
    *held = *fresh;
    held->root = root;
    *ret_info = held->info;
    pthread_mutex_unlock(lock);
}

int cloud_record_labels(const struct jsonv *labels, struct cloud_record *record,
                        struct sbx_error *err)
{
    struct jsonv_member member = {0};
    record->labels = calloc(jsonv_count(labels) + 1, sizeof(*record->labels));
    if (!record->labels)
        return err_nomem(err);
    while (jsonv_next(labels, &member)) {
        const char *value = jsonv_as_text(member.value);
        if (value && !is_own(member.key))
            record->labels[record->info.label_count++] = (struct sbx_pair){member.key, value};
    }
    labels_sort(record->labels, record->info.label_count);
    record->info.labels = record->labels;
    return 0;
}

struct cloud_list *cloud_list_new(void)
{
    return calloc(1, sizeof(struct cloud_list));
}

void cloud_list_delete(struct cloud_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->count; i++)
        free(list->records[i].labels);
    for (size_t i = 0; i < list->page_count; i++)
        jsonv_free(list->pages[i]);
    free(list->records);
    free(list->pages);
    free(list->items);
    free(list);
}

static int keep_page(struct cloud_list *list, struct jsonv *root, struct sbx_error *err)
{
    struct jsonv **pages = realloc(list->pages, (list->page_count + 1) * sizeof(*pages));
    if (!pages) {
        jsonv_free(root);
        return err_nomem(err);
    }
    list->pages = pages;
    list->pages[list->page_count++] = root;
    return 0;
}

static bool matches(const struct jsonv *have, const struct sbx_pair *labels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *value = jsonv_text(have, labels[i].name);
        if (!value || strcmp(value, labels[i].value) != 0)
            return false;
    }
    return true;
}

int cloud_list_take(struct cloud_list *list, const struct cloud_page *page,
                    const struct sbx_pair *labels, size_t label_count, struct sbx_error *err)
{
    int code = keep_page(list, page->root, err);
    if (code < 0)
        return code;
    if (!jsonv_is_array(page->items))
        return err_set(err, SBX_ERR_PROTOCOL, "the service's list of sandboxes is none");
    size_t more = jsonv_count(page->items);
    struct cloud_record *records =
        realloc(list->records, (list->count + more + 1) * sizeof(*records));
    if (!records)
        return err_nomem(err);
    list->records = records;
    for (size_t i = 0; i < more; i++) {
        const struct jsonv *item = jsonv_at(page->items, i);
        if (!matches(jsonv_get(item, page->labels_key), labels, label_count))
            continue;
        code = page->fill(item, &list->records[list->count], err);
        if (code < 0)
            return code;
        list->count += code == 0;
    }
    return 0;
}

static int by_age(const void *a, const void *b)
{
    const struct sbx_info *x = a, *y = b;
    if (x->created_ms != y->created_ms)
        return x->created_ms < y->created_ms ? -1 : 1;
    return strcmp(x->id, y->id);
}

int cloud_list_finish(struct cloud_list *list, struct sbx_list *ret_list, struct sbx_error *err)
{
    list->items = calloc(list->count + 1, sizeof(*list->items));
    if (!list->items) {
        cloud_list_delete(list);
        return err_nomem(err);
    }
    for (size_t i = 0; i < list->count; i++)
        list->items[i] = list->records[i].info;
    qsort(list->items, list->count, sizeof(*list->items), by_age);
    *ret_list = (struct sbx_list){.count = list->count, .items = list->items, .owner = list};
    return 0;
}

void cloud_list_free(struct sbx_list *list)
{
    cloud_list_delete(list->owner);
    *list = (struct sbx_list){0};
}

int cloud_list_find(const struct sbx_list *list, const char *prefix, char **ret_id,
                    struct sbx_error *err)
{
    const char *found = NULL;
    for (size_t i = 0; i < list->count; i++) {
        const char *id = list->items[i].id;
        if (strncmp(id, prefix, strlen(prefix)) != 0)
            continue;
        if (found) {
            err_set(err, SBX_ERR_CONFLICT, "several sandboxes have ids that begin with '%s'",
                    prefix);
            return err_hint(err, "give more of the id: '%s' or '%s'", found, id);
        }
        found = id;
    }
    if (!found)
        return err_set(err, SBX_ERR_NOT_FOUND, "there is no sandbox '%s'", prefix);
    *ret_id = strdup(found);
    return *ret_id ? 0 : err_nomem(err);
}
