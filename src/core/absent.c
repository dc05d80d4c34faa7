// SPDX-License-Identifier: Apache-2.0
// Providers that are known by name but not part of this version. Layer: core.
#include "core/absent.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "core/settings.h"

#define ABSENT(id, text)                                                                           \
    const struct sbx_provider_ops absent_##id = {                                                  \
        .size = sizeof(struct sbx_provider_ops), .name = #id, .description = text}

ABSENT(modal, "sandboxes of Modal");
ABSENT(cloudflare, "sandboxes of a Cloudflare Worker of one's own");
ABSENT(hopx, "sandboxes of Hopx");
ABSENT(vercel, "sandboxes of Vercel");
ABSENT(sprites, "sandboxes of Sprites");

// What would configure each: whoever has set it expects it to be used.
static const struct {
    const char *name, *variable;
} rows[] = {
    {"modal", "MODAL_TOKEN_ID"},  {"cloudflare", "CLOUDFLARE_SANDBOX_BASE_URL"},
    {"hopx", "HOPX_API_KEY"},     {"vercel", "VERCEL_TOKEN"},
    {"sprites", "SPRITES_TOKEN"},
};

static const char *variable_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].variable;
    return "";
}

int absent_load(const struct sbx_settings *settings, const struct sbx_provider_ops **ret_ops,
                struct sbx_error *err)
{
    const char *name = settings->table + strlen("provider.");
    const char *variable = variable_of(name), *value = getenv(variable);
    bool set = value && value[0];
    err_set(err, SBX_ERR_UNSUPPORTED, "provider '%s' is not part of this version%s%s%s", name,
            set ? ": " : "", set ? variable : "", set ? " has no effect" : "");
    return err_hint(err, "choose another with -p, options.provider or SANDBOXES_PROVIDER; "
                         "'sandboxes providers' shows which can be used");
}
