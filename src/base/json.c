// SPDX-License-Identifier: Apache-2.0
// Writes JSON (RFC 8259) into a buffer. Layer: base.
#include "base/json.h"

#include <inttypes.h>
#include <string.h>

#include "base/base64.h"
#include "base/utf8.h"

static void new_line(struct json *json)
{
    if (!json->pretty)
        return;
    buf_add(json->buf, "\n", 1);
    for (unsigned i = 0; i < json->depth; i++)
        buf_add(json->buf, "  ", 2);
}

// Comma and indentation before a value or key.
static void separate(struct json *json)
{
    if (json->after_key) {
        json->after_key = false;
        return;
    }
    if (json->used[json->depth])
        buf_add(json->buf, ",", 1);
    json->used[json->depth] = true;
    if (json->depth > 0)
        new_line(json);
}

static void begin(struct json *json, const char *bracket)
{
    separate(json);
    buf_add(json->buf, bracket, 1);
    if (json->depth == JSON_DEPTH_MAX) {
        json->buf->failed = true;
        return;
    }
    json->used[++json->depth] = false;
}

static void end(struct json *json, const char *bracket)
{
    if (json->depth == 0) {
        json->buf->failed = true;
        return;
    }
    bool used = json->used[json->depth--];
    if (used)
        new_line(json);
    buf_add(json->buf, bracket, 1);
}

void json_begin_object(struct json *json)
{
    begin(json, "{");
}

void json_end_object(struct json *json)
{
    end(json, "}");
}

void json_begin_array(struct json *json)
{
    begin(json, "[");
}

void json_end_array(struct json *json)
{
    end(json, "]");
}

// Length of the start of text that needs no escape and is plain ASCII.
static size_t plain_run(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        unsigned char byte = (unsigned char)text[at];
        if (byte < 0x20 || byte == '"' || byte == '\\' || byte >= 0x7f)
            break;
        at++;
    }
    return at;
}

static void add_escape(struct buf *buf, unsigned char byte)
{
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (const char *at = letters; *at; at += 2)
        if ((unsigned char)*at == byte) {
            char escape[2] = {'\\', at[1]};
            buf_add(buf, escape, 2);
            return;
        }
    buf_printf(buf, "\\u%04x", byte);
}

// One character that plain_run() stopped at; returns its length in bytes.
static size_t add_special(struct buf *buf, const char *text, size_t size)
{
    uint32_t character;
    size_t length = utf8_decode(text, size, &character);
    if (length == 1)
        add_escape(buf, (unsigned char)*text);
    else if (length > 1)
        buf_add(buf, text, length);
    else
        buf_puts(buf, "\xef\xbf\xbd");
    return length == 0 ? 1 : length;
}

static void add_quoted(struct buf *buf, const char *text, size_t size)
{
    buf_add(buf, "\"", 1);
    for (size_t at = 0; at < size && !buf->failed;) {
        size_t plain = plain_run(text + at, size - at);
        buf_add(buf, text + at, plain);
        at += plain;
        if (at < size)
            at += add_special(buf, text + at, size - at);
    }
    buf_add(buf, "\"", 1);
}

void json_key(struct json *json, const char *key)
{
    separate(json);
    add_quoted(json->buf, key, strlen(key));
    buf_add(json->buf, ": ", json->pretty ? 2 : 1);
    json->after_key = true;
}

void json_bytes(struct json *json, const char *text, size_t size)
{
    separate(json);
    add_quoted(json->buf, text, size);
}

void json_text(struct json *json, const char *text)
{
    if (text)
        json_bytes(json, text, strlen(text));
    else
        json_null(json);
}

void json_base64(struct json *json, const void *data, size_t size)
{
    separate(json);
    buf_add(json->buf, "\"", 1);
    base64_encode(json->buf, data, size);
    buf_add(json->buf, "\"", 1);
}

void json_int(struct json *json, int64_t value)
{
    separate(json);
    buf_printf(json->buf, "%" PRId64, value);
}

void json_uint(struct json *json, uint64_t value)
{
    separate(json);
    buf_printf(json->buf, "%" PRIu64, value);
}

void json_bool(struct json *json, bool value)
{
    separate(json);
    buf_puts(json->buf, value ? "true" : "false");
}

void json_null(struct json *json)
{
    separate(json);
    buf_puts(json->buf, "null");
}

void json_put_text(struct json *json, const char *key, const char *text)
{
    json_key(json, key);
    json_text(json, text);
}

void json_put_int(struct json *json, const char *key, int64_t value)
{
    json_key(json, key);
    json_int(json, value);
}

void json_put_uint(struct json *json, const char *key, uint64_t value)
{
    json_key(json, key);
    json_uint(json, value);
}

void json_put_bool(struct json *json, const char *key, bool value)
{
    json_key(json, key);
    json_bool(json, value);
}
