// SPDX-License-Identifier: Apache-2.0
// What all services' words for a specification have in common. Layer: provider.
#include "provider/cloud/wish.h"

#include <string.h>

#include "base/error.h"

// A colon alone is a port's; an IPv6 address has several.
static bool names_port(const char *allowed)
{
    const char *colon = strchr(allowed, ':');
    return colon && colon == strrchr(allowed, ':');
}

int cloud_refuse(const char *provider, const struct sbx_spec *spec,
                 const struct cloud_lacking *rows, size_t count, struct sbx_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].asked)
            return err_set(err, SBX_ERR_UNSUPPORTED, "provider '%s' does not have %s", provider,
                           rows[i].what);
    for (size_t i = 0; i < spec->allow_count; i++)
        if (names_port(spec->allow[i]))
            return err_set(err, SBX_ERR_UNSUPPORTED,
                           "provider '%s' cannot allow a single port: spec.allow[%zu] is '%s'",
                           provider, i, spec->allow[i]);
    return 0;
}

bool cloud_asks_fixed_port(const struct sbx_spec *spec)
{
    for (size_t i = 0; i < spec->port_count; i++)
        if (spec->ports[i].host_port != 0)
            return true;
    return false;
}

void cloud_put_pairs(struct json *json, const struct sbx_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        json_put_text(json, pairs[i].name, pairs[i].value);
}
