// SPDX-License-Identifier: Apache-2.0
// envd's plain HTTP: who may, health, metrics, files up and down. Layer: serve.
#include "serve/envd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/base64.h"
#include "base/clock.h"
#include "serve/auth.h"
#include "serve/sites.h"
#include "serve/transfer.h"

#define TRANSFER_MS (30 * 60 * 1000)
#define CREATE_MS 60000
#define PARTS_MAX 1024
#define INFLATE_SIZE (64 * 1024)

static void release_box(void *state)
{
    place_unref(state);
}

// --- Who may

static void fail_gone(struct httpd_request *request, const char *id, const char *message)
{
    cleanup_buf struct buf buf = BUF_INIT(4096);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_put_text(&json, "sandboxId", id);
    json_put_text(&json, "message", message);
    json_put_uint(&json, "code", 502);
    json_end_object(&json);
    httpd_reply_json(request, 502, &buf);
}

// base64 without padding of SHA-256 over "path:operation:user:token[:expiry]", after "v1_".
static bool signature_fits(struct httpd_request *request, const char *signature, const char *token)
{
    const char *path = httpd_query(request, "path"), *user = httpd_query(request, "username");
    const char *expiry = httpd_query(request, "signature_expiration");
    bool writes = strcmp(httpd_method(request), "POST") == 0;
    cleanup_buf struct buf text = BUF_INIT(64 * 1024), encoded = BUF_INIT(128);
    uint8_t digest[SHA256_SIZE];
    struct sha256 hash;
    if (expiry && strtoll(expiry, NULL, 10) * 1000 < clock_unix_ms())
        return false;
    buf_printf(&text, "%s:%s:%s:%s%s%s", path ? path : "", writes ? "write" : "read",
               user ? user : "", token, expiry ? ":" : "", expiry ? expiry : "");
    sha256_init(&hash);
    sha256_update(&hash, text.data, text.size);
    sha256_final(&hash, digest);
    buf_puts(&encoded, "v1_");
    base64_encode(&encoded, digest, sizeof(digest));
    encoded.size -= 1; // 32 bytes end in one '='
    const char *wanted = buf_text(&encoded);
    return !text.failed && wanted && keys_equal(wanted, signature);
}

// The token of the sandbox's other ports, which clients send to those.
bool envd_shows_traffic_token(struct httpd_request *request, const struct place *box)
{
    char token[SHA256_HEX_SIZE];
    const char *shown = httpd_header(request, "E2b-Traffic-Access-Token");
    auth_token(box->serve, "traffic", box->sheet.id, token);
    return shown && keys_equal(token, shown);
}

static bool may(struct httpd_request *request, const struct place *box)
{
    char token[SHA256_HEX_SIZE], id[SHEET_ID_SIZE];
    unsigned port;
    const char *shown = httpd_header(request, "X-Access-Token"), *path = httpd_path(request);
    if (!box->sheet.secure || strcmp(path, "/health") == 0)
        return true;
    auth_token(box->serve, "envd", box->sheet.id, token);
    if (shown)
        return keys_equal(token, shown);
    if (sites_target(request, id, &port) && port == E2B_CODE_PORT)
        return envd_shows_traffic_token(request, box);
    const char *signature = httpd_query(request, "signature");
    return signature && strcmp(path, "/files") == 0 && signature_fits(request, signature, token);
}

bool envd_wake(struct httpd_request *request, struct place *box)
{
    struct sbx_error err;
    pthread_mutex_lock(&box->lock);
    bool paused = box->sheet.paused_ms != 0, resumes = box->sheet.auto_resume;
    pthread_mutex_unlock(&box->lock);
    if (!paused || (resumes && place_resume(box, &err) == 0))
        return true;
    fail_gone(request, box->sheet.id, "The sandbox was not found: it is paused");
    return false;
}

static int get_box(struct httpd_request *request, const char *id, struct place **ret_box,
                   struct sbx_error *err)
{
    struct serve *serve = serve_of(request);
    struct sbx_call call = serve_call(request, CREATE_MS);
    if (serve->settings.debug && strcmp(id, PLACE_DEBUG_ID) == 0)
        return place_debug(serve, &call, ret_box, err);
    return place_get(serve, id, ret_box, err);
}

