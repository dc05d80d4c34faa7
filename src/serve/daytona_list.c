// SPDX-License-Identifier: Apache-2.0
// Daytona's control plane: lists of sandboxes. Layer: serve.
#include <stdio.h>
#include <string.h>

#include "serve/daytona_api.h"
#include "serve/paging.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 200

struct filter {
    struct pairlist labels;
    const char *name, *id, *cursor;
    int64_t limit;
    bool any_state;
    char states[512]; // " started stopped "
};

static void take_state(void *payload, const char *name, const char *value)
{
    struct filter *filter = payload;
    size_t used = strlen(filter->states);
    if (strcmp(name, "states") == 0) {
        filter->any_state = false;
        snprintf(filter->states + used, sizeof(filter->states) - used, " %s ", value);
    }
}

static int read_filter(struct httpd_request *request, struct filter *filter, struct sbx_error *err)
{
    const char *labels = httpd_query(request, "labels"), *limit = httpd_query(request, "limit");
    filter->any_state = true;
    httpd_each_query(request, take_state, filter);
    filter->name = httpd_query(request, "name");
    filter->id = httpd_query(request, "id");
    filter->cursor = httpd_query(request, "cursor");
    filter->limit = limit ? strtoll(limit, NULL, 10) : LIMIT_DEFAULT;
    if (filter->limit < 1 || filter->limit > LIMIT_MAX)
        return err_set(err, SBX_ERR_INVALID, "limit must not be greater than %d", LIMIT_MAX);
    cleanup_jsonv struct jsonv *root = NULL;
    struct sbx_error ignored;
    if (!labels)
        return 0;
    if (jsonv_parse(labels, strlen(labels), &root, &ignored) < 0 ||
        pairlist_read(&filter->labels, root, "labels", &ignored) < 0)
        return err_set(err, SBX_ERR_INVALID, "Invalid labels JSON format");
    return 0;
}

static bool passes(struct httpd_request *request, struct place *box, const struct filter *filter)
{
    const struct sheet *sheet = &box->sheet;
    char state[64];
    if (sheet->api != API_DAYTONA || strcmp(sheet->owner, httpd_user(request)) != 0)
        return false;
    pthread_mutex_lock(&box->lock);
    snprintf(state, sizeof(state), " %s ", daytona_state_of(sheet));
    bool fits = pairlist_has_all(&sheet->labels, &filter->labels) &&
                (!filter->id || strcmp(sheet->id, filter->id) == 0) &&
                (!filter->name || strncmp(sheet->name, filter->name, strlen(filter->name)) == 0) &&
                (filter->any_state || strstr(filter->states, state));
    pthread_mutex_unlock(&box->lock);
    return fits;
}

static void put_page(struct httpd_request *request, struct json *json, struct place **boxes,
                     size_t count, const struct filter *filter)
{
    char next[PAGING_TOKEN_SIZE] = "";
    int64_t shown = 0;
    const struct place *last = NULL;
    json_begin_object(json);
    json_key(json, "items");
    json_begin_array(json);
    for (size_t i = 0; i < count; i++) {
        if (!passes(request, boxes[i], filter) ||
            (filter->cursor && !paging_is_behind(boxes[i], filter->cursor, false)))
            continue;
        if (shown++ == filter->limit) {
            paging_token(last, next);
            break;
        }
        daytona_put_sandbox(request, json, boxes[i], NULL);
        last = boxes[i];
    }
    json_end_array(json);
    json_put_text(json, "nextCursor", next[0] ? next : NULL);
    json_end_object(json);
}

void daytona_list(struct httpd_request *request)
{
    struct sbx_error err;
    struct filter filter = {0};
    struct place **boxes = NULL;
    size_t count = 0;
    cleanup_buf struct buf buf = BUF_INIT(DAYTONA_REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    int code = read_filter(request, &filter, &err);
    if (code == 0)
        code = places_all(serve_of(request), &boxes, &count, &err);
    if (code < 0) {
        serve_fail(request, &err);
    } else {
        paging_sort(boxes, count, false);
        put_page(request, &json, boxes, count, &filter);
        httpd_reply_json(request, 200, &buf);
    }
    places_free(boxes, count);
    pairlist_deinit(&filter.labels);
}
