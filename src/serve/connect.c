// SPDX-License-Identifier: Apache-2.0
// The Connect protocol. Layer: serve.
#include "serve/connect.h"

#include <string.h>
#include <strings.h>

#include "base/json.h"

#define KEEPALIVE_DEFAULT_MS 90000
#define KEEPALIVE_LEAST_MS 1000

const char *connect_code(const struct sbx_error *err)
{
    static const struct {
        int code;
        const char *name;
    } rows[] = {
        {SBX_ERR_INVALID, "invalid_argument"},  {SBX_ERR_NOT_FOUND, "not_found"},
        {SBX_ERR_CONFLICT, "already_exists"},   {SBX_ERR_AUTH, "unauthenticated"},
        {SBX_ERR_DENIED, "permission_denied"},  {SBX_ERR_QUOTA, "resource_exhausted"},
        {SBX_ERR_TIMEOUT, "deadline_exceeded"}, {SBX_ERR_CANCELLED, "unavailable"},
        {SBX_ERR_UNAVAILABLE, "unavailable"},   {SBX_ERR_UNSUPPORTED, "unimplemented"},
        {SBX_ERR_EXEC, "invalid_argument"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].code == err->code)
            return rows[i].name;
    return "internal";
}

unsigned connect_status(const char *code)
{
    static const struct {
        const char *name;
        unsigned status;
    } rows[] = {
        {"canceled", 499},           {"invalid_argument", 400},    {"deadline_exceeded", 504},
        {"not_found", 404},          {"already_exists", 409},      {"permission_denied", 403},
        {"resource_exhausted", 429}, {"failed_precondition", 400}, {"unimplemented", 501},
        {"unavailable", 503},        {"unauthenticated", 401},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].name, code) == 0)
            return rows[i].status;
    return 500;
}

static void put_error(struct json *json, const char *code, const char *message)
{
    json_begin_object(json);
    json_put_text(json, "code", code);
    json_put_text(json, "message", message);
    json_end_object(json);
}

void connect_fail(struct httpd_request *request, const char *code, const char *message)
{
    cleanup_buf struct buf buf = BUF_INIT(64 * 1024);
    struct json json = JSON_INIT(&buf, false);
    put_error(&json, code, message);
    httpd_reply_json(request, connect_status(code), &buf);
}

void connect_fail_err(struct httpd_request *request, const struct sbx_error *err)
{
    connect_fail(request, connect_code(err), err->message);
}

static bool has_type(struct httpd_request *request, const char *wanted)
{
    const char *type = httpd_header(request, "Content-Type");
    size_t size = strlen(wanted);
    if (type && strncasecmp(type, wanted, size) == 0 && (!type[size] || strchr("; ", type[size])))
        return true;
    httpd_add_header(request, "Accept-Post", "application/json, application/connect+json");
    httpd_reply(request, 415, NULL, NULL, 0);
    return false;
}

static bool parse(struct httpd_request *request, const char *data, size_t size,
                  struct jsonv **ret_message)
{
    struct sbx_error err;
    cleanup_jsonv struct jsonv *message = NULL;
    if (jsonv_parse(size ? data : "{}", size ? size : 2, &message, &err) == 0 &&
        jsonv_is_object(message)) {
        *ret_message = steal_ptr(message);
        return true;
    }
    connect_fail(request, "invalid_argument", "the message is no JSON object");
    return false;
}

bool connect_unary(struct httpd_request *request, struct jsonv **ret_message)
{
    size_t size;
    if (!has_type(request, "application/json"))
        return false;
    const char *body = httpd_body(request, &size);
    return parse(request, body, size, ret_message);
}

int connect_parse_head(const uint8_t *data, size_t size, unsigned *ret_flags, uint32_t *ret_size)
{
    if (size < CONNECT_HEAD)
        return 0;
    uint32_t length =
        (uint32_t)data[1] << 24 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 8 | data[4];
    // Nobody was offered compression.
    if ((data[0] & ~CONNECT_END) || length > CONNECT_MESSAGE_MAX)
        return -1;
    *ret_flags = data[0];
    *ret_size = length;
    return 1;
}

bool connect_first(struct httpd_request *request, struct jsonv **ret_message)
{
    size_t size;
    unsigned flags;
    uint32_t length;
    if (!has_type(request, "application/connect+json"))
        return false;
    const char *body = httpd_body(request, &size);
    if (connect_parse_head((const uint8_t *)body, size, &flags, &length) <= 0 ||
        (flags & CONNECT_END) || size - CONNECT_HEAD < length) {
        connect_fail(request, "invalid_argument", "the request has no whole envelope");
        return false;
    }
    return parse(request, body + CONNECT_HEAD, length, ret_message);
}

void connect_reply(struct httpd_request *request, struct buf *message)
{
    httpd_reply_json(request, 200, message);
}

void connect_reply_empty(struct httpd_request *request)
{
    httpd_reply(request, 200, "application/json", "{}", 2);
}

size_t connect_open(struct buf *out)
{
    size_t start = out->size;
    buf_add(out, "\0\0\0\0\0", CONNECT_HEAD);
    return start;
}

void connect_close(struct buf *out, size_t start, unsigned flags)
{
    if (out->failed)
        return;
    size_t size = out->size - start - CONNECT_HEAD;
    char *head = out->data + start;
    head[0] = (char)flags;
    for (int i = 0; i < 4; i++)
        head[1 + i] = (char)(size >> (24 - 8 * i));
}

void connect_end(struct buf *out, const char *code, const char *message)
{
    size_t start = connect_open(out);
    struct json json = JSON_INIT(out, false);
    json_begin_object(&json);
    if (code) {
        json_key(&json, "error");
        put_error(&json, code, message);
    }
    json_end_object(&json);
    connect_close(out, start, CONNECT_END);
}

static int64_t number(const struct httpd_request *request, const char *name)
{
    const char *text = httpd_header(request, name);
    char *end;
    if (!text || !*text)
        return 0;
    long long value = strtoll(text, &end, 10);
    return *end || value < 0 || value > INT32_MAX ? 0 : value;
}

int64_t connect_timeout_ms(const struct httpd_request *request)
{
    return number(request, "Connect-Timeout-Ms");
}

int64_t connect_keepalive_ms(const struct httpd_request *request)
{
    int64_t seconds = number(request, "Keepalive-Ping-Interval");
    int64_t ms = seconds ? seconds * 1000 : KEEPALIVE_DEFAULT_MS;
    return ms < KEEPALIVE_LEAST_MS ? KEEPALIVE_LEAST_MS : ms;
}
