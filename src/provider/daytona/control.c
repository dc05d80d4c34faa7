// SPDX-License-Identifier: Apache-2.0
// The control plane of Daytona: sandboxes as a whole. Layer: provider.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "net/url.h"
#include "provider/cloud/exchange.h"
#include "provider/daytona/daytona.h"

#define BODY_MAX (4u << 20)
#define START_MS (10 * 60000) // of a sandbox, an image that must be built included
#define POLL_FIRST_MS 50
#define POLL_MOST_MS 2000

void daytona_control_headers(const struct daytona *daytona, bool json,
                             struct daytona_headers *ret_headers)
{
    snprintf(ret_headers->authorization, sizeof(ret_headers->authorization), "Bearer %s",
             daytona->key);
    const struct http_header list[DAYTONA_HEADERS] = {
        {"Authorization", ret_headers->authorization},
        {"X-Daytona-Organization-ID", daytona->organization},
        {"X-Daytona-Split-Output", "true"}, // prefixes of streams in logs
        {"Content-Type", json ? "application/json" : NULL},
    };
    memcpy(ret_headers->list, list, sizeof(list));
}

int daytona_control_call(struct daytona *daytona, const char *method, const char *path,
                         struct buf *body, const char *what, struct deadline deadline,
                         struct jsonv **ret_answer, struct sbx_error *err)
{
    cleanup_buf struct buf url = BUF_INIT(128 << 10);
    struct daytona_headers headers;
    bool repeatable = strcmp(method, "GET") == 0 || strcmp(method, "DELETE") == 0;
    buf_printf(&url, "%s%s", daytona->api, path);
    if (!buf_text(&url) || (body && body->failed))
        return err_nomem(err);
    daytona_control_headers(daytona, body != NULL, &headers);
    const struct cloud_exchange exchange = {.http = daytona->http,
                                            .method = method,
                                            .url = url.data,
                                            .headers = headers.list,
                                            .header_count = DAYTONA_HEADERS,
                                            .body = body,
                                            .idempotent = repeatable,
                                            .what = what};
    return cloud_exchange(&exchange, deadline, ret_answer, NULL, err);
}

static int call_box(struct daytona *daytona, const char *id, const char *method, const char *rest,
                    const char *what, struct deadline deadline, struct jsonv **ret_answer,
                    struct sbx_error *err)
{
    cleanup_buf struct buf path = BUF_INIT(4096);
    char about[200];
    snprintf(about, sizeof(about), "cannot %s sandbox %.100s", what, id);
    buf_puts(&path, "/sandbox/");
    url_add(&path, id);
    buf_puts(&path, rest);
    const char *text = buf_text(&path);
    return text
               ? daytona_control_call(daytona, method, text, NULL, about, deadline, ret_answer, err)
               : err_nomem(err);
}

int daytona_control_delete(void *daytona, const char *id, struct deadline deadline,
                           struct sbx_error *err)
{
    return call_box(daytona, id, "DELETE", "", "end", deadline, NULL, err);
}

// What stands in the service's way.
static int failed(const struct jsonv *object, struct sbx_error *err)
{
    const char *reason = jsonv_text(object, "errorReason"), *state = jsonv_text(object, "state");
    return err_set(err, SBX_ERR_SETUP, "sandbox %s failed: %s", jsonv_text(object, "id"),
                   reason  ? reason
                   : state ? state
                           : "no reason is given");
}

// Until the sandbox is in that state, asking less and less often. Takes *object over, which is the
// last answer then.
static int await(struct daytona *daytona, uint32_t state, struct deadline deadline,
                 struct jsonv **object, struct sbx_error *err)
{
    int64_t pause = POLL_FIRST_MS;
    for (;;) {
        uint32_t now = daytona_record_state(*object);
        const char *id = jsonv_text(*object, "id");
        if (now == state)
            return 0;
        if (!id)
            return err_set(err, SBX_ERR_PROTOCOL, "the service named no id of the sandbox");
        if (now == SBX_STATE_FAILED)
            return failed(*object, err);
        struct deadline wait = deadline_min(deadline, clock_boot_ms() + pause);
        int code = deadline_wait(wait, -1, 0, NULL, err);
        if (code != SBX_ERR_TIMEOUT || deadline_poll_ms(deadline) == 0)
            return err_wrap(err, "sandbox %s is not ready", id), code;
        struct jsonv *next = NULL;
        code = call_box(daytona, id, "GET", "", "ask about", deadline, &next, err);
        if (code < 0)
            return code;
        jsonv_free(*object);
        *object = next;
        pause = pause * 3 / 2 < POLL_MOST_MS ? pause * 3 / 2 : POLL_MOST_MS;
    }
}

