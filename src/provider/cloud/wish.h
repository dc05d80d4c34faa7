// SPDX-License-Identifier: Apache-2.0
// What all services' words for a specification have in common. Layer: provider.
#pragma once

#include <stdbool.h>

#include <sandboxes/provider.h>

#include "base/json.h"

struct cloud_lacking {
    bool asked;
    const char *what;
};

// UNSUPPORTED for the first that was asked for, and for single ports in the list of what may be
// reached, which no service has.
int cloud_refuse(const char *provider, const struct sbx_spec *spec,
                 const struct cloud_lacking *rows, size_t count, struct sbx_error *err);
bool cloud_asks_fixed_port(const struct sbx_spec *spec);
void cloud_put_pairs(struct json *json, const struct sbx_pair *pairs, size_t count);
