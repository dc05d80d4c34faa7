// SPDX-License-Identifier: Apache-2.0
// Names with values: environment and labels from options and files. Layer: cli.
#pragma once

#include <stddef.h>

#include <sandboxes/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/opt.h"

struct pairs {
    struct sbx_pair *items; // owned; each name is one allocation that holds the value too
    size_t count;
    size_t capacity;
};

void pairs_deinit(struct pairs *pairs);
#define cleanup_pairs cleanup(pairs_deinit)

// Adds "NAME=VALUE" or replaces the value of NAME. "NAME" alone takes the value from our
// environment and adds nothing when there is none.
int pairs_add(struct pairs *pairs, const char *text, size_t size, struct sbx_error *err);

// Takes NAME from our environment unless it is there already.
int pairs_add_default(struct pairs *pairs, const char *name, struct sbx_error *err);

int pairs_add_list(struct pairs *pairs, const struct opt_list *list, struct sbx_error *err);

// Lines of a file as for pairs_add; empty lines and those that begin with '#' are skipped.
int pairs_add_file(struct pairs *pairs, const char *path, struct sbx_error *err);
