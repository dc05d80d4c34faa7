// SPDX-License-Identifier: Apache-2.0
// Lists of providers' names: checked, copied, each once. Layer: core.
#pragma once

#include <sandboxes/client.h>

#include "base/error.h"

struct names {
    size_t count;
    const char **items; // one block with its strings
};

// NOT_FOUND when the client has no provider of a name. The strings stay the caller's.
int names_check(struct sbx_client *client, const char *const *names, size_t count,
                struct sbx_error *err);

// Names that are repeated are left out.
int names_copy(const char *const *names, size_t count, struct names *ret_names,
               struct sbx_error *err);
void names_deinit(struct names *names);
