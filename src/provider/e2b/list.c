// SPDX-License-Identifier: Apache-2.0
// Sandboxes of E2B as it lists them, page by page. Layer: provider.
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/labels.h"
#include "net/url.h"
#include "net/when.h"
#include "provider/e2b/e2b.h"

#define PAGE "100"
#define PAGES_MAX 200 // 20,000 sandboxes

void e2b_record_deinit(struct e2b_record *record)
{
    jsonv_free(record->root);
    free(record->labels);
    *record = (struct e2b_record){0};
}

static bool is_own(const char *name)
{
    return strncmp(name, OWN_PREFIX, strlen(OWN_PREFIX)) == 0;
}

// The metadata that users gave, sorted.
static int fill_labels(const struct jsonv *metadata, struct e2b_record *record,
                       struct sbx_error *err)
{
    struct jsonv_member member = {0};
    record->labels = calloc(jsonv_count(metadata) + 1, sizeof(*record->labels));
    if (!record->labels)
        return err_nomem(err);
    while (jsonv_next(metadata, &member)) {
        const char *value = jsonv_as_text(member.value);
        if (value && !is_own(member.key))
            record->labels[record->info.label_count++] = (struct sbx_pair){member.key, value};
    }
    labels_sort(record->labels, record->info.label_count);
    record->info.labels = record->labels;
    return 0;
}

static uint32_t state_of(const char *state)
{
    if (!state || strcmp(state, "running") == 0)
        return SBX_STATE_RUNNING;
    return strcmp(state, "paused") == 0 ? SBX_STATE_PAUSED : SBX_STATE_UNKNOWN;
}

static uint32_t network_of(const struct jsonv *object)
{
    const struct jsonv *network = jsonv_get(object, "network");
    if (jsonv_count(jsonv_get(network, "allowOut")) > 0)
        return SBX_NETWORK_ALLOW;
    return jsonv_bool(object, "allowInternetAccess", true) ? SBX_NETWORK_INTERNET
                                                           : SBX_NETWORK_NONE;
}

int e2b_record_fill(const struct jsonv *object, struct e2b_record *ret_record,
                    struct sbx_error *err)
{
    const struct jsonv *metadata = jsonv_get(object, "metadata");
    const char *image = jsonv_text(object, "alias"), *user = jsonv_text(metadata, OWN_USER);
    struct e2b_record record = {0};
    record.info = (struct sbx_info){
        .size = sizeof(struct sbx_info),
        .id = jsonv_text(object, "sandboxID"),
        .provider = "e2b",
        .image = image ? image : jsonv_text(object, "templateID"),
        .user = user ? user : "user",
        .state = state_of(jsonv_text(object, "state")),
        .network = network_of(object),
        .created_ms = when_parse(jsonv_text(object, "startedAt")),
        .expires_ms = when_parse(jsonv_text(object, "endAt")),
        .memory_bytes = (uint64_t)jsonv_int(object, "memoryMB", 0) << 20,
        .disk_bytes = (uint64_t)jsonv_int(object, "diskSizeMB", 0) << 20,
        .cpu_millis = (uint32_t)(jsonv_real(object, "cpuCount", 0) * 1000),
    };
    if (!record.info.id)
        return err_set(err, SBX_ERR_PROTOCOL, "the service listed a sandbox without an id");
    if (!record.info.image)
        record.info.image = "";
    int code = fill_labels(metadata, &record, err);
    if (code == 0)
        *ret_record = record;
    return code;
}

// All pages together.
struct owner {
    struct jsonv **pages;
    size_t page_count;
    struct e2b_record *records;
    size_t count;
    struct sbx_info *items;
};

static void free_owner(struct owner *owner)
{
    for (size_t i = 0; i < owner->count; i++)
        free(owner->records[i].labels);
    for (size_t i = 0; i < owner->page_count; i++)
        jsonv_free(owner->pages[i]);
    free(owner->records);
    free(owner->pages);
    free(owner->items);
    free(owner);
}

static void free_owner_fn(struct owner **owner)
{
    if (*owner)
        free_owner(*owner);
}

// "a=b&c=d", its parts encoded once here and the whole once more, as the service expects.
static void add_filter(struct buf *path, const struct sbx_pair *labels, size_t count)
{
    struct buf filter = BUF_INIT(path->limit);
    for (size_t i = 0; i < count; i++) {
        buf_puts(&filter, i ? "&" : "");
        url_add(&filter, labels[i].name);
        buf_puts(&filter, "=");
        url_add(&filter, labels[i].value);
    }
    const char *text = buf_text(&filter);
    if (count > 0)
        url_query(path, "metadata", text);
    path->failed |= filter.failed;
    buf_deinit(&filter);
}

