// SPDX-License-Identifier: Apache-2.0
// The provider `daytona` as the library knows it before its module is loaded. Layer: provider.
#include "provider/daytona/row.h"

#include "base/error.h"
#include "engine/module.h"
#include "net/keys.h"

extern const struct sbx_provider_ops provider_daytona;
const struct sbx_provider_ops provider_daytona = {.size = sizeof(provider_daytona),
                                                  .name = DAYTONA_NAME,
                                                  .description = DAYTONA_DESCRIPTION,
                                                  .capabilities = DAYTONA_CAPABILITIES};

int provider_daytona_load(const struct sbx_settings *settings,
                          const struct sbx_provider_ops **ret_ops, struct sbx_error *err);
int provider_daytona_load(const struct sbx_settings *settings,
                          const struct sbx_provider_ops **ret_ops, struct sbx_error *err)
{
    if (keys_get(settings, "DAYTONA_API_KEY", "api_key") ||
        keys_get(settings, "DAYTONA_JWT_TOKEN", NULL) || sbx_settings_get(settings, "api_key_file"))
        return module_provider(DAYTONA_NAME, ret_ops, err);
    err_set(err, SBX_ERR_AUTH, "DAYTONA_API_KEY is not set");
    return err_hint(err, "set DAYTONA_API_KEY to a key of your account, or to one of your own "
                         "server's, and DAYTONA_API_URL to its address");
}
