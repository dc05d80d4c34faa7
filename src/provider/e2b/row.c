// SPDX-License-Identifier: Apache-2.0
// The provider `e2b` as the library knows it before its module is loaded. Layer: provider.
#include "provider/e2b/row.h"

#include "base/error.h"
#include "engine/module.h"
#include "net/keys.h"

extern const struct sbx_provider_ops provider_e2b;
const struct sbx_provider_ops provider_e2b = {.size = sizeof(provider_e2b),
                                              .name = E2B_NAME,
                                              .description = E2B_DESCRIPTION,
                                              .capabilities = E2B_CAPABILITIES};

int provider_e2b_load(const struct sbx_settings *settings, const struct sbx_provider_ops **ret_ops,
                      struct sbx_error *err);
int provider_e2b_load(const struct sbx_settings *settings, const struct sbx_provider_ops **ret_ops,
                      struct sbx_error *err)
{
    if (keys_get(settings, "E2B_API_KEY", "api_key") ||
        sbx_settings_get(settings, "api_key_file") ||
        keys_true(keys_get(settings, "E2B_DEBUG", "debug")))
        return module_provider(E2B_NAME, ret_ops, err);
    err_set(err, SBX_ERR_AUTH, "E2B_API_KEY is not set");
    return err_hint(err,
                    "set E2B_API_KEY to a key from https://e2b.dev/dashboard, or to one of your "
                    "own server's");
}
