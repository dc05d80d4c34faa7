// SPDX-License-Identifier: Apache-2.0
/*
 * Lists of sandboxes by the time they were made, page by page. A page's token is "TIME_MS.ID" of
 * the last one shown: the next begins behind it, even if that one is gone. Layer: serve.
 */
#pragma once

#include "serve/place.h"

#define PAGING_TOKEN_SIZE 128

void paging_sort(struct place **boxes, size_t count, bool oldest_first);
bool paging_is_behind(const struct place *box, const char *token, bool oldest_first);
void paging_token(const struct place *last, char token[PAGING_TOKEN_SIZE]);
