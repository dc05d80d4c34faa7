// SPDX-License-Identifier: Apache-2.0
// Names with values. Layer: serve.
#include "serve/pairlist.h"

#include <string.h>

void pairlist_deinit(struct pairlist *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free((char *)(uintptr_t)list->items[i].name);
        free((char *)(uintptr_t)list->items[i].value);
    }
    free(list->items);
    *list = (struct pairlist){0};
}

int pairlist_add(struct pairlist *list, const char *name, const char *value, struct sbx_error *err)
{
    if (list->count == PAIRLIST_MAX)
        return err_set(err, SBX_ERR_INVALID, "more than %d names with values", PAIRLIST_MAX);
    struct sbx_pair *items = realloc(list->items, (list->count + 1) * sizeof(*items));
    if (!items)
        return err_nomem(err);
    list->items = items;
    cleanup_free char *own_name = strdup(name), *own_value = strdup(value);
    if (!own_name || !own_value)
        return err_nomem(err);
    items[list->count++] = (struct sbx_pair){steal_ptr(own_name), steal_ptr(own_value)};
    return 0;
}

int pairlist_read(struct pairlist *list, const struct jsonv *object, const char *field,
                  struct sbx_error *err)
{
    if (!object)
        return 0;
    if (!jsonv_is_object(object))
        return err_set(err, SBX_ERR_INVALID, "%s must be an object of strings", field);
    struct jsonv_member member = {0};
    while (jsonv_next(object, &member)) {
        const char *value = jsonv_as_text(member.value);
        if (!value)
            return err_set(err, SBX_ERR_INVALID, "%s.%s must be a string", field, member.key);
        int code = pairlist_add(list, member.key, value, err);
        if (code < 0)
            return code;
    }
    return 0;
}

void pairlist_write(const struct pairlist *list, struct json *json)
{
    json_begin_object(json);
    for (size_t i = 0; i < list->count; i++)
        json_put_text(json, list->items[i].name, list->items[i].value);
    json_end_object(json);
}

void pairlist_remove(struct pairlist *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].name, name) == 0) {
            struct sbx_pair pair = list->items[i];
            list->count--;
            memmove(&list->items[i], &list->items[i + 1], (list->count - i) * sizeof(*list->items));
            free((char *)(uintptr_t)pair.name);
            free((char *)(uintptr_t)pair.value);
            return;
        }
}

const char *pairlist_get(const struct pairlist *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return list->items[i].value;
    return NULL;
}

bool pairlist_has_all(const struct pairlist *list, const struct pairlist *wanted)
{
    for (size_t i = 0; i < wanted->count; i++) {
        const char *value = pairlist_get(list, wanted->items[i].name);
        if (!value || strcmp(value, wanted->items[i].value) != 0)
            return false;
    }
    return true;
}
