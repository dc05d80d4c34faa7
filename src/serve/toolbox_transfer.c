// SPDX-License-Identifier: Apache-2.0
// Daytona's up- and downloads, one file or many. Layer: serve.
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "serve/toolbox.h"
#include "serve/transfer.h"

#define REPLY_MAX (4 * 1024 * 1024)
#define TRANSFER_MS (30 * 60 * 1000)
#define FILES_MAX 10000
#define BOUNDARY "DAYTONA-FILE-BOUNDARY"

void toolbox_files_download(struct httpd_request *request)
{
    char path[TRANSFER_PATH_MAX];
    const char *asked = httpd_query(request, "path");
    if (!asked || !transfer_path(toolbox_box(request), NULL, asked, path))
        httpd_fail(request, 400, "path is required");
    else
        transfer_send(request, toolbox_box(request), path, NULL, NULL);
}

// --- Many at once, as parts of one body

struct bundle {
    struct httpd_request *request;
    struct place *box;
    struct jsonv *body;
    size_t next;         // of the paths
    struct buf text;     // heads and ends of parts
    size_t at;           // sent of it
    struct fetched file; // of the part that is being sent
    uint64_t file_at;
    bool in_file, ended;
};

static void bundle_free(void *payload)
{
    struct bundle *bundle = payload;
    if (bundle->in_file)
        fetched_deinit(&bundle->file);
    buf_deinit(&bundle->text);
    jsonv_free(bundle->body);
    place_unref(bundle->box);
    free(bundle);
}

static const char *error_code(const struct sbx_error *err)
{
    return err->code == SBX_ERR_NOT_FOUND ? "FILE_NOT_FOUND"
           : err->code == SBX_ERR_DENIED  ? "FILE_ACCESS_DENIED"
                                          : "INVALID_FILE_PATH";
}

static void put_error_part(struct bundle *bundle, const char *path, const struct sbx_error *err)
{
    char time[SERVE_TIME_SIZE];
    cleanup_buf struct buf body = BUF_INIT(64 * 1024);
    struct json json = JSON_INIT(&body, false);
    serve_time(clock_unix_ms(), time);
    json_begin_object(&json);
    json_put_uint(&json, "statusCode", serve_status(err));
    json_put_text(&json, "message", err->message);
    json_put_text(&json, "code", error_code(err));
    json_put_text(&json, "timestamp", time);
    json_put_text(&json, "path", httpd_path(bundle->request));
    json_put_text(&json, "method", "POST");
    json_end_object(&json);
    buf_printf(&bundle->text,
               "--" BOUNDARY
               "\r\nContent-Disposition: form-data; name=\"error\"; filename=\"%s\"\r\n"
               "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
               path, body.size);
    buf_add(&bundle->text, body.data, body.size);
    buf_puts(&bundle->text, "\r\n");
}

static void open_part(struct bundle *bundle)
{
    struct sbx_error err;
    char path[TRANSFER_PATH_MAX];
    const struct jsonv *paths = jsonv_get(bundle->body, "paths");
    if (bundle->next == jsonv_count(paths)) {
        buf_puts(&bundle->text, "--" BOUNDARY "--\r\n");
        bundle->ended = true;
        return;
    }
    const char *asked = jsonv_as_text(jsonv_at(paths, bundle->next++));
    struct sbx_call call = serve_call(bundle->request, TRANSFER_MS);
    if (!asked || strpbrk(asked, "\"\r\n") || !transfer_path(bundle->box, NULL, asked, path)) {
        err_set(&err, SBX_ERR_INVALID, "the path can't be served");
        put_error_part(bundle, "", &err);
        return;
    }
    if (transfer_fetch(bundle->box, path, NULL, &call, &bundle->file, &err) < 0) {
        put_error_part(bundle, asked, &err);
        return;
    }
    bundle->in_file = true;
    bundle->file_at = 0;
    buf_printf(&bundle->text,
               "--" BOUNDARY
               "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\n"
               "Content-Type: application/octet-stream\r\nContent-Length: %llu\r\n\r\n",
               asked, (unsigned long long)bundle->file.size);
}

static ssize_t read_text(struct bundle *bundle, char *data, size_t size)
{
    return (ssize_t)buf_take(&bundle->text, &bundle->at, data, size);
}

static ssize_t read_file(struct bundle *bundle, char *data, size_t size)
{
    uint64_t left = bundle->file.size - bundle->file_at;
    if (size > left)
        size = (size_t)left;
    if (bundle->file.data)
        memcpy(data, bundle->file.data + bundle->file_at, size);
    ssize_t got = bundle->file.data ? (ssize_t)size
                                    : pread(bundle->file.fd, data, size, (off_t)bundle->file_at);
    if (got > 0)
        bundle->file_at += (uint64_t)got;
    return got > 0 ? got : HTTPD_SOURCE_ERROR;
}

static ssize_t read_bundle(void *payload, char *data, size_t size)
{
    struct bundle *bundle = payload;
    for (;;) {
        if (bundle->text.failed)
            return HTTPD_SOURCE_ERROR;
        if (bundle->at < bundle->text.size)
            return read_text(bundle, data, size);
        bundle->text.size = bundle->at = 0;
        if (bundle->in_file && bundle->file_at < bundle->file.size)
            return read_file(bundle, data, size);
        if (bundle->in_file) {
            fetched_deinit(&bundle->file);
            bundle->in_file = false;
            buf_puts(&bundle->text, "\r\n");
        } else if (bundle->ended) {
            return HTTPD_SOURCE_END;
        } else {
            open_part(bundle);
        }
    }
}

