// SPDX-License-Identifier: Apache-2.0
// Writes JSON (RFC 8259) into a buffer. Structure is the caller's: begin and end must match, each
// member of an object is preceded by its key. Layer: base.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define JSON_DEPTH_MAX 16

struct json {
    struct buf *buf; // borrowed; its `failed` tells whether all is there
    bool pretty;     // indented by two spaces, else on one line
    bool after_key;
    unsigned depth;
    bool used[JSON_DEPTH_MAX + 1]; // a value has been written at this depth
};

#define JSON_INIT(buffer, is_pretty)                                                               \
    {                                                                                              \
        .buf = (buffer), .pretty = (is_pretty)                                                     \
    }

void json_begin_object(struct json *json);
void json_end_object(struct json *json);
void json_begin_array(struct json *json);
void json_end_array(struct json *json);
void json_key(struct json *json, const char *key);

// What is not UTF-8 becomes U+FFFD. NULL text is null.
void json_text(struct json *json, const char *text);
void json_bytes(struct json *json, const char *text, size_t size);
void json_base64(struct json *json, const void *data, size_t size);
void json_int(struct json *json, int64_t value);
void json_uint(struct json *json, uint64_t value);
void json_bool(struct json *json, bool value);
void json_null(struct json *json);

// Key and value in one.
void json_put_text(struct json *json, const char *key, const char *text);
void json_put_int(struct json *json, const char *key, int64_t value);
void json_put_uint(struct json *json, const char *key, uint64_t value);
void json_put_bool(struct json *json, const char *key, bool value);
