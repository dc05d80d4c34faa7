// SPDX-License-Identifier: Apache-2.0
/*
 * The dashboard: its pages, which need no key and hold no data, and the small API behind them,
 * which takes the same keys as the others. A key is typed in, kept by the page for that tab, and
 * travels in headers only. Layer: serve.
 */
#include "serve/dashboard.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "serve/auth.h"
#include "serve/pages.h"
#include "serve/sites.h"
#include "serve/terminal.h"

#define REPLY_MAX (16 * 1024 * 1024)
#define CREATE_MS 60000
#define LIFE_DEFAULT_S 3600
#define SHOWN_MAX 500
#define NONCE_MARK "@NONCE@"
#define NONCE_SIZE 33

// --- Pages

static const struct page *find_page(const char *name)
{
    for (const struct page *page = pages; page->name; page++)
        if (strcmp(page->name, name) == 0)
            return page;
    return NULL;
}

static void add_safety(struct httpd_request *request, const char *nonce)
{
    char policy[512];
    // The terminal makes style elements of its own: only such that carry this answer's nonce.
    snprintf(policy, sizeof(policy),
             "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-%s'; "
             "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
             "frame-ancestors 'none'",
             nonce);
    httpd_add_header(request, "Content-Security-Policy", policy);
    httpd_add_header(request, "Referrer-Policy", "no-referrer");
    httpd_add_header(request, "Cross-Origin-Opener-Policy", "same-origin");
    httpd_add_header(request, "Cross-Origin-Resource-Policy", "same-origin");
    httpd_add_header(request, "Cache-Control", "no-store");
}

static int make_nonce(char ret_nonce[NONCE_SIZE])
{
    uint8_t data[NONCE_SIZE / 2];
    if (id_random(data, sizeof(data)) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(data); i++)
        snprintf(ret_nonce + 2 * i, 3, "%02x", data[i]);
    return 0;
}

static void show_index(struct httpd_request *request)
{
    char nonce[NONCE_SIZE];
    const struct page *page = find_page("index.html");
    const char *text = (const char *)page->data;
    const char *mark = memmem(text, page->size, NONCE_MARK, strlen(NONCE_MARK));
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    if (!mark || make_nonce(nonce) < 0) {
        httpd_fail(request, 500, "the page cannot be made");
        return;
    }
    const char *rest = mark + strlen(NONCE_MARK);
    buf_add(&buf, text, (size_t)(mark - text));
    buf_puts(&buf, nonce);
    buf_add(&buf, rest, page->size - (size_t)(rest - text));
    add_safety(request, nonce);
    httpd_reply_buf(request, 200, page->type, &buf);
}

static void show_page(struct httpd_request *request)
{
    const struct page *page = find_page(httpd_param(request, "file"));
    if (!page) {
        httpd_fail(request, 404, "there is no such page");
        return;
    }
    httpd_add_header(request, "Cross-Origin-Resource-Policy", "same-origin");
    httpd_add_header(request, "Cache-Control", "no-cache");
    httpd_reply(request, 200, page->type, page->data, page->size);
}

// --- Lists

static void put_box(struct json *json, struct place *box)
{
    struct sbx_metrics metrics = SBX_METRICS_INIT;
    struct sbx_info info;
    struct sbx_error err;
    if (place_info(box, &info, &err) < 0)
        return;
    bool measured = sbx_sandbox_metrics(box->sandbox, NULL, &metrics, &err) == 0;
    pthread_mutex_lock(&box->lock);
    const struct sheet *sheet = &box->sheet;
    bool stopped = sheet->state != SHEET_AS_IS;
    json_begin_object(json);
    json_put_text(json, "id", sheet->id);
    json_put_text(json, "name", sheet->name);
    json_put_text(json, "api", sheet->api == API_E2B ? "e2b" : "daytona");
    json_put_text(json, "template", sheet->image);
    json_put_text(json, "state", stopped ? "stopped" : sheet->paused_ms ? "paused" : "running");
    json_key(json, "labels");
    pairlist_write(&sheet->labels, json);
    json_put_int(json, "created", sheet->created_ms);
    json_put_int(json, "end", sheet->paused_ms ? 0 : sheet->end_ms);
    json_put_uint(json, "cpuMillis", info.cpu_millis);
    pthread_mutex_unlock(&box->lock);
    if (measured) {
        json_put_uint(json, "cpuUsec", metrics.cpu_usec);
        json_put_uint(json, "memory", metrics.memory_bytes);
        json_put_uint(json, "memoryLimit", metrics.memory_limit_bytes);
        json_put_uint(json, "disk", metrics.disk_bytes);
        json_put_uint(json, "processes", metrics.pids);
        json_put_uint(json, "oomKills", metrics.oom_kills);
    }
    json_end_object(json);
}

static void put_boxes(struct httpd_request *request, struct json *json, struct place **boxes,
                      size_t count)
{
    size_t shown = 0, mine = 0;
    json_key(json, "sandboxes");
    json_begin_array(json);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(boxes[i]->sheet.owner, httpd_user(request)) != 0)
            continue;
        mine++;
        if (shown++ < SHOWN_MAX)
            put_box(json, boxes[i]);
    }
    json_end_array(json);
    json_put_uint(json, "count", mine);
}