void toolbox_files_bulk_download(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *body = NULL;
    struct sbx_error err;
    if (serve_body(request, &body, &err) < 0) {
        serve_fail(request, &err);
        return;
    }
    size_t count = jsonv_count(jsonv_get(body, "paths"));
    struct bundle *bundle = count && count <= FILES_MAX ? calloc(1, sizeof(*bundle)) : NULL;
    if (!bundle) {
        httpd_fail(request, 400, "paths must name 1 to 10000 files");
        return;
    }
    bundle->request = request;
    bundle->box = place_ref(toolbox_box(request));
    bundle->body = steal_ptr(body);
    bundle->text = (struct buf)BUF_INIT(REPLY_MAX);
    struct httpd_source source = {read_bundle, bundle_free, bundle, 0};
    httpd_reply_stream(request, 200, "multipart/form-data; boundary=" BOUNDARY, &source);
}

// --- Uploads

struct upload {
    struct place *box;
    struct spool spool;
    bool spooling, in_path;
    struct buf path;       // that comes in
    char path_of[128];     // "files[0]"
    struct pairlist paths; // by that name; all of them may come before the first file
    char target[TRANSFER_PATH_MAX];
    const char *asked;    // of the query, or NULL
    struct pairlist done; // path, size
    struct sbx_call call;
    struct sbx_error err;
};

static void upload_free(void *state)
{
    struct upload *upload = state;
    if (upload->spooling)
        spool_deinit(&upload->spool);
    buf_deinit(&upload->path);
    pairlist_deinit(&upload->paths);
    pairlist_deinit(&upload->done);
    place_unref(upload->box);
    free(upload);
}

static int store(struct upload *upload)
{
    char size[24];
    if (!upload->spooling)
        return 0;
    int code =
        spool_store(&upload->spool, upload->box, upload->target, NULL, &upload->call, &upload->err);
    snprintf(size, sizeof(size), "%llu", (unsigned long long)upload->spool.size);
    spool_deinit(&upload->spool);
    upload->spooling = false;
    return code < 0 ? code : pairlist_add(&upload->done, upload->target, size, &upload->err);
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

static void name_of(const char *part, char ret_name[128])
{
    snprintf(ret_name, 128, "%.*s", (int)strcspn(part, "."), part);
}

static int keep_path(struct upload *upload)
{
    if (!upload->in_path)
        return 0;
    upload->in_path = false;
    const char *path = buf_text(&upload->path);
    return pairlist_add(&upload->paths, upload->path_of, path ? path : "", &upload->err);
}

static int open_file(struct upload *upload, const char *part)
{
    char name[128];
    name_of(part, name);
    const char *path = upload->asked ? upload->asked : pairlist_get(&upload->paths, name);
    if ((strcmp(part, "file") != 0 && !ends_with(part, ".file")) || !path || !path[0])
        return err_set(&upload->err, SBX_ERR_INVALID, "a file came without its path");
    if (!transfer_path(upload->box, NULL, path, upload->target))
        return err_set(&upload->err, SBX_ERR_INVALID, "the path is too long");
    spool_init(&upload->spool, upload->box->serve);
    upload->spooling = true;
    return 0;
}

static int open_part_in(struct upload *upload, const char *part)
{
    int code = store(upload);
    if (code == 0)
        code = keep_path(upload);
    if (code < 0)
        return code;
    if (!ends_with(part, ".path"))
        return open_file(upload, part);
    upload->in_path = true;
    upload->path.size = 0;
    name_of(part, upload->path_of);
    return 0;
}

static int take_part(void *payload, const struct httpd_part *part)
{
    struct upload *upload = payload;
    if (upload->err.code)
        return -1;
    if (part->first) {
        int code = open_part_in(upload, part->name ? part->name : "");
        if (code < 0)
            return code;
    }
    if (upload->spooling)
        return spool_add(&upload->spool, part->data, part->size, &upload->err);
    buf_add(&upload->path, part->data, part->size);
    return upload->path.failed ? err_set(&upload->err, SBX_ERR_INVALID, "a path is too long") : 0;
}

void toolbox_files_upload_begin(struct httpd_request *request)
{
    struct upload *upload = calloc(1, sizeof(*upload));
    if (!upload) {
        httpd_fail(request, 503, "memory is short");
        return;
    }
    upload->box = place_ref(toolbox_box(request));
    upload->asked = httpd_query(request, "path");
    upload->path = (struct buf)BUF_INIT(TRANSFER_PATH_MAX);
    upload->call = serve_call(request, TRANSFER_MS);
    httpd_set_state(request, upload, upload_free);
    if (!httpd_set_part_sink(request, take_part, upload))
        httpd_fail(request, 400, "the body must be multipart/form-data");
}

static void put_uploaded(struct json *json, const struct sbx_pair *file)
{
    json_begin_object(json);
    json_put_text(json, "path", file->name);
    json_put_int(json, "bytes", strtoll(file->value, NULL, 10));
    json_end_object(json);
}

void toolbox_files_upload(struct httpd_request *request)
{
    struct upload *upload = httpd_state(request);
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (!upload->err.code)
        store(upload);
    if (upload->err.code) {
        serve_fail(request, &upload->err);
        return;
    }
    if (httpd_sink_failed(request) || upload->done.count == 0) {
        httpd_fail(request, 400, "the body is cut short, malformed, or has no file");
        return;
    }
    if (ends_with(httpd_path(request), "/bulk-upload")) {
        json_begin_object(&json);
        json_key(&json, "files");
        json_begin_array(&json);
        for (size_t i = 0; i < upload->done.count; i++)
            put_uploaded(&json, &upload->done.items[i]);
        json_end_array(&json);
        json_end_object(&json);
    } else {
        put_uploaded(&json, &upload->done.items[0]);
    }
    httpd_reply_json(request, 200, &buf);
}
