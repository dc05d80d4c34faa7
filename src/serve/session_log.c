// SPDX-License-Identifier: Apache-2.0
// Logs of sessions as answers. Layer: serve.
#include "serve/session_log.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"

#define STEP (64 * 1024)
#define SMALL (64 * 1024)         // answered at once
#define OUT_MAX (4 * 1024 * 1024) // a byte becomes six at most, thrice
#define PREFIX 3                  // bytes in front of a piece
#define CHARACTER_MAX 4

enum part { PART_RAW, PART_BOTH, PART_STDOUT, PART_STDERR };

struct telling {
    struct session *session; // with a reference, which keeps the command
    const struct session_command *command;
    const char *const *keys; // of the parts; NULL: text as it is
    const enum part *parts;
    size_t part, part_count;
    size_t at, end;  // in the log
    int stream;      // of the piece that is being read
    struct buf held; // the beginning of a character that has not come whole
    struct buf out;
    size_t sent;
    char tail[32];
    bool started, ended;
};

static void telling_free(void *payload)
{
    struct telling *telling = payload;
    session_unref(telling->session);
    buf_deinit(&telling->held);
    buf_deinit(&telling->out);
    free(telling);
}

static bool is_prefix(const char *data)
{
    return (data[0] == 1 || data[0] == 2) && data[1] == data[0] && data[2] == data[0];
}

static bool wanted(const struct telling *telling, enum part part)
{
    return part == PART_BOTH ? telling->stream != 0
                             : telling->stream == (part == PART_STDOUT ? SBX_STDOUT : SBX_STDERR);
}

// Adds what the part wants of the data, and says how much of it is done with: a prefix may be cut
// by its end.
static size_t pick(struct telling *telling, const char *data, size_t size, bool last)
{
    enum part part = telling->parts[telling->part];
    size_t at = 0, start = 0, most = last || size < PREFIX ? size : size - PREFIX + 1;
    if (part == PART_RAW) {
        buf_add(&telling->held, data, size);
        return size;
    }
    while (at < most) {
        if (size - at < PREFIX || !is_prefix(data + at)) {
            at++;
            continue;
        }
        if (wanted(telling, part))
            buf_add(&telling->held, data + start, at - start);
        telling->stream = (unsigned char)data[at];
        start = at += PREFIX;
    }
    if (wanted(telling, part))
        buf_add(&telling->held, data + start, at - start);
    return at;
}

// How much of the text ends with a whole character, as far as its last bytes tell.
static size_t whole(const char *text, size_t size)
{
    for (size_t back = 1; back < CHARACTER_MAX && back <= size; back++) {
        unsigned char byte = (unsigned char)text[size - back];
        if ((byte & 0xc0) == 0x80)
            continue;
        size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
        return length > back ? size - back : size;
    }
    return size;
}

// The inside of a JSON text, without its quotes.
static void put_held(struct telling *telling, bool last)
{
    struct buf *held = &telling->held, *out = &telling->out;
    if (held->size == 0)
        return;
    if (!telling->keys) {
        buf_add(out, held->data, held->size);
        held->size = 0;
        return;
    }
    size_t size = last ? held->size : whole(held->data, held->size);
    if (size == 0)
        return;
    struct json json = JSON_INIT(out, false);
    size_t start = out->size;
    json_bytes(&json, held->data, size);
    if (out->failed)
        return;
    memmove(out->data + start, out->data + start + 1, out->size - start - 2);
    out->size -= 2;
    buf_consume(held, size);
}

static void begin_part(struct telling *telling)
{
    telling->at = 0;
    telling->stream = 0;
    telling->started = true;
    if (telling->keys)
        buf_printf(&telling->out, "\"%s\":\"", telling->keys[telling->part]);
}

static void end_part(struct telling *telling)
{
    put_held(telling, true);
    telling->started = false;
    telling->part++;
    telling->ended = telling->part == telling->part_count;
    if (telling->keys)
        buf_puts(&telling->out, telling->ended ? telling->tail : "\",");
}

static void tell_more(struct telling *telling)
{
    struct session *session = telling->session;
    cleanup_free char *data = malloc(STEP);
    size_t left, got;
    if (!telling->started)
        begin_part(telling);
    left = telling->end - telling->at;
    pthread_mutex_lock(&session->lock);
    got =
        data ? tape_read(&telling->command->log, telling->at, data, left < STEP ? left : STEP) : 0;
    pthread_mutex_unlock(&session->lock);
    if (got == 0 && left > 0) { // cut, so that nobody takes it for whole
        telling->out.failed = true;
        return;
    }
    telling->at += got ? pick(telling, data, got, got == left) : 0;
    put_held(telling, false);
    if (telling->at == telling->end)
        end_part(telling);
}

static ssize_t read_telling(void *payload, char *data, size_t size)
{
    struct telling *telling = payload;
    while (telling->sent == telling->out.size) {
        if (telling->ended)
            return HTTPD_SOURCE_END;
        telling->out.size = telling->sent = 0;
        tell_more(telling);
        if (telling->out.failed || telling->held.failed)
            return HTTPD_SOURCE_ERROR;
    }
    return (ssize_t)buf_take(&telling->out, &telling->sent, data, size);
}

static const struct {
    const char *keys[3];
    enum part parts[3];
    size_t count;
    bool json, outcome;
} forms[] = {
    [LOG_PLAIN] = {{NULL}, {PART_BOTH}, 1, false, false},
    [LOG_SPLIT] =
        {{"output", "stdout", "stderr"}, {PART_RAW, PART_STDOUT, PART_STDERR}, 3, true, false},
    [LOG_OUTCOME] = {{"output"}, {PART_BOTH}, 1, true, true},
    [LOG_OUTCOME_SPLIT] =
        {{"output", "stdout", "stderr"}, {PART_RAW, PART_STDOUT, PART_STDERR}, 3, true, true},
};

static void begin(struct telling *telling, enum log_form form)
{
    telling->keys = forms[form].json ? forms[form].keys : NULL;
    telling->parts = forms[form].parts;
    telling->part_count = forms[form].count;
    telling->end = telling->command->log.size;
    telling->held = (struct buf)BUF_INIT(STEP + CHARACTER_MAX);
    telling->out = (struct buf)BUF_INIT(OUT_MAX);
    snprintf(telling->tail, sizeof(telling->tail), "\"}");
    if (forms[form].json)
        buf_puts(&telling->out, "{");
    if (forms[form].outcome) {
        buf_printf(&telling->out, "\"cmdId\":\"%s\",", telling->command->id);
        snprintf(telling->tail, sizeof(telling->tail), "\",\"exitCode\":%d}",
                 telling->command->exit_code);
    }
}

void session_reply_log(struct httpd_request *request, struct session *session,
                       const struct session_command *command, enum log_form form)
{
    const char *type = forms[form].json ? "application/json" : "text/plain; charset=utf-8";
    struct telling *telling = calloc(1, sizeof(*telling));
    if (telling) {
        session->refs++;
        telling->session = session;
        telling->command = command;
        begin(telling, form);
    }
    pthread_mutex_unlock(&session->lock);
    if (!telling) {
        httpd_fail(request, 503, "memory is short");
        return;
    }
    if (telling->end > SMALL) {
        struct httpd_source source = {read_telling, telling_free, telling, 0};
        httpd_reply_stream(request, 200, type, &source);
        return;
    }
    while (!telling->ended && !telling->out.failed)
        tell_more(telling);
    if (telling->out.size == 0)
        httpd_reply_text(request, 200, "");
    else
        httpd_reply_buf(request, 200, type, &telling->out);
    telling_free(telling);
}