static void list(struct httpd_request *request)
{
    struct serve *serve = serve_of(request);
    struct place **boxes = NULL;
    size_t count = 0;
    struct sbx_error err;
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (places_all(serve, &boxes, &count, &err) < 0) {
        serve_fail(request, &err);
        return;
    }
    json_begin_object(&json);
    json_put_text(&json, "version", SBX_VERSION);
    json_put_int(&json, "now", clock_unix_ms());
    json_put_bool(&json, "terminal", find_page("xterm.js") != NULL);
    json_key(&json, "templates");
    json_begin_array(&json);
    for (size_t i = 0; i < serve->settings.template_count; i++)
        json_text(&json, serve->settings.templates[i].name);
    json_end_array(&json);
    put_boxes(request, &json, boxes, count);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
    places_free(boxes, count);
}

static void reply_box(struct httpd_request *request, unsigned status, struct place *box)
{
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    put_box(&json, box);
    httpd_reply_json(request, status, &buf);
}

// --- Create, stop

static int read_wish(struct httpd_request *request, const struct jsonv *body,
                     struct place_wish *wish, struct pairlist *labels, char image[SERVE_IMAGE_SIZE],
                     struct sbx_error *err)
{
    const struct serve *serve = serve_of(request);
    int64_t seconds = jsonv_int(body, "timeout", LIFE_DEFAULT_S);
    const char *name = jsonv_text(body, "template");
    wish->image_name = name ? name : "base";
    if (!serve_image(serve, httpd_user(request), wish->image_name, image, &wish->image))
        return err_set(err, SBX_ERR_NOT_FOUND, "template '%.200s' not found", wish->image_name);
    if (seconds < 1 || seconds > serve->settings.max_life_ms / 1000)
        return err_set(err, SBX_ERR_INVALID, "the timeout is 1 to %lld seconds",
                       (long long)(serve->settings.max_life_ms / 1000));
    wish->life_ms = seconds * 1000;
    return pairlist_read(labels, jsonv_get(body, "labels"), "labels", err);
}

static void create(struct httpd_request *request)
{
    struct sbx_error err;
    cleanup_jsonv struct jsonv *body = NULL;
    cleanup_pairlist struct pairlist labels = {0};
    cleanup_place struct place *box = NULL;
    struct pairlist none = {0};
    char image[SERVE_IMAGE_SIZE];
    struct place_wish wish = {.api = API_E2B,
                              .owner = httpd_user(request),
                              .labels = &labels,
                              .env = &none,
                              .secure = 1,
                              .internet = 1};
    struct sbx_call call = serve_call(request, CREATE_MS);
    int code = serve_body(request, &body, &err);
    if (code == 0)
        code = read_wish(request, body, &wish, &labels, image, &err);
    if (code == 0)
        code = place_create(serve_of(request), &wish, &call, &box, &err);
    if (code < 0)
        serve_fail(request, &err);
    else
        reply_box(request, 201, box);
}

static void stop(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    struct sbx_error err;
    if (!serve_box(request, &box))
        return;
    if (place_destroy(box, "it was stopped in the dashboard", &err) < 0)
        serve_fail(request, &err);
    else
        httpd_reply(request, 204, NULL, NULL, 0);
}

// --- Logs and terminal

static void put_line(void *payload, const struct logbook_line *line)
{
    struct json *json = payload;
    json_begin_object(json);
    json_put_int(json, "time", line->time_ms);
    json_put_text(json, "kind", logbook_kind_name(line->kind));
    json_put_text(json, "text", line->text);
    json_end_object(json);
}

static void logs(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    const char *from = httpd_query(request, "from");
    if (!serve_box(request, &box))
        return;
    json_begin_object(&json);
    json_key(&json, "lines");
    json_begin_array(&json);
    uint64_t next = logbook_each(&box->log, from ? strtoull(from, NULL, 10) : 0, put_line, &json);
    json_end_array(&json);
    json_put_uint(&json, "next", next);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}

static void terminal(struct httpd_request *request)
{
    struct place *box;
    if (serve_box(request, &box))
        terminal_open(request, box);
}

// Browsers can't add headers to WebSockets; what they can name is protocols.
static bool authorize(struct httpd_request *request)
{
    char key[KEY_SIZE + 8] = "";
    const char *offered = httpd_header(request, "Sec-WebSocket-Protocol");
    const char *at = offered ? strstr(offered, TERMINAL_KEY) : NULL;
    if (!at)
        return auth_e2b(request);
    at += strlen(TERMINAL_KEY);
    snprintf(key, sizeof(key), "%.*s", (int)strcspn(at, ", "), at);
    bool may = auth_key(request, key);
    explicit_bzero(key, sizeof(key));
    return may;
}

#define A "/dashboard/api"
#define ROW(verb, path, function)                                                                  \
    {                                                                                              \
        .method = verb, .pattern = path, .handler = function                                       \
    }
static const struct httpd_route routes[] = {
    ROW("GET", A "/sandboxes", list),
    ROW("POST", A "/sandboxes", create),
    ROW("DELETE", A "/sandboxes/{id}", stop),
    ROW("GET", A "/sandboxes/{id}/logs", logs),
    ROW("GET", A "/sandboxes/{id}/terminal", terminal),
};
const struct httpd_site dashboard_api_site = {routes, ARRAY_SIZE(routes), authorize, NULL};

static const struct httpd_route page_routes[] = {
    ROW("GET", "/", show_index),
    ROW("GET", "/dashboard/{file}", show_page),
};
const struct httpd_site dashboard_site = {page_routes, ARRAY_SIZE(page_routes), NULL, NULL};
