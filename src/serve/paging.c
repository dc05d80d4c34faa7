// SPDX-License-Identifier: Apache-2.0
// Lists of sandboxes, page by page. Layer: serve.
#include "serve/paging.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int newest_first(const void *a, const void *b)
{
    const struct place *x = *(struct place *const *)a, *y = *(struct place *const *)b;
    if (x->sheet.created_ms != y->sheet.created_ms)
        return x->sheet.created_ms < y->sheet.created_ms ? 1 : -1;
    return strcmp(y->sheet.id, x->sheet.id);
}

static int oldest_first_order(const void *a, const void *b)
{
    return -newest_first(a, b);
}

void paging_sort(struct place **boxes, size_t count, bool oldest_first)
{
    qsort(boxes, count, sizeof(struct place *), oldest_first ? oldest_first_order : newest_first);
}

bool paging_is_behind(const struct place *box, const char *token, bool oldest_first)
{
    char *end;
    int64_t time = strtoll(token, &end, 10);
    int order = box->sheet.created_ms < time   ? -1
                : box->sheet.created_ms > time ? 1
                : *end == '.'                  ? strcmp(box->sheet.id, end + 1)
                                               : 0;
    return oldest_first ? order > 0 : order < 0;
}

void paging_token(const struct place *last, char token[PAGING_TOKEN_SIZE])
{
    snprintf(token, PAGING_TOKEN_SIZE, "%" PRId64 ".%s", last->sheet.created_ms, last->sheet.id);
}
