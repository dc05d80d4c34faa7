// SPDX-License-Identifier: Apache-2.0
// E2B's control plane: snapshots and forks. Layer: serve.
#include <stdio.h>
#include <string.h>

#include "serve/e2b_api.h"
#include "serve/snapshots.h"

#define SNAPSHOT_MS 300000
#define FORKS_MAX 100
#define PAGE_MAX 100

static void put_snapshot(struct json *json, const char *name)
{
    json_begin_object(json);
    json_put_text(json, "snapshotID", name);
    json_key(json, "names");
    json_begin_array(json);
    json_text(json, name);
    json_end_array(json);
    json_end_object(json);
}

void e2b_snapshot(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    cleanup_jsonv struct jsonv *body = NULL;
    cleanup_buf struct buf buf = BUF_INIT(E2B_REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    char name[SNAPSHOT_NAME_SIZE];
    struct sbx_error err;
    if (!e2b_find(request, &box))
        return;
    struct sbx_call call = serve_call(request, SNAPSHOT_MS);
    int code = serve_body(request, &body, &err);
    const char *asked = jsonv_text(body, "name");
    if (code == 0)
        code = snapshot_take(box, asked ? asked : "", &call, name, &err);
    if (code < 0) {
        e2b_fail_of(request, box, &err);
        return;
    }
    put_snapshot(&json, name);
    httpd_reply_json(request, 201, &buf);
}

// The token of a page is the last name of the one before.
void e2b_snapshots(struct httpd_request *request)
{
    const char *limit = httpd_query(request, "limit"), *after = httpd_query(request, "nextToken");
    const char *name = httpd_query(request, "name");
    cleanup_buf struct buf buf = BUF_INIT(E2B_REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    struct snapshot_entry *entries = NULL;
    size_t count = 0;
    long left = limit ? strtol(limit, NULL, 10) : PAGE_MAX;
    struct sbx_error err;
    if (left < 1 || left > PAGE_MAX) {
        httpd_fail(request, 400, "validation error: limit must be 1 to 100");
        return;
    }
    if (snapshots_all(serve_of(request), httpd_user(request), &entries, &count, &err) < 0) {
        serve_fail(request, &err);
        return;
    }
    json_begin_array(&json);
    const char *last = NULL;
    for (size_t i = 0; i < count; i++) {
        if ((after && strcmp(entries[i].name, after) <= 0) ||
            (name && strcmp(entries[i].name, name) != 0))
            continue;
        if (left-- == 0) {
            httpd_add_header(request, "X-Next-Token", last);
            break;
        }
        put_snapshot(&json, entries[i].name);
        last = entries[i].name;
    }
    json_end_array(&json);
    httpd_reply_json(request, 200, &buf);
    free(entries);
}

void e2b_snapshot_delete(struct httpd_request *request)
{
    struct sbx_error err;
    struct sbx_call call = serve_call(request, SNAPSHOT_MS);
    if (snapshot_forget(serve_of(request), httpd_user(request), httpd_param(request, "id"), &call,
                        &err) < 0)
        serve_fail(request, &err);
    else
        httpd_reply(request, 204, NULL, NULL, 0);
}

static void put_fork(struct json *json, const struct place *box, const struct sbx_error *err)
{
    json_begin_object(json);
    json_key(json, box ? "sandbox" : "error");
    if (box) {
        e2b_put_access_object(json, box);
    } else {
        json_begin_object(json);
        json_put_uint(json, "code", serve_status(err));
        json_put_text(json, "message", err->message);
        json_end_object(json);
    }
    json_end_object(json);
}

static void reply_forks(struct httpd_request *request, struct place *from, int64_t count,
                        int64_t life_ms)
{
    cleanup_buf struct buf buf = BUF_INIT(E2B_REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    json_begin_array(&json);
    for (int64_t i = 0; i < count; i++) {
        cleanup_place struct place *box = NULL;
        struct sbx_error err;
        struct sbx_call call = serve_call(request, SNAPSHOT_MS);
        place_fork(from, life_ms, NULL, &call, &box, &err);
        put_fork(&json, box, &err);
    }
    json_end_array(&json);
    httpd_reply_json(request, 201, &buf);
}

void e2b_fork(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    cleanup_jsonv struct jsonv *body = NULL;
    struct sbx_error err;
    struct sbx_info info;
    int64_t life_ms = 0;
    if (!e2b_find(request, &box))
        return;
    int code = serve_body(request, &body, &err);
    int64_t count = jsonv_int(body, "count", 1);
    if (code == 0 && (count < 1 || count > FORKS_MAX))
        code = err_set(&err, SBX_ERR_INVALID, "count must be 1 to %d", FORKS_MAX);
    if (code == 0)
        code = e2b_read_life(request, body, E2B_LIFE_S, &life_ms, &err);
    if (code < 0)
        serve_fail(request, &err);
    else if (place_info(box, &info, &err) < 0)
        e2b_fail_of(request, box, &err);
    else
        reply_forks(request, box, count, life_ms);
}