static struct deadline start_deadline(const struct sbx_call *call)
{
    return deadline_min(deadline_from_call(call), clock_boot_ms() + START_MS);
}

static int create_call(struct daytona *daytona, const struct sbx_spec *spec, const char *token,
                       struct deadline deadline, struct jsonv **ret_object, struct sbx_error *err)
{
    cleanup_buf struct buf body = BUF_INIT(BODY_MAX);
    struct sbx_error ignored;
    cleanup_free char *id = NULL;
    int code = daytona_create_body(daytona, spec, token, &body, err);
    if (code < 0)
        return code;
    code =
        daytona_control_call(daytona, "POST", "/sandbox", &body, "cannot create a sandbox",
                             deadline_min(deadline, clock_boot_ms() + REQUEST_MS), ret_object, err);
    if (code == 0)
        return 0;
    cloud_reapers_lost(&daytona->reapers, token, code, err, deadline, &id);
    if (id && call_box(daytona, id, "GET", "", "open", deadline, ret_object, &ignored) == 0)
        return 0;
    if (id)
        cloud_reapers_end(&daytona->reapers, token);
    return code;
}

// What the answer to create does not tell.
static int finish(struct daytona_box *box, const struct sbx_spec *spec, struct sbx_error *err)
{
    if (spec->workdir && !box->workdir && !(box->workdir = strdup(spec->workdir)))
        return err_nomem(err);
    return spec->lifetime == SBX_LIFETIME_TIED
               ? leashbook_add(&box->daytona->leashes, box->id, DEADLINE_NEVER, err)
               : 0;
}

int daytona_control_create(void *provider, const struct sbx_spec *spec, const struct sbx_call *call,
                           void **ret_box, struct sbx_error *err)
{
    struct daytona *daytona = provider;
    struct deadline deadline = start_deadline(call);
    cleanup_jsonv struct jsonv *object = NULL;
    struct daytona_box *box = NULL;
    char token[TOKEN_SIZE];
    if (cancel_triggered(deadline.cancel))
        return err_set(err, SBX_ERR_CANCELLED, "cancelled before anything was made");
    int code = cloud_token(token, err);
    if (code == 0)
        code = create_call(daytona, spec, token, deadline, &object, err);
    if (code < 0)
        return code;
    code = await(daytona, SBX_STATE_RUNNING, deadline, &object, err);
    if (code == 0)
        code = daytona_box_new(daytona, object, &box, err);
    if (code == 0)
        code = finish(box, spec, err);
    if (code < 0) {
        cloud_reapers_end(&daytona->reapers, token);
        if (box)
            daytona_box_unref(box);
        return code;
    }
    *ret_box = box;
    return 0;
}

static int find_id(struct daytona *daytona, const char *prefix, const struct sbx_call *call,
                   char **ret_id, struct sbx_error *err)
{
    struct sbx_list list;
    int code = daytona_list_boxes(daytona, NULL, 0, call, &list, err);
    if (code < 0)
        return code;
    code = cloud_list_find(&list, prefix, ret_id, err);
    cloud_list_free(&list);
    return code;
}

int daytona_control_get(void *provider, const char *id, const struct sbx_call *call, void **ret_box,
                        struct sbx_error *err)
{
    struct deadline deadline = cloud_deadline(call);
    cleanup_jsonv struct jsonv *object = NULL;
    cleanup_free char *found = NULL;
    struct daytona_box *box;
    int code = call_box(provider, id, "GET", "", "open", deadline, &object, err);
    if (code == SBX_ERR_NOT_FOUND || code == SBX_ERR_INVALID) {
        code = find_id(provider, id, call, &found, err);
        if (code == 0)
            code = call_box(provider, found, "GET", "", "open", deadline, &object, err);
    }
    if (code == 0)
        code = daytona_box_new(provider, object, &box, err);
    if (code == 0)
        *ret_box = box;
    return code;
}

