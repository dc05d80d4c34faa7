// SPDX-License-Identifier: Apache-2.0
/*
 * Records have no names of their own at the service. What makes one: of metadata its field, value
 * and attempt, of an artifact its name and attempt. Layer: metaflow.
 */
#include "metaflow/relay/known.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"

#define KEY_MAX (512 << 10)
#define ATTEMPT "attempt_id:"

static const char *text_or_empty(const struct jsonv *record, const char *name)
{
    const char *text = jsonv_text(record, name);
    return text ? text : "";
}

// Metadata tell their attempt by a tag.
static const char *attempt_tag(const struct jsonv *record)
{
    const struct jsonv *tags = jsonv_get(record, "tags");
    for (size_t i = 0; i < jsonv_count(tags); i++) {
        const char *tag = jsonv_as_text(jsonv_at(tags, i));
        if (tag && strncmp(tag, ATTEMPT, strlen(ATTEMPT)) == 0)
            return tag;
    }
    return "";
}

static char *make_key(const struct jsonv *record)
{
    cleanup_buf struct buf key = BUF_INIT(KEY_MAX);
    if (jsonv_text(record, "field_name"))
        buf_printf(&key, "m\x1f%s\x1f%s\x1f%s", jsonv_text(record, "field_name"),
                   attempt_tag(record), text_or_empty(record, "value"));
    else
        buf_printf(&key, "a\x1f%s\x1f%" PRId64, text_or_empty(record, "name"),
                   jsonv_int(record, "attempt_id", 0));
    return buf_text(&key) ? strdup(key.data) : NULL;
}

int known_add(struct known *known, const struct jsonv *list, struct sbx_error *err)
{
    size_t more = jsonv_is_array(list) ? jsonv_count(list) : 0;
    char **keys = more ? realloc(known->keys, (known->count + more) * sizeof(*keys)) : NULL;
    if (more && !keys)
        return err_nomem(err);
    known->keys = more ? keys : known->keys;
    for (size_t i = 0; i < more; i++) {
        char *key = make_key(jsonv_at(list, i));
        if (key)
            known->keys[known->count++] = key;
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void known_sort(struct known *known)
{
    if (known->count)
        qsort(known->keys, known->count, sizeof(*known->keys), compare);
}

bool known_has(const struct known *known, const struct jsonv *record)
{
    cleanup_free char *key = known->count ? make_key(record) : NULL;
    return key && bsearch(&key, known->keys, known->count, sizeof(*known->keys), compare);
}

void known_deinit(struct known *known)
{
    for (size_t i = 0; i < known->count; i++)
        free(known->keys[i]);
    free(known->keys);
}
