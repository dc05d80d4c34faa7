// SPDX-License-Identifier: Apache-2.0
// Names with values: environment and labels. Layer: cli.
#include "cli/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "cli/source.h"

#define FILE_MAX (1024 * 1024)

void pairs_deinit(struct pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++)
        free((char *)pairs->items[i].name);
    free(pairs->items);
    *pairs = (struct pairs){0};
}

static int grow(struct pairs *pairs, struct sbx_error *err)
{
    if (pairs->count < pairs->capacity)
        return 0;
    size_t capacity = pairs->capacity ? pairs->capacity * 2 : 8;
    struct sbx_pair *items = reallocarray(pairs->items, capacity, sizeof(*items));
    if (!items)
        return err_nomem(err);
    pairs->items = items;
    pairs->capacity = capacity;
    return 0;
}

// Takes ownership of name.
static int put(struct pairs *pairs, char *name, const char *value, struct sbx_error *err)
{
    for (size_t i = 0; i < pairs->count; i++)
        if (strcmp(pairs->items[i].name, name) == 0) {
            free((char *)pairs->items[i].name);
            pairs->items[i] = (struct sbx_pair){name, value};
            return 0;
        }
    int code = grow(pairs, err);
    if (code < 0) {
        free(name);
        return code;
    }
    pairs->items[pairs->count++] = (struct sbx_pair){name, value};
    return 0;
}

int pairs_add(struct pairs *pairs, const char *text, size_t size, struct sbx_error *err)
{
    cleanup_free char *name = strndup(text, size);
    if (!name)
        return err_nomem(err);
    char *equals = strchr(name, '=');
    const char *value = equals ? equals + 1 : getenv(name);
    if (!value)
        return 0;
    if (equals)
        *equals = '\0';
    return put(pairs, steal_ptr(name), value, err);
}

int pairs_add_default(struct pairs *pairs, const char *name, struct sbx_error *err)
{
    for (size_t i = 0; i < pairs->count; i++)
        if (strcmp(pairs->items[i].name, name) == 0)
            return 0;
    return pairs_add(pairs, name, strlen(name), err);
}

int pairs_add_list(struct pairs *pairs, const struct opt_list *list, struct sbx_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        int code = pairs_add(pairs, list->items[i], strlen(list->items[i]), err);
        if (code < 0)
            return code;
    }
    return 0;
}

static int add_line(struct pairs *pairs, const char *line, size_t size, struct sbx_error *err)
{
    if (size > 0 && line[size - 1] == '\r')
        size--;
    if (size == 0 || line[0] == '#')
        return 0;
    if (line[0] == '=' || memchr(line, '\0', size)) {
        err_set(err, SBX_ERR_INVALID, "a line is not of the form NAME=VALUE");
        return err_hint(err, "write one NAME=VALUE a line, comments after '#'");
    }
    return pairs_add(pairs, line, size, err);
}

int pairs_add_file(struct pairs *pairs, const char *path, struct sbx_error *err)
{
    cleanup_free char *data = NULL;
    size_t size;
    int code = source_read_file(path, FILE_MAX, &data, &size, err);
    if (code < 0)
        return code;
    unsigned number = 1;
    for (const char *line = data, *end = data + size; line < end; number++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((stop ? stop : end) - line);
        code = add_line(pairs, line, length, err);
        if (code < 0) {
            err_wrap(err, "%s:%u", path, number);
            return code;
        }
        line += length + 1;
    }
    return 0;
}