int daytona_control_info(void *self, const struct sbx_call *call, struct sbx_info *ret_info,
                         struct sbx_error *err)
{
    struct daytona_box *box = self;
    struct cloud_record record = {0};
    struct jsonv *object = NULL;
    int code =
        call_box(box->daytona, box->id, "GET", "", "ask about", cloud_deadline(call), &object, err);
    if (code == 0)
        code = daytona_record_fill(object, &record, err);
    if (code == CLOUD_RECORD_GONE)
        code = err_set(err, SBX_ERR_NOT_FOUND, "sandbox %s does not exist any more", box->id);
    if (code < 0) {
        jsonv_free(object);
        return code;
    }
    cloud_record_renew(&box->lock, &box->record, &record, object, ret_info);
    return 0;
}

int daytona_control_renew(void *payload, const char *id, struct sbx_error *err)
{
    return call_box(payload, id, "POST", "/last-activity", "keep alive", deadline_in(LEASH_MS),
                    NULL, err);
}

void daytona_control_end(void *payload, const char *id)
{
    struct sbx_error ignored;
    daytona_control_delete(payload, id, deadline_in(LEASH_MS), &ignored);
}

int daytona_control_destroy(void *self, const struct sbx_call *call, struct sbx_error *err)
{
    struct daytona_box *box = self;
    leashbook_remove(&box->daytona->leashes, box->id);
    return daytona_control_delete(box->daytona, box->id, cloud_deadline(call), err);
}

static int change(struct daytona_box *box, const char *rest, const char *what, uint32_t state,
                  const struct sbx_call *call, struct sbx_error *err)
{
    struct deadline deadline = start_deadline(call);
    cleanup_jsonv struct jsonv *object = NULL;
    int code = call_box(box->daytona, box->id, "POST", rest, what, deadline, &object, err);
    return code < 0 ? code : await(box->daytona, state, deadline, &object, err);
}

// Put away: only what has stopped for good can be.
static int archive(struct daytona_box *box, const struct sbx_call *call, struct sbx_error *err)
{
    struct deadline deadline = start_deadline(call);
    for (;;) {
        cleanup_jsonv struct jsonv *object = NULL;
        int code = call_box(box->daytona, box->id, "GET", "", "ask about", deadline, &object, err);
        const char *state = code < 0 ? NULL : jsonv_text(object, "state");
        if (code < 0)
            return code;
        if (!state || strcmp(state, "stopping") != 0)
            return call_box(box->daytona, box->id, "POST", "/archive", "archive", deadline, NULL,
                            err);
        code = deadline_wait(deadline_min(deadline, clock_boot_ms() + POLL_FIRST_MS), -1, 0, NULL,
                             err);
        if (code != SBX_ERR_TIMEOUT || deadline_poll_ms(deadline) == 0)
            return err_wrap(err, "sandbox %s has not stopped", box->id), code;
    }
}

// Files stay, commands end.
int daytona_control_pause(void *self, const struct sbx_call *call, struct sbx_error *err)
{
    struct daytona_box *box = self;
    int code = change(box, "/stop", "stop", SBX_STATE_PAUSED, call, err);
    return code < 0 || !box->daytona->archive ? code : archive(box, call, err);
}

int daytona_control_resume(void *self, const struct sbx_call *call, struct sbx_error *err)
{
    return change(self, "/start", "start", SBX_STATE_RUNNING, call, err);
}

// The address holds the key to this port, which a sandbox that is not public wants.
int daytona_control_expose(void *self, const struct sbx_port *port, const struct sbx_call *call,
                           char *ret_url, size_t url_size, struct sbx_error *err)
{
    struct daytona_box *box = self;
    cleanup_jsonv struct jsonv *answer = NULL;
    cleanup_buf struct buf text = BUF_INIT(16384);
    char rest[64];
    if (port->host_port)
        return err_set(err, SBX_ERR_UNSUPPORTED,
                       "provider 'daytona' gives ports addresses, not ports of this machine");
    snprintf(rest, sizeof(rest), "/ports/%u/preview-url", port->port);
    int code = call_box(box->daytona, box->id, "GET", rest, "expose a port of",
                        cloud_deadline(call), &answer, err);
    if (code < 0)
        return code;
    const char *url = jsonv_text(answer, "url"), *token = jsonv_text(answer, "token");
    if (!url)
        return err_set(err, SBX_ERR_PROTOCOL, "the service named no address of the port");
    buf_puts(&text, url);
    url_query(&text, "DAYTONA_SANDBOX_AUTH_KEY", token && token[0] ? token : NULL);
    if (!buf_text(&text) || text.size >= url_size)
        return err_set(err, SBX_ERR_INVALID, "url_size is too small for the address");
    memcpy(ret_url, text.data, text.size + 1);
    return 0;
}