bool envd_authorize(struct httpd_request *request)
{
    char id[SHEET_ID_SIZE], text[256];
    unsigned port;
    struct sbx_error err;
    struct place *box;
    if (!sites_target(request, id, &port))
        return false;
    if (get_box(request, id, &box, &err) < 0) {
        snprintf(text, sizeof(text), "The %s", err.message);
        fail_gone(request, id, text);
        return false;
    }
    httpd_set_state(request, box, release_box);
    httpd_set_user(request, box->sheet.owner);
    if (!may(request, box)) {
        httpd_fail(request, 401,
                   "unauthorized access, please provide a valid access token or method signing if "
                   "supported");
        return false;
    }
    return envd_wake(request, box);
}

struct place *envd_box(const struct httpd_request *request)
{
    return httpd_state(request);
}

const char *envd_user(struct httpd_request *request, char ret_name[64])
{
    const char *query = httpd_query(request, "username");
    const char *header = httpd_header(request, "Authorization");
    if (query && query[0]) {
        snprintf(ret_name, 64, "%s", query);
        return ret_name;
    }
    if (!header || strncasecmp(header, "Basic ", 6) != 0)
        return NULL;
    cleanup_buf struct buf decoded = BUF_INIT(256);
    if (!base64_decode(&decoded, header + 6, strlen(header + 6)) || !buf_text(&decoded))
        return NULL;
    snprintf(ret_name, 64, "%.*s", (int)strcspn(decoded.data, ":"), decoded.data);
    return ret_name[0] ? ret_name : NULL;
}

void envd_fail(struct httpd_request *request, unsigned status, const char *message)
{
    cleanup_buf struct buf buf = BUF_INIT(64 * 1024);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_put_uint(&json, "code", status);
    json_put_text(&json, "message", message);
    json_end_object(&json);
    httpd_reply_json(request, status, &buf);
}

// --- Small answers

static void health(struct httpd_request *request)
{
    struct sbx_info info;
    struct sbx_error err;
    struct place *box = envd_box(request);
    if (place_info(box, &info, &err) < 0) {
        char text[256];
        snprintf(text, sizeof(text), "The %s", err.message);
        fail_gone(request, box->sheet.id, text);
        return;
    }
    httpd_add_header(request, "Cache-Control", "no-store");
    httpd_reply(request, 204, NULL, NULL, 0);
}

#define MIB (1024 * 1024)

static void metrics(struct httpd_request *request)
{
    struct usage usage;
    struct sbx_error err;
    cleanup_buf struct buf buf = BUF_INIT(4096);
    struct json json = JSON_INIT(&buf, false);
    if (usage_now(envd_box(request), &usage, &err) < 0) {
        serve_fail(request, &err);
        return;
    }
    json_begin_object(&json);
    json_put_int(&json, "ts", usage.at_ms / 1000);
    json_put_uint(&json, "cpu_count", usage.cpu_count);
    json_put_uint(&json, "cpu_used_pct", usage.cpu_percent);
    json_put_uint(&json, "mem_total", usage.memory_limit_bytes);
    json_put_uint(&json, "mem_used", usage.memory_bytes);
    json_put_uint(&json, "mem_cache", usage.cache_bytes);
    json_put_uint(&json, "mem_total_mib", usage.memory_limit_bytes / MIB);
    json_put_uint(&json, "mem_used_mib", usage.memory_bytes / MIB);
    json_put_uint(&json, "disk_used", usage.disk_bytes);
    json_put_uint(&json, "disk_total", usage.disk_limit_bytes);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}

static void envs(struct httpd_request *request)
{
    cleanup_buf struct buf buf = BUF_INIT(16 * MIB);
    struct json json = JSON_INIT(&buf, false);
    pairlist_write(&envd_box(request)->sheet.env, &json);
    httpd_reply_json(request, 200, &buf);
}

// --- Download

static void add_disposition(struct httpd_request *request, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char text[600];
    if (strpbrk(name, "\"\\"))
        return;
    snprintf(text, sizeof(text), "inline; filename=\"%.500s\"", name);
    httpd_add_header(request, "Content-Disposition", text);
}

static void fail_path(struct httpd_request *request, const char *path, const struct sbx_error *err)
{
    char text[TRANSFER_PATH_MAX + 64];
    if (err->code == SBX_ERR_NOT_FOUND) {
        snprintf(text, sizeof(text), "path '%s' does not exist", path);
        httpd_fail(request, 404, text);
    } else if (err->code == SBX_ERR_INVALID && strstr(err->message, "user")) {
        httpd_fail(request, 401, err->message);
    } else {
        httpd_fail(request, err->sys_errno == ENOSPC ? 507 : serve_status(err), err->message);
    }
}

