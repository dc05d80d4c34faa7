// SPDX-License-Identifier: Apache-2.0
// HTTP statuses as errors. Layer: net.
#include "net/status.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/utf8.h"
#include "net/json.h"

#define DAY_MS (86400LL * 1000)

struct row {
    int status, code;
};

static const struct row rows[] = {
    {400, SBX_ERR_INVALID},   {401, SBX_ERR_AUTH},        {402, SBX_ERR_QUOTA},
    {403, SBX_ERR_DENIED},    {404, SBX_ERR_NOT_FOUND},   {405, SBX_ERR_UNSUPPORTED},
    {408, SBX_ERR_TIMEOUT},   {409, SBX_ERR_CONFLICT},    {410, SBX_ERR_NOT_FOUND},
    {411, SBX_ERR_PROTOCOL},  {412, SBX_ERR_CONFLICT},    {413, SBX_ERR_QUOTA},
    {422, SBX_ERR_INVALID},   {425, SBX_ERR_CONFLICT},    {429, SBX_ERR_QUOTA},
    {499, SBX_ERR_CANCELLED}, {501, SBX_ERR_UNSUPPORTED}, {504, SBX_ERR_TIMEOUT},
    {507, SBX_ERR_QUOTA},
};

int status_code(int status)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].status == status)
            return rows[i].code;
    if (status >= 200 && status < 300)
        return 0;
    if (status >= 400 && status < 500)
        return SBX_ERR_INVALID;
    return status >= 500 ? SBX_ERR_UNAVAILABLE : SBX_ERR_PROTOCOL;
}

int64_t status_retry_after_ms(const struct buf *headers)
{
    char value[64];
    if (!http_header_get(headers, "retry-after", value, sizeof(value)))
        return 0;
    int64_t ms;
    if (value[0] && strspn(value, "0123456789.") == strlen(value)) {
        double seconds = strtod(value, NULL);
        ms = seconds > 86400 ? DAY_MS : (int64_t)(seconds * 1000);
    } else {
        time_t at = curl_getdate(value, NULL);
        if (at < 0)
            return 0;
        ms = (int64_t)at * 1000 - clock_unix_ms();
    }
    return ms < 0 ? 0 : ms > DAY_MS ? DAY_MS : ms;
}

// The usual places for words to people: {"message"}, {"error"}, {"detail"}, {"error": {"message"}}.
static const char *said_in_json(const struct jsonv *root)
{
    static const char *const keys[] = {"message", "error", "detail", "msg"};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const char *text = jsonv_text(root, keys[i]);
        if (!text)
            text = jsonv_text(jsonv_get(root, keys[i]), "message");
        if (text && text[0])
            return text;
    }
    return NULL;
}

// Other people's text on one line, cut.
static void tidy(const char *text, size_t size, char *ret_text, size_t room)
{
    size_t used = 0;
    for (size_t i = 0; i < size && used + 1 < room; i++) {
        unsigned char byte = (unsigned char)text[i];
        ret_text[used++] = byte < ' ' || byte == 0x7f ? ' ' : (char)byte;
    }
    ret_text[used] = '\0';
}

static void words_of(const struct http_reply *reply, char *ret_text, size_t room)
{
    cleanup_jsonv struct jsonv *root = NULL;
    struct sbx_error ignored;
    const struct buf *body = &reply->body;
    ret_text[0] = '\0';
    if (jsonv_parse(body->data, body->size, &root, &ignored) == 0) {
        const char *text = said_in_json(root);
        if (text)
            tidy(text, strlen(text), ret_text, room);
        return;
    }
    if (body->size && body->data[0] != '<') // a page for browsers says nothing
        tidy(body->data, body->size, ret_text, room < 200 ? room : 200);
}

static void request_id(const struct buf *headers, char *ret_text, size_t room)
{
    static const char *const names[] = {"x-request-id", "request-id", "x-amzn-requestid", "cf-ray",
                                        "x-amz-cf-id"};
    char value[100];
    ret_text[0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (http_header_get(headers, names[i], value, sizeof(value))) {
            tidy(value, strlen(value), value, sizeof(value));
            snprintf(ret_text, room, " (request %s)", value);
            return;
        }
}

int status_error(const char *what, const struct http_reply *reply, struct sbx_error *err)
{
    char words[320], id[128];
    int code = status_code(reply->status);
    words_of(reply, words, sizeof(words));
    request_id(&reply->headers, id, sizeof(id));
    if (words[0])
        err_set(err, code, "%s: %s%s", what, words, id);
    else
        err_set(err, code, "%s: the service answered with status %d%s", what, reply->status, id);
    err->http_status = reply->status;
    err->retry_after_ms = (uint32_t)status_retry_after_ms(&reply->headers);
    return code;
}