static int take_page(struct owner *owner, struct jsonv *page, const struct sbx_pair *labels,
                     size_t label_count, struct sbx_error *err)
{
    size_t more = jsonv_count(page);
    struct jsonv **pages = realloc(owner->pages, (owner->page_count + 1) * sizeof(*pages));
    if (!pages) {
        jsonv_free(page);
        return err_nomem(err);
    }
    owner->pages = pages;
    owner->pages[owner->page_count++] = page;
    if (!jsonv_is_array(page))
        return err_set(err, SBX_ERR_PROTOCOL, "the service's list of sandboxes is none");
    struct e2b_record *records =
        realloc(owner->records, (owner->count + more + 1) * sizeof(*records));
    if (!records)
        return err_nomem(err);
    owner->records = records;
    for (size_t i = 0; i < more; i++) {
        struct e2b_record *record = &owner->records[owner->count];
        int code = e2b_record_fill(jsonv_at(page, i), record, err);
        if (code < 0)
            return code;
        // A filter that the service did not understand must not widen the list.
        const struct jsonv *metadata = jsonv_get(jsonv_at(page, i), "metadata");
        bool match = true;
        for (size_t k = 0; k < label_count; k++) {
            const char *value = jsonv_text(metadata, labels[k].name);
            match &= value && strcmp(value, labels[k].value) == 0;
        }
        if (match)
            owner->count++;
        else
            free(record->labels);
    }
    return 0;
}

static int fetch(struct e2b *e2b, const struct sbx_pair *labels, size_t label_count,
                 struct deadline deadline, struct owner *owner, struct sbx_error *err)
{
    char next[1024] = "";
    for (int i = 0; i < PAGES_MAX; i++) {
        struct buf path = BUF_INIT(64 << 10);
        cleanup_buf struct buf headers = BUF_INIT(1 << 20);
        struct jsonv *page = NULL;
        buf_puts(&path, "/v2/sandboxes?state=running%2Cpaused&limit=" PAGE);
        add_filter(&path, labels, label_count);
        url_query(&path, "nextToken", next[0] ? next : NULL);
        const char *text = buf_text(&path);
        int code = text ? e2b_control_call(e2b, "GET", text, NULL, "cannot list sandboxes",
                                           deadline, &page, &headers, err)
                        : err_nomem(err);
        buf_deinit(&path);
        if (code == 0)
            code = take_page(owner, page, labels, label_count, err);
        if (code < 0)
            return code;
        if (!http_header_get(&headers, "x-next-token", next, sizeof(next)) || !next[0])
            return 0;
    }
    return err_set(err, SBX_ERR_PROTOCOL, "the service's list of sandboxes has no end");
}

static int by_age(const void *a, const void *b)
{
    const struct sbx_info *x = a, *y = b;
    if (x->created_ms != y->created_ms)
        return x->created_ms < y->created_ms ? -1 : 1;
    return strcmp(x->id, y->id);
}

static int collect(struct e2b *e2b, const struct sbx_pair *labels, size_t label_count,
                   struct deadline deadline, struct owner **ret_owner, struct sbx_error *err)
{
    cleanup(free_owner_fn) struct owner *owner = calloc(1, sizeof(*owner));
    if (!owner)
        return err_nomem(err);
    int code = fetch(e2b, labels, label_count, deadline, owner, err);
    if (code < 0)
        return code;
    owner->items = calloc(owner->count + 1, sizeof(*owner->items));
    if (!owner->items)
        return err_nomem(err);
    for (size_t i = 0; i < owner->count; i++)
        owner->items[i] = owner->records[i].info;
    qsort(owner->items, owner->count, sizeof(*owner->items), by_age);
    *ret_owner = steal_ptr(owner);
    return 0;
}

int e2b_list_boxes(void *provider, const struct sbx_pair *labels, size_t label_count,
                   const struct sbx_call *call, struct sbx_list *ret_list, struct sbx_error *err)
{
    struct owner *owner = NULL;
    int code = collect(provider, labels, label_count, e2b_box_deadline(call), &owner, err);
    if (code < 0)
        return code;
    *ret_list = (struct sbx_list){.count = owner->count, .items = owner->items, .owner = owner};
    return 0;
}

void e2b_list_free(struct sbx_list *list)
{
    if (list->owner)
        free_owner(list->owner);
    *list = (struct sbx_list){0};
}

int e2b_list_find(struct e2b *e2b, const char *prefix, struct deadline deadline, char **ret_id,
                  struct sbx_error *err)
{
    cleanup(free_owner_fn) struct owner *owner = NULL;
    int code = collect(e2b, NULL, 0, deadline, &owner, err);
    const char *found = NULL;
    for (size_t i = 0; code == 0 && i < owner->count; i++) {
        const char *id = owner->items[i].id;
        if (strncmp(id, prefix, strlen(prefix)) != 0)
            continue;
        if (found) {
            err_set(err, SBX_ERR_CONFLICT, "several sandboxes have ids that begin with '%s'",
                    prefix);
            return err_hint(err, "give more of the id: '%s' or '%s'", found, id);
        }
        found = id;
    }
    if (code < 0)
        return code;
    if (!found)
        return err_set(err, SBX_ERR_NOT_FOUND, "there is no sandbox '%s'", prefix);
    *ret_id = strdup(found);
    return *ret_id ? 0 : err_nomem(err);
}
