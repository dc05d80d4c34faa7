// SPDX-License-Identifier: Apache-2.0
// Names with values, owned. Layer: serve.
#pragma once

#include <stdbool.h>

#include <sandboxes/types.h>

#include "base/json.h"
#include "net/json.h"

#define PAIRLIST_MAX 1024

struct pairlist {
    struct sbx_pair *items; // owned with its texts
    size_t count;
};

void pairlist_deinit(struct pairlist *list);
#define cleanup_pairlist cleanup(pairlist_deinit)
int pairlist_add(struct pairlist *list, const char *name, const char *value, struct sbx_error *err);

// The members of an object of texts; NULL adds none. INVALID names what is no text.
int pairlist_read(struct pairlist *list, const struct jsonv *object, const char *field,
                  struct sbx_error *err);
void pairlist_write(const struct pairlist *list, struct json *json);
void pairlist_remove(struct pairlist *list, const char *name);
const char *pairlist_get(const struct pairlist *list, const char *name);
bool pairlist_has_all(const struct pairlist *list, const struct pairlist *wanted);
