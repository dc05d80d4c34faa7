// SPDX-License-Identifier: Apache-2.0
// Daytona's control plane: snapshots and forks. Layer: serve.
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "serve/daytona_api.h"
#include "serve/snapshots.h"

#define SNAPSHOT_MS 300000

static void put_snapshot(struct json *json, const char *name, int64_t taken_ms)
{
    json_begin_object(json);
    json_put_text(json, "id", name);
    json_put_text(json, "name", name);
    json_put_text(json, "imageName", name);
    json_put_bool(json, "general", taken_ms == 0);
    json_put_text(json, "state", "active");
    json_put_int(json, "cpu", 1);
    json_put_int(json, "gpu", 0);
    json_put_int(json, "mem", 1);
    json_put_int(json, "disk", 1);
    json_put_int(json, "size", 0);
    json_key(json, "entrypoint");
    json_begin_array(json);
    json_end_array(json);
    json_put_text(json, "errorReason", NULL);
    daytona_put_time(json, "createdAt", taken_ms);
    daytona_put_time(json, "updatedAt", taken_ms);
    json_put_text(json, "lastUsedAt", NULL);
    json_put_text(json, "sourceSandboxId", NULL);
    json_end_object(json);
}

// Those of the server's operator, then those of the key.
void daytona_snapshots(struct httpd_request *request)
{
    const struct serve_settings *settings = &serve_of(request)->settings;
    cleanup_buf struct buf buf = BUF_INIT(DAYTONA_REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    cleanup_free struct snapshot_entry *entries = NULL;
    size_t count = 0;
    struct sbx_error err;
    if (snapshots_all(serve_of(request), httpd_user(request), &entries, &count, &err) < 0) {
        serve_fail(request, &err);
        return;
    }
    json_begin_object(&json);
    json_key(&json, "items");
    json_begin_array(&json);
    for (size_t i = 0; i < settings->template_count; i++)
        put_snapshot(&json, settings->templates[i].name, 0);
    for (size_t i = 0; i < count; i++)
        put_snapshot(&json, entries[i].name, entries[i].taken_ms);
    json_end_array(&json);
    json_put_uint(&json, "total", settings->template_count + count);
    json_put_uint(&json, "page", 1);
    json_put_uint(&json, "totalPages", 1);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}

static void fail_missing(struct httpd_request *request, const char *name)
{
    char text[256];
    snprintf(text, sizeof(text), "Snapshot %.100s not found", name);
    httpd_fail(request, 404, text);
}

void daytona_snapshot_show(struct httpd_request *request)
{
    const char *name = httpd_param(request, "id"), *image;
    char space[SERVE_IMAGE_SIZE];
    cleanup_buf struct buf buf = BUF_INIT(DAYTONA_REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (!serve_image(serve_of(request), httpd_user(request), name, space, &image)) {
        fail_missing(request, name);
        return;
    }
    put_snapshot(&json, name, image == space);
    httpd_reply_json(request, 200, &buf);
}

void daytona_snapshot_delete(struct httpd_request *request)
{
    const char *name = httpd_param(request, "id");
    struct sbx_call call = serve_call(request, SNAPSHOT_MS);
    struct sbx_error err;
    int code = snapshot_forget(serve_of(request), httpd_user(request), name, &call, &err);
    if (code == SBX_ERR_NOT_FOUND)
        fail_missing(request, name);
    else if (code < 0)
        serve_fail(request, &err);
    else
        httpd_reply(request, 200, NULL, NULL, 0);
}

void daytona_snapshot(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    cleanup_jsonv struct jsonv *body = NULL;
    char name[SNAPSHOT_NAME_SIZE], space[SNAPSHOT_IMAGE_SIZE];
    struct sbx_error err;
    if (!daytona_find(request, &box))
        return;
    struct sbx_call call = serve_call(request, SNAPSHOT_MS);
    int code = serve_body(request, &body, &err);
    const char *asked = jsonv_text(body, "name");
    if (code == 0 && !asked)
        code = err_set(&err, SBX_ERR_INVALID, "name is required");
    if (code == 0 && snapshot_image(serve_of(request), httpd_user(request), asked, space))
        code = err_set(&err, SBX_ERR_CONFLICT, "Snapshot with name %.64s already exists", asked);
    if (code == 0)
        code = snapshot_take(box, asked, &call, name, &err);
    if (code < 0)
        daytona_fail(request, &err);
    else
        daytona_reply_sandbox(request, 200, box, NULL);
}

// --- From an image

// A snapshot of an image is that of a sandbox made from it: kept, and gone again.
static int keep_image(struct httpd_request *request, const char *image_name, const char *name,
                      struct sbx_error *err)
{
    static const struct pairlist none;
    struct serve *serve = serve_of(request);
    struct sbx_call call = serve_call(request, SNAPSHOT_MS);
    cleanup_place struct place *box = NULL;
    struct sbx_error ignored;
    char space[SERVE_IMAGE_SIZE], kept[SNAPSHOT_NAME_SIZE];
    struct place_wish wish = {.api = API_DAYTONA,
                              .owner = httpd_user(request),
                              .image_name = image_name,
                              .labels = &none,
                              .env = &none,
                              .auto_delete = -1};
    if (!serve_image(serve, wish.owner, image_name, space, &wish.image))
        return err_set(err, SBX_ERR_INVALID,
                       "image '%.64s' is not known: start 'sandboxes serve' with --template "
                       "NAME=IMAGE; images are not built here",
                       image_name);
    int code = place_create(serve, &wish, &call, &box, err);
    if (code < 0)
        return code;
    code = snapshot_take(box, name, &call, kept, err);
    place_destroy(box, "it was made for a snapshot", &ignored);
    return code;
}

void daytona_snapshot_create(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *body = NULL;
    cleanup_buf struct buf buf = BUF_INIT(DAYTONA_REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    struct sbx_error err;
    char from[256], space[SERVE_IMAGE_SIZE];
    int code = serve_body(request, &body, &err);
    const char *name = jsonv_text(body, "name"), *image = jsonv_text(body, "imageName"), *other;
    if (!image)
        image = daytona_from(jsonv_get(body, "buildInfo"), from);
    if (code == 0 && (!name || !image))
        code = err_set(&err, SBX_ERR_INVALID,
                       "name is required, and an imageName, or a build of nothing but FROM");
    if (code == 0 && serve_image(serve_of(request), httpd_user(request), name, space, &other))
        code = err_set(&err, SBX_ERR_CONFLICT, "Snapshot with name %.64s already exists", name);
    if (code == 0)
        code = keep_image(request, image, name, &err);
    if (code < 0) {
        serve_fail(request, &err);
        return;
    }
    put_snapshot(&json, name, clock_unix_ms());
    httpd_reply_json(request, 200, &buf);
}

// All are, always.
void daytona_snapshot_activate(struct httpd_request *request)
{
    daytona_snapshot_show(request);
}

// --- Forks

void daytona_fork(struct httpd_request *request)
{
    cleanup_place struct place *from = NULL;
    cleanup_place struct place *box = NULL;
    cleanup_place struct place *other = NULL;
    cleanup_jsonv struct jsonv *body = NULL;
    struct sbx_error err;
    if (!daytona_find(request, &from))
        return;
    struct sbx_call call = serve_call(request, SNAPSHOT_MS);
    int code = serve_body(request, &body, &err);
    const char *name = jsonv_text(body, "name");
    if (name)
        other = place_by_name(serve_of(request), httpd_user(request), name);
    if (other)
        code = err_set(&err, SBX_ERR_CONFLICT, "Sandbox with name %.200s already exists", name);
    if (code == 0)
        code = place_fork(from, 0, name, &call, &box, &err);
    if (code < 0)
        daytona_fail(request, &err);
    else
        daytona_reply_sandbox(request, 200, box, NULL);
}
