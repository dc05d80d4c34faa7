// SPDX-License-Identifier: Apache-2.0
// The control plane of E2B: sandboxes as a whole. Layer: provider.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "net/url.h"
#include "provider/cloud/exchange.h"
#include "provider/e2b/e2b.h"

#define DEFAULT_TTL_S 300
#define BODY_MAX (4u << 20)

int e2b_control_call(struct e2b *e2b, const char *method, const char *path, struct buf *body,
                     const char *what, struct deadline deadline, struct jsonv **ret_answer,
                     struct buf *ret_headers, struct sbx_error *err)
{
    cleanup_buf struct buf url = BUF_INIT(128 << 10);
    buf_printf(&url, "%s%s", e2b->api, path);
    struct http_header headers[] = {{"X-API-KEY", e2b->key},
                                    {"Content-Type", body ? "application/json" : NULL}};
    bool repeatable = strcmp(method, "GET") == 0 || strcmp(method, "DELETE") == 0;
    if (!buf_text(&url) || (body && body->failed))
        return err_nomem(err);
    const struct cloud_exchange exchange = {.http = e2b->http,
                                            .method = method,
                                            .url = url.data,
                                            .headers = headers,
                                            .header_count = ARRAY_SIZE(headers),
                                            .body = body,
                                            .idempotent = repeatable,
                                            .what = what};
    return cloud_exchange(&exchange, deadline, ret_answer, ret_headers, err);
}

// "/sandboxes/ID" and what follows.
static const char *path_of(const char *id, const char *rest, struct buf *path)
{
    buf_puts(path, "/sandboxes/");
    url_add(path, id);
    buf_puts(path, rest);
    return buf_text(path);
}

static int call_box(struct e2b *e2b, const char *id, const char *method, const char *rest,
                    struct buf *body, const char *what, struct deadline deadline,
                    struct jsonv **ret_answer, struct sbx_error *err)
{
    cleanup_buf struct buf path = BUF_INIT(4096);
    char about[200];
    snprintf(about, sizeof(about), "cannot %s sandbox %.100s", what, id);
    const char *text = path_of(id, rest, &path);
    return text ? e2b_control_call(e2b, method, text, body, about, deadline, ret_answer, NULL, err)
                : err_nomem(err);
}

static void seconds_body(const char *name, int64_t seconds, struct buf *body)
{
    buf_printf(body, "{\"%s\":%" PRId64 "}", name, seconds);
}

// Whole seconds, more rather than less.
static int64_t whole_seconds(int64_t ms)
{
    return ms / 1000 + (ms % 1000 != 0);
}

int e2b_control_delete(void *e2b, const char *id, struct deadline deadline, struct sbx_error *err)
{
    return call_box(e2b, id, "DELETE", "", NULL, "end", deadline, NULL, err);
}

// E2B_DEBUG: one sandbox that is there already, at localhost.
static int debug_box(struct e2b *e2b, struct e2b_box **ret_box, struct sbx_error *err)
{
    static const char text[] = "{\"sandboxID\":\"debug_sandbox_id\",\"envdVersion\":\"99.99.99\"}";
    cleanup_jsonv struct jsonv *object = NULL;
    int code = jsonv_parse(text, strlen(text), &object, err);
    return code < 0 ? code : e2b_box_new(e2b, object, ret_box, err);
}

static int create_call(struct e2b *e2b, const struct sbx_spec *spec, const char *token,
                       struct deadline deadline, struct jsonv **ret_object, struct sbx_error *err)
{
    cleanup_buf struct buf body = BUF_INIT(BODY_MAX);
    int code = e2b_create_body(e2b, spec, token, &body, err);
    if (code < 0)
        return code;
    code = e2b_control_call(e2b, "POST", "/sandboxes", &body, "cannot create a sandbox", deadline,
                            ret_object, NULL, err);
    if (code == 0)
        return 0;
    struct sbx_error ignored;
    cleanup_free char *id = NULL;
    cloud_reapers_lost(&e2b->reapers, token, code, err, deadline, &id);
    if (id && call_box(e2b, id, "GET", "", NULL, "open", deadline, ret_object, &ignored) == 0)
        return 0;
    if (id)
        cloud_reapers_end(&e2b->reapers, token);
    return code;
}

// What the answer to create does not tell.
static int finish(struct e2b_box *box, const struct sbx_spec *spec, struct sbx_error *err)
{
    if (spec->user && !box->user && !(box->user = strdup(spec->user)))
        return err_nomem(err);
    if (spec->workdir && !box->workdir && !(box->workdir = strdup(spec->workdir)))
        return err_nomem(err);
    if (spec->lifetime != SBX_LIFETIME_TIED || box->e2b->debug)
        return 0;
    // The last renewal reaches leash_s further: it must not pass the asked time to live.
    int64_t until = spec->ttl_ms > 0 ? clock_boot_ms() + spec->ttl_ms - box->e2b->leash_s * 1000
                                     : DEADLINE_NEVER;
    return leashbook_add(&box->e2b->leashes, box->id, until, err);
}

