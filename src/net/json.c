// SPDX-License-Identifier: Apache-2.0
// JSON reading over jansson. Layer: net.
#include "net/json.h"

#include <jansson.h>
#include <string.h>

// Ours is jansson's value under another name, so that nobody else needs its header.
static json_t *theirs(const struct jsonv *value)
{
    return (json_t *)(uintptr_t)value;
}

static const struct jsonv *ours(const json_t *value)
{
    return json_is_null(value) ? NULL : (const struct jsonv *)value;
}

int jsonv_parse(const void *text, size_t size, struct jsonv **ret_root, struct sbx_error *err)
{
    json_error_t bad;
    json_t *root = json_loadb(text ? text : "", size,
                              JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &bad);
    if (!root && json_error_code(&bad) == json_error_out_of_memory)
        return err_nomem(err);
    if (!root)
        return err_set(err, SBX_ERR_PROTOCOL, "not valid JSON: %s at byte %d", bad.text,
                       bad.position);
    *ret_root = (struct jsonv *)root;
    return 0;
}

void jsonv_free(struct jsonv *root)
{
    json_decref(theirs(root));
}

bool jsonv_is_object(const struct jsonv *value)
{
    return json_is_object(theirs(value));
}

bool jsonv_is_array(const struct jsonv *value)
{
    return json_is_array(theirs(value));
}

bool jsonv_is_text(const struct jsonv *value)
{
    return json_is_string(theirs(value));
}

bool jsonv_is_number(const struct jsonv *value)
{
    return json_is_number(theirs(value));
}

const struct jsonv *jsonv_get(const struct jsonv *object, const char *key)
{
    return ours(json_object_get(theirs(object), key));
}

const char *jsonv_as_text(const struct jsonv *value)
{
    const char *text = json_string_value(theirs(value));
    return text && strlen(text) == json_string_length(theirs(value)) ? text : NULL;
}

int64_t jsonv_as_int(const struct jsonv *value, int64_t fallback)
{
    return json_is_integer(theirs(value)) ? json_integer_value(theirs(value)) : fallback;
}

double jsonv_as_real(const struct jsonv *value, double fallback)
{
    return json_is_number(theirs(value)) ? json_number_value(theirs(value)) : fallback;
}

bool jsonv_as_bool(const struct jsonv *value, bool fallback)
{
    return json_is_boolean(theirs(value)) ? json_is_true(theirs(value)) : fallback;
}

const char *jsonv_text(const struct jsonv *object, const char *key)
{
    return jsonv_as_text(jsonv_get(object, key));
}

int64_t jsonv_int(const struct jsonv *object, const char *key, int64_t fallback)
{
    return jsonv_as_int(jsonv_get(object, key), fallback);
}

double jsonv_real(const struct jsonv *object, const char *key, double fallback)
{
    return jsonv_as_real(jsonv_get(object, key), fallback);
}

bool jsonv_bool(const struct jsonv *object, const char *key, bool fallback)
{
    return jsonv_as_bool(jsonv_get(object, key), fallback);
}

size_t jsonv_count(const struct jsonv *value)
{
    return json_is_array(theirs(value)) ? json_array_size(theirs(value))
                                        : json_object_size(theirs(value));
}

const struct jsonv *jsonv_at(const struct jsonv *array, size_t index)
{
    return ours(json_array_get(theirs(array), index));
}

bool jsonv_next(const struct jsonv *object, struct jsonv_member *member)
{
    json_t *inner = theirs(object);
    member->iter =
        member->iter ? json_object_iter_next(inner, member->iter) : json_object_iter(inner);
    if (!member->iter)
        return false;
    member->key = json_object_iter_key(member->iter);
    member->value = ours(json_object_iter_value(member->iter));
    return true;
}
