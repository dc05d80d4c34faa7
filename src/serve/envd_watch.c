// SPDX-License-Identifier: Apache-2.0
// envd's watchers of directories. Layer: serve.
#include <string.h>

#include "base/clock.h"
#include "serve/envd.h"
#include "serve/transfer.h"
#include "serve/watch.h"

#define REPLY_MAX (8 * 1024 * 1024)
#define LOOK_MS 500 // to hear of the client's or the server's end

static const char *const kinds[] = {
    [SBX_CHANGE_CREATE] = "EVENT_TYPE_CREATE", [SBX_CHANGE_WRITE] = "EVENT_TYPE_WRITE",
    [SBX_CHANGE_REMOVE] = "EVENT_TYPE_REMOVE", [SBX_CHANGE_RENAME] = "EVENT_TYPE_RENAME",
    [SBX_CHANGE_MODE] = "EVENT_TYPE_CHMOD",
};

static void put_event(struct json *json, const struct sbx_change *event)
{
    json_begin_object(json);
    json_put_text(json, "name", event->name);
    json_put_text(json, "type", kinds[event->kind]);
    json_end_object(json);
}

static void put_event_item(void *payload, const struct sbx_change *event)
{
    put_event(payload, event);
}

static int make(struct httpd_request *request, const struct jsonv *message,
                struct watcher **ret_watcher, struct sbx_error *err)
{
    char path[TRANSFER_PATH_MAX], name[64];
    struct place *box = envd_box(request);
    const char *user = envd_user(request, name), *asked = jsonv_text(message, "path");
    if (!transfer_path(box, user, asked ? asked : "", path))
        return err_set(err, SBX_ERR_INVALID, "the path is too long");
    int code =
        watcher_new(box, path, user, jsonv_bool(message, "recursive", false), ret_watcher, err);
    return code < 0 ? place_failed(box, err) : 0;
}

void envd_fs_create_watcher(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *message = NULL;
    struct watcher *watcher = NULL;
    struct sbx_error err;
    char id[32];
    if (!connect_unary(request, &message))
        return;
    int code = make(request, message, &watcher, &err);
    if (code == 0 && (code = watcher_keep(watcher, id, &err)) < 0)
        watcher_free(watcher);
    if (code < 0) {
        connect_fail_err(request, &err);
        return;
    }
    cleanup_buf struct buf buf = BUF_INIT(256);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_put_text(&json, "watcherId", id);
    json_end_object(&json);
    connect_reply(request, &buf);
}

static const char *watcher_id(const struct jsonv *message)
{
    const char *id = jsonv_text(message, "watcherId");
    return id ? id : jsonv_text(message, "watcher_id") ? jsonv_text(message, "watcher_id") : "";
}

void envd_fs_watcher_events(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *message = NULL;
    struct sbx_error err;
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (!connect_unary(request, &message))
        return;
    json_begin_object(&json);
    json_key(&json, "events");
    json_begin_array(&json);
    int code =
        watcher_look_kept(envd_box(request), watcher_id(message), put_event_item, &json, &err);
    json_end_array(&json);
    json_end_object(&json);
    if (code < 0)
        connect_fail_err(request, &err);
    else
        connect_reply(request, &buf);
}

void envd_fs_remove_watcher(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *message = NULL;
    struct sbx_error err;
    if (!connect_unary(request, &message))
        return;
    if (watcher_drop(envd_box(request), watcher_id(message), &err) < 0)
        connect_fail_err(request, &err);
    else
        connect_reply_empty(request);
}

// --- WatchDir

struct stream {
    struct httpd_request *request;
    struct watcher *watcher;
    struct buf out;
    size_t at;
    int64_t keepalive_ms, quiet_since;
    bool ended;
};

static void stream_free(void *payload)
{
    struct stream *stream = payload;
    if (stream->watcher)
        watcher_free(stream->watcher);
    buf_deinit(&stream->out);
    free(stream);
}

static void put_empty(struct stream *stream, const char *name)
{
    struct json json = JSON_INIT(&stream->out, false);
    size_t start = connect_open(&stream->out);
    json_begin_object(&json);
    json_key(&json, name);
    json_begin_object(&json);
    json_end_object(&json);
    json_end_object(&json);
    connect_close(&stream->out, start, 0);
}

static void put_event_message(void *payload, const struct sbx_change *event)
{
    struct stream *stream = payload;
    struct json json = JSON_INIT(&stream->out, false);
    size_t start = connect_open(&stream->out);
    json_begin_object(&json);
    json_key(&json, "filesystem");
    put_event(&json, event);
    json_end_object(&json);
    connect_close(&stream->out, start, 0);
    stream->quiet_since = clock_boot_ms();
}

static void look(struct stream *stream)
{
    struct sbx_error err;
    if (watcher_look(stream->watcher, LOOK_MS, put_event_message, stream, &err) < 0) {
        stream->ended = true;
        connect_end(&stream->out, connect_code(&err), err.message);
    } else if (httpd_stopping(httpd_server(stream->request))) {
        stream->ended = true;
        connect_end(&stream->out, "unavailable", "the server is stopping");
    } else if (clock_boot_ms() - stream->quiet_since >= stream->keepalive_ms) {
        put_empty(stream, "keepalive");
        stream->quiet_since = clock_boot_ms();
    }
}

static ssize_t read_stream(void *payload, char *data, size_t size)
{
    struct stream *stream = payload;
    while (stream->at == stream->out.size) {
        stream->out.size = stream->at = 0;
        if (stream->ended)
            return HTTPD_SOURCE_END;
        look(stream);
        if (stream->out.failed || (stream->out.size == 0 && httpd_gone(stream->request)))
            return HTTPD_SOURCE_ERROR;
    }
    return (ssize_t)buf_take(&stream->out, &stream->at, data, size);
}

void envd_fs_watch(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *message = NULL;
    struct sbx_error err;
    if (!connect_first(request, &message))
        return;
    struct stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        connect_fail(request, "resource_exhausted", "memory is short");
        return;
    }
    stream->request = request;
    stream->out = (struct buf)BUF_INIT(REPLY_MAX);
    stream->keepalive_ms = connect_keepalive_ms(request);
    stream->quiet_since = clock_boot_ms();
    if (make(request, message, &stream->watcher, &err) == 0) {
        put_empty(stream, "start");
    } else {
        stream->ended = true;
        connect_end(&stream->out, connect_code(&err), err.message);
    }
    struct httpd_source source = {read_stream, stream_free, stream, 0};
    httpd_reply_stream(request, 200, "application/connect+json", &source);
}
