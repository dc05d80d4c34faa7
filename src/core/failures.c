// SPDX-License-Identifier: Apache-2.0
// Why each of several providers failed. Layer: core.
#include "core/failures.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"

// From the most telling to the least: what the caller can mend, what passes by itself, what nobody
// can help.
static const int telling[] = {
    SBX_ERR_CANCELLED, SBX_ERR_NOMEM, SBX_ERR_AUTH,        SBX_ERR_QUOTA,
    SBX_ERR_DENIED,    SBX_ERR_SETUP, SBX_ERR_INVALID,     SBX_ERR_CONFLICT,
    SBX_ERR_NOT_FOUND, SBX_ERR_EXEC,  SBX_ERR_TIMEOUT,     SBX_ERR_UNAVAILABLE,
    SBX_ERR_PROTOCOL,  SBX_ERR_IO,    SBX_ERR_UNSUPPORTED,
};

size_t failures_rank(int code)
{
    size_t i = 0;
    while (i < ARRAY_SIZE(telling) && telling[i] != code)
        i++;
    return i;
}

int failures_new(size_t room, struct sbx_failures *ret_failures, struct sbx_error *err)
{
    struct sbx_failure *items = calloc(room + 1, sizeof(*items));
    if (!items)
        return err_nomem(err);
    *ret_failures = (struct sbx_failures){.items = items, .owner = items};
    return 0;
}

struct sbx_failure *failures_add(struct sbx_failures *failures)
{
    struct sbx_failure *items = failures->owner;
    return &items[failures->count++];
}

void sbx_failures_free(struct sbx_failures *failures)
{
    if (!failures)
        return;
    free(failures->owner);
    *failures = (struct sbx_failures){0};
}

static const struct sbx_failure *most_telling(const struct sbx_failures *failures)
{
    const struct sbx_failure *best = &failures->items[0];
    for (size_t i = 1; i < failures->count; i++)
        if (failures_rank(failures->items[i].error.code) < failures_rank(best->error.code))
            best = &failures->items[i];
    return best;
}

// Where text that was cut after `size` bytes ends without half a character.
static size_t whole(const char *text, size_t size)
{
    while (size > 0 && ((unsigned char)text[size - 1] & 0xc0) == 0x80)
        size--;
    return size > 0 && ((unsigned char)text[size - 1] & 0x80) ? size - 1 : size;
}

// Each gets an equal share of the message; what a short one leaves goes to those after it.
static void tell_all(const struct sbx_failures *failures, char *text, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < failures->count && used + 1 < size; i++) {
        const struct sbx_failure *failure = &failures->items[i];
        size_t share = (size - used) / (failures->count - i);
        int length = snprintf(text + used, share, "%s%s: %s", i ? "; " : "", failure->provider,
                              failure->error.message);
        bool all = length > 0 && (size_t)length < share;
        used = all ? used + (size_t)length : whole(text, used + share - 1);
        text[used] = '\0';
    }
}

int failures_sum_up(const struct sbx_failures *failures, struct sbx_error *err)
{
    const struct sbx_failure *best = most_telling(failures);
    char text[sizeof(err->message) - 32] = "";
    *err = best->error;
    if (failures->count == 1)
        return err->code;
    tell_all(failures, text, sizeof(text));
    snprintf(err->message, sizeof(err->message), "all %zu providers failed: %s", failures->count,
             text);
    return err->code;
}
