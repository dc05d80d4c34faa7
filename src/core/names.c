// SPDX-License-Identifier: Apache-2.0
// Lists of providers' names. Layer: core.
#include "core/names.h"

#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/client.h"

int names_check(struct sbx_client *client, const char *const *names, size_t count,
                struct sbx_error *err)
{
    if (count > CLIENT_PROVIDERS_MAX)
        return err_set(err, SBX_ERR_INVALID, "at most %d providers can be tried",
                       CLIENT_PROVIDERS_MAX);
    if (count && !names)
        return err_set(err, SBX_ERR_INVALID, "providers is NULL but its count is %zu", count);
    for (size_t i = 0; i < count; i++) {
        struct provider *provider;
        int code = check_not_null(names[i], "providers[]", err);
        if (code == 0)
            code = client_find(client, names[i], &provider, err);
        if (code < 0)
            return code;
    }
    return 0;
}

static bool among(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

int names_copy(const char *const *names, size_t count, struct names *ret_names,
               struct sbx_error *err)
{
    size_t size = (count + 1) * sizeof(*names);
    for (size_t i = 0; i < count; i++)
        size += strlen(names[i]) + 1;
    const char **items = malloc(size);
    if (!items)
        return err_nomem(err);
    char *text = (char *)(items + count + 1);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (among(items, used, names[i]))
            continue;
        items[used++] = text;
        text = stpcpy(text, names[i]) + 1;
    }
    *ret_names = (struct names){used, items};
    return 0;
}

void names_deinit(struct names *names)
{
    free(names->items);
    *names = (struct names){0};
}
