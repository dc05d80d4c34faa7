// SPDX-License-Identifier: Apache-2.0
// Daytona's control plane: what few clients ask for. Layer: serve.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "serve/auth.h"
#include "serve/daytona_api.h"
#include "serve/rules.h"
#include "serve/toolbox.h"

#define TTL_MINUTES_MAX 1000000
#define NETWORK_MS 30000

// Minutes from now on; 0: for ever.
void daytona_set_ttl(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    struct sbx_error err;
    char *end;
    const char *text = httpd_param(request, "n");
    int64_t minutes = strtoll(text, &end, 10);
    if (!daytona_find(request, &box))
        return;
    if (!text[0] || *end || minutes < 0 || minutes > TTL_MINUTES_MAX)
        httpd_fail(request, 400, "TTL must be a non-negative number of minutes");
    else if (place_set_life(box, minutes * 60000, &err) < 0)
        daytona_fail(request, &err);
    else
        daytona_reply_sandbox(request, 201, box, NULL);
}

// Sandboxes here live or are gone: none is in an error that it could be recovered from.
void daytona_recover(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    if (daytona_find(request, &box))
        httpd_fail(request, 400, "Sandbox is not in an error state");
}

// --- Rules of the network

// A list that is not named stays as it is.
static int merge_lists(struct place *box, const struct jsonv *body, struct pairlist *ret_lists,
                       struct sbx_error *err)
{
    static const char *const names[] = {SHEET_RANGES, SHEET_NAMES};
    int code = 0;
    pthread_mutex_lock(&box->lock);
    for (size_t i = 0; i < ARRAY_SIZE(names) && code == 0; i++) {
        const char *text = jsonv_text(body, names[i]);
        if (!text)
            text = pairlist_get(&box->sheet.lists, names[i]);
        if (text && text[0])
            code = pairlist_add(ret_lists, names[i], text, err);
    }
    pthread_mutex_unlock(&box->lock);
    return code;
}

static int set_network(struct place *box, const struct jsonv *body, const struct sbx_call *call,
                       struct sbx_error *err)
{
    cleanup(rules_deinit) struct rules rules = {0};
    cleanup_pairlist struct pairlist lists = {0};
    int code = merge_lists(box, body, &lists, err);
    if (code == 0)
        code = rules_read_daytona(jsonv_bool(body, "networkBlockAll", !box->sheet.internet),
                                  pairlist_get(&lists, SHEET_RANGES),
                                  pairlist_get(&lists, SHEET_NAMES), &rules, err);
    if (code == 0)
        code = rules_apply(&rules, box, call, err);
    if (code < 0)
        return code;
    pthread_mutex_lock(&box->lock);
    struct pairlist old = box->sheet.lists;
    box->sheet.lists = lists;
    lists = old;
    pthread_mutex_unlock(&box->lock);
    return place_save(box, err);
}

void daytona_set_network(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    cleanup_jsonv struct jsonv *body = NULL;
    struct sbx_error err;
    if (!daytona_find(request, &box))
        return;
    struct sbx_call call = serve_call(request, NETWORK_MS);
    int code = serve_body(request, &body, &err);
    if (code == 0)
        code = set_network(box, body, &call, &err);
    if (code < 0)
        daytona_fail(request, &err);
    else
        daytona_reply_sandbox(request, 200, box, NULL);
}

// --- Keys that sign addresses of files

void daytona_signing_key(const struct place *box, char ret_key[SHA256_HEX_SIZE])
{
    char text[SHEET_ID_SIZE + 32];
    snprintf(text, sizeof(text), "%s %" PRId64, box->sheet.id, box->sheet.key_turn);
    auth_token(box->serve, "files", text, ret_key);
}

static void reply_key(struct httpd_request *request, const struct place *box)
{
    char key[SHA256_HEX_SIZE];
    cleanup_buf struct buf buf = BUF_INIT(4096);
    struct json json = JSON_INIT(&buf, false);
    daytona_signing_key(box, key);
    json_text(&json, key);
    httpd_reply_json(request, 200, &buf);
}

void daytona_show_key(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    if (daytona_find(request, &box))
        reply_key(request, box);
}

// Addresses that were signed before are worth nothing then.
void daytona_rotate_key(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    struct sbx_error err;
    if (!daytona_find(request, &box))
        return;
    pthread_mutex_lock(&box->lock);
    box->sheet.key_turn++;
    pthread_mutex_unlock(&box->lock);
    if (place_save(box, &err) < 0)
        serve_fail(request, &err);
    else
        reply_key(request, box);
}

// --- The toolbox's variables

struct drops {
    const struct jsonv *names;
    const char *prefix; // of values; NULL: none
};

static bool drops(void *payload, const struct sbx_pair *pair)
{
    const struct drops *asked = payload;
    if (asked->prefix && strncmp(pair->value, asked->prefix, strlen(asked->prefix)) == 0)
        return true;
    for (size_t i = 0; i < jsonv_count(asked->names); i++) {
        const char *name = jsonv_as_text(jsonv_at(asked->names, i));
        if (name && strcmp(name, pair->name) == 0)
            return true;
    }
    return false;
}

void toolbox_env(struct httpd_request *request)
{
    static const char text[] = "{\"message\":\"Environment updated\"}";
    cleanup_jsonv struct jsonv *body = NULL;
    cleanup_pairlist struct pairlist set = {0};
    struct sbx_error err;
    int code = serve_body(request, &body, &err);
    if (code == 0)
        code = pairlist_read(&set, jsonv_get(body, "set"), "set", &err);
    struct drops asked = {jsonv_get(body, "unset"), jsonv_text(body, "unsetValuePrefix")};
    if (asked.prefix && !asked.prefix[0])
        asked.prefix = NULL;
    if (code == 0)
        code = place_set_env(toolbox_box(request), &set, drops, &asked, &err);
    if (code < 0)
        serve_fail(request, &err);
    else
        httpd_reply(request, 200, "application/json", text, sizeof(text) - 1);
}

// --- Where sandboxes may be: here

static void put_region(struct json *json)
{
    json_begin_object(json);
    json_put_text(json, "id", "local");
    json_put_text(json, "name", "local");
    json_put_text(json, "regionType", "shared");
    daytona_put_time(json, "createdAt", 0);
    daytona_put_time(json, "updatedAt", 0);
    json_end_object(json);
}

void daytona_regions(struct httpd_request *request)
{
    cleanup_buf struct buf buf = BUF_INIT(4096);
    struct json json = JSON_INIT(&buf, false);
    json_begin_array(&json);
    put_region(&json);
    json_end_array(&json);
    httpd_reply_json(request, 200, &buf);
}
