// SPDX-License-Identifier: Apache-2.0
// Sandboxes of Daytona as it describes and lists them. Layer: provider.
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "net/url.h"
#include "net/when.h"
#include "provider/daytona/daytona.h"
#include "provider/daytona/row.h"

#define PAGE "200"
#define PAGES_MAX 100 // 20,000 sandboxes
#define GIB 1073741824.0
#define GONE 100

static const struct {
    const char *name;
    uint32_t state;
} states[] = {
    {"started", SBX_STATE_RUNNING},
    {"creating", SBX_STATE_CREATING},
    {"starting", SBX_STATE_CREATING},
    {"restoring", SBX_STATE_CREATING},
    {"resuming", SBX_STATE_CREATING},
    {"pending_build", SBX_STATE_CREATING},
    {"building_snapshot", SBX_STATE_CREATING},
    {"pulling_snapshot", SBX_STATE_CREATING},
    {"resizing", SBX_STATE_RUNNING},
    {"snapshotting", SBX_STATE_RUNNING},
    {"forking", SBX_STATE_RUNNING},
    {"stopping", SBX_STATE_PAUSED},
    {"stopped", SBX_STATE_PAUSED},
    {"pausing", SBX_STATE_PAUSED},
    {"paused", SBX_STATE_PAUSED},
    {"archiving", SBX_STATE_STOPPED},
    {"archived", SBX_STATE_STOPPED},
    {"error", SBX_STATE_FAILED},
    {"build_failed", SBX_STATE_FAILED},
    {"destroying", GONE},
    {"destroyed", GONE},
};

uint32_t daytona_record_state(const struct jsonv *object)
{
    const char *name = jsonv_text(object, "state");
    for (size_t i = 0; name && i < ARRAY_SIZE(states); i++)
        if (strcmp(states[i].name, name) == 0)
            return states[i].state;
    return SBX_STATE_UNKNOWN;
}

static uint32_t network_of(const struct jsonv *object)
{
    const char *ranges = jsonv_text(object, "networkAllowList");
    const char *names = jsonv_text(object, "domainAllowList");
    if ((ranges && ranges[0]) || (names && names[0]))
        return SBX_NETWORK_ALLOW;
    return jsonv_bool(object, "networkBlockAll", false) ? SBX_NETWORK_NONE : SBX_NETWORK_INTERNET;
}

static uint64_t bytes_of(const struct jsonv *object, const char *key)
{
    double size = jsonv_real(object, key, 0);
    return size > 0 && size < 1e6 ? (uint64_t)(size * GIB) : 0;
}

int daytona_record_fill(const struct jsonv *object, struct cloud_record *ret_record,
                        struct sbx_error *err)
{
    const char *image = jsonv_text(object, "snapshot"), *user = jsonv_text(object, "user");
    double cpu = jsonv_real(object, "cpu", 0);
    struct cloud_record record = {0};
    record.info = (struct sbx_info){
        .size = sizeof(struct sbx_info),
        .id = jsonv_text(object, "id"),
        .provider = DAYTONA_NAME,
        .image = image ? image : "",
        .user = user ? user : "",
        .state = daytona_record_state(object),
        .network = network_of(object),
        .created_ms = when_parse(jsonv_text(object, "createdAt")),
        .memory_bytes = bytes_of(object, "memory"),
        .disk_bytes = bytes_of(object, "disk"),
        .cpu_millis = cpu > 0 && cpu < 1e6 ? (uint32_t)(cpu * 1000) : 0,
    };
    if (!record.info.id)
        return err_set(err, SBX_ERR_PROTOCOL, "the service described a sandbox without an id");
    if (record.info.state == GONE)
        return CLOUD_RECORD_GONE;
    int code = cloud_record_labels(jsonv_get(object, "labels"), &record, err);
    if (code == 0)
        *ret_record = record;
    return code;
}

static void add_filter(struct buf *path, const struct sbx_pair *labels, size_t count)
{
    cleanup_buf struct buf text = BUF_INIT(path->limit);
    struct json json = JSON_INIT(&text, false);
    if (count == 0)
        return;
    json_begin_object(&json);
    for (size_t i = 0; i < count; i++)
        json_put_text(&json, labels[i].name, labels[i].value);
    json_end_object(&json);
    url_query(path, "labels", buf_text(&text));
    path->failed |= text.failed;
}

static int fetch_page(struct daytona *daytona, const struct sbx_pair *labels, size_t label_count,
                      const char *cursor, struct deadline deadline, struct jsonv **ret_page,
                      struct sbx_error *err)
{
    cleanup_buf struct buf path = BUF_INIT(64 << 10);
    buf_puts(&path, "/sandbox?limit=" PAGE);
    add_filter(&path, labels, label_count);
    url_query(&path, "cursor", cursor[0] ? cursor : NULL);
    const char *text = buf_text(&path);
    return text ? daytona_control_call(daytona, "GET", text, NULL, "cannot list sandboxes",
                                       deadline, ret_page, err)
                : err_nomem(err);
}

static int fetch(struct daytona *daytona, const struct sbx_pair *labels, size_t label_count,
                 struct deadline deadline, struct cloud_list *list, struct sbx_error *err)
{
    char cursor[2048] = "";
    for (int i = 0; i < PAGES_MAX; i++) {
        struct jsonv *page = NULL;
        int code = fetch_page(daytona, labels, label_count, cursor, deadline, &page, err);
        if (code < 0)
            return code;
        struct cloud_page taken = {page, jsonv_get(page, "items"), "labels", daytona_record_fill};
        code = cloud_list_take(list, &taken, labels, label_count, err);
        if (code < 0)
            return code;
        const char *next = jsonv_text(page, "nextCursor");
        if (!next || !next[0])
            return 0;
        if (strlen(next) >= sizeof(cursor) || strcmp(next, cursor) == 0)
            break;
        snprintf(cursor, sizeof(cursor), "%s", next);
    }
    return err_set(err, SBX_ERR_PROTOCOL, "the service's list of sandboxes has no end");
}

int daytona_list_boxes(void *provider, const struct sbx_pair *labels, size_t label_count,
                       const struct sbx_call *call, struct sbx_list *ret_list,
                       struct sbx_error *err)
{
    cleanup_cloud_list struct cloud_list *list = cloud_list_new();
    if (!list)
        return err_nomem(err);
    int code = fetch(provider, labels, label_count, cloud_deadline(call), list, err);
    return code < 0 ? code : cloud_list_finish(steal_ptr(list), ret_list, err);
}
