// SPDX-License-Identifier: Apache-2.0
// E2B's control plane: lists of sandboxes. Layer: serve.
#include <string.h>

#include "serve/e2b_api.h"
#include "serve/paging.h"

#define LIMIT_MAX 100

struct filter {
    struct pairlist metadata;
    bool running, paused;
    int64_t limit;
    const char *after; // token of the page before
    const char *image;
    bool oldest_first;
};

static int hex(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

static void unquote(char *text)
{
    char *out = text;
    for (; *text; text++) {
        if (*text == '%' && hex(text[1]) >= 0 && hex(text[2]) >= 0) {
            *out++ = (char)(hex(text[1]) << 4 | hex(text[2]));
            text += 2;
        } else {
            *out++ = (char)(*text == '+' ? ' ' : *text);
        }
    }
    *out = '\0';
}

// "k=v&k2=v2", quoted twice more than the query that holds it.
static int read_metadata(const char *text, struct pairlist *list, struct sbx_error *err)
{
    cleanup_free char *copy = strdup(text);
    char *rest = copy;
    if (!copy)
        return err_nomem(err);
    for (char *pair; (pair = strsep(&rest, "&"));) {
        char *value = strchr(pair, '=');
        if (!pair[0])
            continue;
        if (!value)
            return err_set(err, SBX_ERR_INVALID, "metadata must be pairs NAME=VALUE");
        *value++ = '\0';
        for (int times = 0; times < 2; times++) {
            unquote(pair);
            unquote(value);
        }
        int code = pairlist_add(list, pair, value, err);
        if (code < 0)
            return code;
    }
    return 0;
}

static void take_state(void *payload, const char *name, const char *value)
{
    struct filter *filter = payload;
    if (strcmp(name, "state") != 0)
        return;
    filter->running |= strstr(value, "running") != NULL;
    filter->paused |= strstr(value, "paused") != NULL;
}

static int read_filter(struct httpd_request *request, struct filter *filter, struct sbx_error *err)
{
    const char *limit = httpd_query(request, "limit"), *metadata = httpd_query(request, "metadata");
    const char *state = httpd_query(request, "state");
    httpd_each_query(request, take_state, filter);
    if (!state)
        filter->running = filter->paused = true;
    else if (!filter->running && !filter->paused)
        return err_set(err, SBX_ERR_INVALID, "validation error: unknown state");
    filter->limit = limit ? strtoll(limit, NULL, 10) : LIMIT_MAX;
    if (filter->limit < 1 || filter->limit > LIMIT_MAX)
        return err_set(err, SBX_ERR_INVALID, "validation error: limit must be 1 to %d", LIMIT_MAX);
    filter->after = httpd_query(request, "nextToken");
    filter->image = httpd_query(request, "template");
    const char *order = httpd_query(request, "order");
    filter->oldest_first = order && strcmp(order, "asc") == 0;
    return metadata ? read_metadata(metadata, &filter->metadata, err) : 0;
}

static bool passes(struct httpd_request *request, struct place *box, const struct filter *filter)
{
    if (box->sheet.api != API_E2B || strcmp(box->sheet.owner, httpd_user(request)) != 0)
        return false;
    pthread_mutex_lock(&box->lock);
    bool passes = (box->sheet.paused_ms ? filter->paused : filter->running) &&
                  (!filter->image || strcmp(filter->image, box->sheet.image) == 0) &&
                  pairlist_has_all(&box->sheet.labels, &filter->metadata);
    pthread_mutex_unlock(&box->lock);
    return passes;
}

static void put_page(struct httpd_request *request, struct json *json, struct place **boxes,
                     size_t count, const struct filter *filter)
{
    int64_t shown = 0;
    const struct place *last = NULL;
    json_begin_array(json);
    for (size_t i = 0; i < count; i++) {
        if (!passes(request, boxes[i], filter) ||
            (filter->after && !paging_is_behind(boxes[i], filter->after, filter->oldest_first)))
            continue;
        if (shown++ == filter->limit) {
            char token[PAGING_TOKEN_SIZE];
            paging_token(last, token);
            httpd_add_header(request, "X-Next-Token", token);
            break;
        }
        e2b_put_sandbox(json, boxes[i], false);
        last = boxes[i];
    }
    json_end_array(json);
}

void e2b_list(struct httpd_request *request)
{
    struct sbx_error err;
    struct filter filter = {0};
    struct place **boxes = NULL;
    size_t count = 0;
    cleanup_buf struct buf buf = BUF_INIT(E2B_REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    int code = read_filter(request, &filter, &err);
    if (code == 0)
        code = places_all(serve_of(request), &boxes, &count, &err);
    if (code < 0) {
        serve_fail(request, &err);
    } else {
        paging_sort(boxes, count, filter.oldest_first);
        put_page(request, &json, boxes, count, &filter);
        httpd_reply_json(request, 200, &buf);
    }
    places_free(boxes, count);
    pairlist_deinit(&filter.metadata);
}