static void download(struct httpd_request *request)
{
    char path[TRANSFER_PATH_MAX], name[64];
    struct place *box = envd_box(request);
    const char *user = envd_user(request, name), *asked = httpd_query(request, "path");
    struct sbx_file_options how = SBX_FILE_OPTIONS_INIT;
    struct sbx_file_list one;
    struct sbx_error err;
    how.user = user;
    if (!transfer_path(box, user, asked ? asked : "", path)) {
        httpd_fail(request, 400, "the path is too long");
        return;
    }
    if (sbx_file_stat(box->sandbox, path, &how, NULL, &one, &err) < 0) {
        place_failed(box, &err);
        fail_path(request, path, &err);
        return;
    }
    bool directory = one.count && one.items[0].kind == SBX_FILE_DIRECTORY;
    sbx_file_list_free(&one);
    if (directory) {
        char text[TRANSFER_PATH_MAX + 64];
        snprintf(text, sizeof(text), "path '%s' is a directory", path);
        httpd_fail(request, 400, text);
        return;
    }
    add_disposition(request, path);
    transfer_send(request, box, path, user, NULL);
}

// --- Upload

struct upload {
    struct place *box;
    struct spool spool;
    bool spooling;
    z_stream inflater;
    bool gzip, gzip_ended;
    char target[TRANSFER_PATH_MAX]; // of the part that comes in
    char name[64];
    const char *user;
    const char *asked; // target that the query names, or NULL
    struct pairlist done;
    struct sbx_call call;
    struct sbx_error err; // of the first failure
};

static void upload_free(void *state)
{
    struct upload *upload = state;
    if (upload->spooling)
        spool_deinit(&upload->spool);
    if (upload->gzip)
        inflateEnd(&upload->inflater);
    pairlist_deinit(&upload->done);
    place_unref(upload->box);
    free(upload);
}

static int store(struct upload *upload)
{
    if (!upload->spooling)
        return 0;
    int code = spool_store(&upload->spool, upload->box, upload->target, upload->user, &upload->call,
                           &upload->err);
    spool_deinit(&upload->spool);
    upload->spooling = false;
    if (code == 0)
        code = pairlist_add(&upload->done, upload->target, "", &upload->err);
    return code;
}

static int open_target(struct upload *upload, const char *path)
{
    if (!transfer_path(upload->box, upload->user, path, upload->target))
        return err_set(&upload->err, SBX_ERR_INVALID, "the path is too long");
    if (pairlist_get(&upload->done, upload->target))
        return err_set(&upload->err, SBX_ERR_INVALID, "the path '%s' is given twice",
                       upload->target);
    if (upload->done.count == PARTS_MAX)
        return err_set(&upload->err, SBX_ERR_INVALID, "more than %d files", PARTS_MAX);
    spool_init(&upload->spool, upload->box->serve);
    upload->spooling = true;
    return 0;
}

static int take_part(void *payload, const struct httpd_part *part)
{
    struct upload *upload = payload;
    if (upload->err.code)
        return -1;
    if (part->first) {
        int code = store(upload);
        if (code < 0)
            return code;
        if (!part->name || strcmp(part->name, "file") != 0 || (!part->file_name && !upload->asked))
            return err_set(&upload->err, SBX_ERR_INVALID,
                           "each part must be named 'file' and have a file's name");
        code = open_target(upload, upload->asked ? upload->asked : part->file_name);
        if (code < 0)
            return code;
    }
    return upload->spooling ? spool_add(&upload->spool, part->data, part->size, &upload->err) : -1;
}

static int take_gzip(struct upload *upload, const void *data, size_t size)
{
    cleanup_free unsigned char *out = malloc(INFLATE_SIZE);
    if (!out)
        return err_nomem(&upload->err);
    upload->inflater.next_in = (unsigned char *)(uintptr_t)data;
    upload->inflater.avail_in = (unsigned)size;
    while (upload->inflater.avail_in > 0 && !upload->gzip_ended) {
        upload->inflater.next_out = out;
        upload->inflater.avail_out = INFLATE_SIZE;
        int status = inflate(&upload->inflater, Z_NO_FLUSH);
        if (status != Z_OK && status != Z_STREAM_END)
            return err_set(&upload->err, SBX_ERR_INVALID, "the body is no gzip");
        upload->gzip_ended = status == Z_STREAM_END;
        int code =
            spool_add(&upload->spool, out, INFLATE_SIZE - upload->inflater.avail_out, &upload->err);
        if (code < 0)
            return code;
    }
    return 0;
}

