// SPDX-License-Identifier: Apache-2.0
// Sandboxes of E2B as it lists them, page by page. Layer: provider.
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/url.h"
#include "net/when.h"
#include "provider/e2b/e2b.h"

#define PAGE "100"
#define PAGES_MAX 200 // 20,000 sandboxes

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

int e2b_record_fill(const struct jsonv *object, struct cloud_record *ret_record,
                    struct sbx_error *err)
{
    const struct jsonv *metadata = jsonv_get(object, "metadata");
    const char *image = jsonv_text(object, "alias"), *user = jsonv_text(metadata, OWN_USER);
    struct cloud_record record = {0};
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
    int code = cloud_record_labels(metadata, &record, err);
    if (code == 0)
        *ret_record = record;
    return code;
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

static int fetch(struct e2b *e2b, const struct sbx_pair *labels, size_t label_count,
                 struct deadline deadline, struct cloud_list *list, struct sbx_error *err)
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
        if (code == 0) {
            struct cloud_page taken = {page, page, "metadata", e2b_record_fill};
            code = cloud_list_take(list, &taken, labels, label_count, err);
        }
        if (code < 0)
            return code;
        if (!http_header_get(&headers, "x-next-token", next, sizeof(next)) || !next[0])
            return 0;
    }
    return err_set(err, SBX_ERR_PROTOCOL, "the service's list of sandboxes has no end");
}

int e2b_list_boxes(void *provider, const struct sbx_pair *labels, size_t label_count,
                   const struct sbx_call *call, struct sbx_list *ret_list, struct sbx_error *err)
{
    cleanup_cloud_list struct cloud_list *list = cloud_list_new();
    if (!list)
        return err_nomem(err);
    int code = fetch(provider, labels, label_count, cloud_deadline(call), list, err);
    return code < 0 ? code : cloud_list_finish(steal_ptr(list), ret_list, err);
}
