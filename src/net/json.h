// SPDX-License-Identifier: Apache-2.0
/*
 * Reads JSON of others, strictly: UTF-8, no second value, integers exact to 64 bits, duplicate keys
 * refused, nesting bounded. Values are borrowed from the root that was parsed. What is missing or
 * of another type reads as NULL, 0 or the given fallback, so that a reader asks for what it needs
 * and checks that. For writing there is base/json.h. Layer: net.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct jsonv; // a value; the root owns all below it

// PROTOCOL names the place. An empty text is no value.
int jsonv_parse(const void *text, size_t size, struct jsonv **ret_root, struct sbx_error *err);
void jsonv_free(struct jsonv *root);
static inline void jsonv_cleanup(struct jsonv **root)
{
    jsonv_free(*root);
}
#define cleanup_jsonv cleanup(jsonv_cleanup)

bool jsonv_is_object(const struct jsonv *value);
bool jsonv_is_array(const struct jsonv *value);
bool jsonv_is_text(const struct jsonv *value);
bool jsonv_is_number(const struct jsonv *value);

// A member of an object; NULL if value is none, or the member is missing or null.
const struct jsonv *jsonv_get(const struct jsonv *object, const char *key);

// The member's value. Text without NUL bytes only (else NULL); a number with a fraction is no
// integer.
const char *jsonv_text(const struct jsonv *object, const char *key);
int64_t jsonv_int(const struct jsonv *object, const char *key, int64_t fallback);
double jsonv_real(const struct jsonv *object, const char *key, double fallback); // any number
bool jsonv_bool(const struct jsonv *object, const char *key, bool fallback);

// The value itself.
const char *jsonv_as_text(const struct jsonv *value);
int64_t jsonv_as_int(const struct jsonv *value, int64_t fallback);
double jsonv_as_real(const struct jsonv *value, double fallback);
bool jsonv_as_bool(const struct jsonv *value, bool fallback);

// Length of an array or number of members of an object, else 0; the i-th item or NULL.
size_t jsonv_count(const struct jsonv *value);
const struct jsonv *jsonv_at(const struct jsonv *array, size_t index);

// The members in their order: start with iter NULL; false at the end.
struct jsonv_member {
    const char *key;
    const struct jsonv *value; // may be JSON null, which reads as missing
    void *iter;
};
bool jsonv_next(const struct jsonv *object, struct jsonv_member *member);