static int take_bytes(void *payload, const void *data, size_t size)
{
    struct upload *upload = payload;
    if (upload->err.code)
        return -1;
    return upload->gzip ? take_gzip(upload, data, size)
                        : spool_add(&upload->spool, data, size, &upload->err);
}

static bool begin_bytes(struct httpd_request *request, struct upload *upload)
{
    const char *type = httpd_header(request, "Content-Type");
    const char *encoding = httpd_header(request, "Content-Encoding");
    if (!type || strncasecmp(type, "application/octet-stream", 24) != 0) {
        httpd_fail(request, 400,
                   "the body must be multipart/form-data or "
                   "application/octet-stream");
        return false;
    }
    if (!upload->asked) {
        httpd_fail(request, 400, "path is missing");
        return false;
    }
    if (encoding && strcasecmp(encoding, "gzip") == 0)
        upload->gzip = inflateInit2(&upload->inflater, 16 + MAX_WBITS) == Z_OK;
    if (open_target(upload, upload->asked) == 0)
        httpd_set_sink(request, take_bytes, upload);
    return true;
}

static void upload_begin(struct httpd_request *request)
{
    struct upload *upload = calloc(1, sizeof(*upload));
    if (!upload) {
        httpd_fail(request, 503, "memory is short");
        return;
    }
    upload->box = place_ref(envd_box(request));
    upload->user = envd_user(request, upload->name);
    upload->call = serve_call(request, TRANSFER_MS);
    httpd_set_state(request, upload, upload_free);
    const char *path = httpd_query(request, "path");
    upload->asked = path && path[0] ? path : NULL;
    if (!httpd_set_part_sink(request, take_part, upload))
        begin_bytes(request, upload);
}

static void upload_end(struct httpd_request *request)
{
    struct upload *upload = httpd_state(request);
    cleanup_buf struct buf buf = BUF_INIT(16 * MIB);
    struct json json = JSON_INIT(&buf, false);
    if (upload->err.code || store(upload) < 0) {
        fail_path(request, upload->target, &upload->err);
        return;
    }
    if (httpd_sink_failed(request)) {
        httpd_fail(request, 400, "the body is cut short or malformed");
        return;
    }
    json_begin_array(&json);
    for (size_t i = 0; i < upload->done.count; i++) {
        const char *path = upload->done.items[i].name, *slash = strrchr(path, '/');
        json_begin_object(&json);
        json_put_text(&json, "name", slash ? slash + 1 : path);
        json_put_text(&json, "path", path);
        json_put_text(&json, "type", "file");
        json_end_object(&json);
    }
    json_end_array(&json);
    httpd_reply_buf(request, 200, "text/plain; charset=utf-8", &buf);
}

#define ROW(verb, path, function)                                                                  \
    {                                                                                              \
        .method = verb, .pattern = path, .handler = function, .body_limit = CONNECT_MESSAGE_MAX    \
    }
#define PROCESS(name, function) ROW("POST", "/process.Process/" name, function)
#define FILES(name, function) ROW("POST", "/filesystem.Filesystem/" name, function)
#define BODY_MAX ((size_t)64 << 30) // the real ceiling is settings.max_upload, a file

static const struct httpd_route routes[] = {
    ROW("GET", "/health", health),
    ROW("GET", "/metrics", metrics),
    ROW("GET", "/envs", envs),
    ROW("GET", "/files", download),
    {"POST", "/files", upload_end, upload_begin, BODY_MAX, NULL},
    PROCESS("List", envd_process_list),
    PROCESS("Start", envd_process_start),
    PROCESS("Connect", envd_process_connect),
    PROCESS("Update", envd_process_update),
    PROCESS("SendInput", envd_process_send_input),
    {"POST", "/process.Process/StreamInput", envd_process_stream_input,
     envd_process_stream_input_begin, BODY_MAX, NULL},
    PROCESS("SendSignal", envd_process_send_signal),
    PROCESS("CloseStdin", envd_process_close_stdin),
    FILES("Stat", envd_fs_stat),
    FILES("MakeDir", envd_fs_make_dir),
    FILES("Move", envd_fs_move),
    FILES("Remove", envd_fs_remove),
    FILES("ListDir", envd_fs_list_dir),
    FILES("WatchDir", envd_fs_watch),
    FILES("CreateWatcher", envd_fs_create_watcher),
    FILES("GetWatcherEvents", envd_fs_watcher_events),
    FILES("RemoveWatcher", envd_fs_remove_watcher),
};
const struct httpd_site e2b_envd_site = {routes, ARRAY_SIZE(routes), envd_authorize, envd_fail};