int e2b_control_create(void *provider, const struct sbx_spec *spec, const struct sbx_call *call,
                       void **ret_box, struct sbx_error *err)
{
    struct e2b *e2b = provider;
    struct deadline deadline = cloud_deadline(call);
    cleanup_jsonv struct jsonv *object = NULL;
    struct e2b_box *box;
    char token[TOKEN_SIZE];
    int code = e2b->debug ? debug_box(e2b, &box, err) : cloud_token(token, err);
    if (code == 0 && !e2b->debug && cancel_triggered(deadline.cancel))
        code = err_set(err, SBX_ERR_CANCELLED, "cancelled before anything was made");
    if (code == 0 && !e2b->debug)
        code = create_call(e2b, spec, token, deadline, &object, err);
    if (code == 0 && !e2b->debug) {
        code = e2b_box_new(e2b, object, &box, err);
        if (code < 0)
            cloud_reapers_end(&e2b->reapers, token);
    }
    if (code < 0)
        return code;
    code = finish(box, spec, err);
    if (code < 0) {
        cloud_reapers_end(&e2b->reapers, token);
        e2b_box_unref(box);
        return code;
    }
    *ret_box = box;
    return 0;
}

static int find_id(struct e2b *e2b, const char *prefix, const struct sbx_call *call, char **ret_id,
                   struct sbx_error *err)
{
    struct sbx_list list;
    int code = e2b_list_boxes(e2b, NULL, 0, call, &list, err);
    if (code < 0)
        return code;
    code = cloud_list_find(&list, prefix, ret_id, err);
    cloud_list_free(&list);
    return code;
}

int e2b_control_get(void *provider, const char *id, const struct sbx_call *call, void **ret_box,
                    struct sbx_error *err)
{
    struct e2b *e2b = provider;
    struct deadline deadline = cloud_deadline(call);
    cleanup_jsonv struct jsonv *object = NULL;
    cleanup_free char *found = NULL;
    struct e2b_box *box;
    int code;
    if (e2b->debug) {
        code = debug_box(e2b, &box, err);
    } else {
        code = call_box(e2b, id, "GET", "", NULL, "open", deadline, &object, err);
        if (code == SBX_ERR_NOT_FOUND || code == SBX_ERR_INVALID) {
            code = find_id(e2b, id, call, &found, err);
            if (code == 0)
                code = call_box(e2b, found, "GET", "", NULL, "open", deadline, &object, err);
        }
        if (code == 0)
            code = e2b_box_new(e2b, object, &box, err);
    }
    if (code == 0)
        *ret_box = box;
    return code;
}

static int debug_info(struct e2b_box *box, struct sbx_info *ret_info)
{
    *ret_info = (struct sbx_info){.size = sizeof(*ret_info),
                                  .id = box->id,
                                  .provider = "e2b",
                                  .image = "base",
                                  .user = "user",
                                  .state = SBX_STATE_RUNNING};
    return 0;
}

int e2b_control_info(void *self, const struct sbx_call *call, struct sbx_info *ret_info,
                     struct sbx_error *err)
{
    struct e2b_box *box = self;
    struct cloud_record record = {0};
    struct jsonv *object = NULL;
    if (box->e2b->debug)
        return debug_info(box, ret_info);
    int code = call_box(box->e2b, box->id, "GET", "", NULL, "ask about", cloud_deadline(call),
                        &object, err);
    if (code == 0)
        code = e2b_record_fill(object, &record, err);
    if (code < 0) {
        jsonv_free(object);
        return code;
    }
    cloud_record_renew(&box->lock, &box->record, &record, object, ret_info);
    return 0;
}

int e2b_control_renew(void *payload, const char *id, struct sbx_error *err)
{
    const struct e2b *e2b = payload;
    cleanup_buf struct buf body = BUF_INIT(100);
    seconds_body("timeout", e2b->leash_s, &body);
    return call_box(payload, id, "POST", "/timeout", &body, "keep alive",
                    deadline_in(e2b->leashes.every_ms), NULL, err);
}

void e2b_control_end(void *payload, const char *id)
{
    struct sbx_error ignored;
    e2b_control_delete(payload, id, deadline_in(LEASH_S * 1000), &ignored);
}

int e2b_control_destroy(void *self, const struct sbx_call *call, struct sbx_error *err)
{
    struct e2b_box *box = self;
    leashbook_remove(&box->e2b->leashes, box->id);
    return box->e2b->debug ? 0 : e2b_control_delete(box->e2b, box->id, cloud_deadline(call), err);
}

int e2b_control_set_ttl(void *self, int64_t ttl_ms, const struct sbx_call *call,
                        struct sbx_error *err)
{
    struct e2b_box *box = self;
    cleanup_buf struct buf body = BUF_INIT(100);
    if (ttl_ms < 0) {
        err_set(err, SBX_ERR_UNSUPPORTED, "sandboxes of E2B always have a time to live");
        return err_hint(err, "give one, and renew it in time");
    }
    if (box->e2b->debug)
        return 0;
    leashbook_remove(&box->e2b->leashes, box->id); // from now on its life is this
    seconds_body("timeout", whole_seconds(ttl_ms), &body);
    return call_box(box->e2b, box->id, "POST", "/timeout", &body, "set the time to live of",
                    cloud_deadline(call), NULL, err);
}

int e2b_control_pause(void *self, const struct sbx_call *call, struct sbx_error *err)
{
    struct e2b_box *box = self;
    cleanup_buf struct buf body = BUF_INIT(100);
    buf_puts(&body, "{}");
    return call_box(box->e2b, box->id, "POST", "/pause", &body, "pause", cloud_deadline(call), NULL,
                    err);
}

int e2b_control_resume(void *self, const struct sbx_call *call, struct sbx_error *err)
{
    struct e2b_box *box = self;
    cleanup_buf struct buf body = BUF_INIT(100);
    seconds_body("timeout", DEFAULT_TTL_S, &body);
    return call_box(box->e2b, box->id, "POST", "/connect", &body, "resume", cloud_deadline(call),
                    NULL, err);
}
