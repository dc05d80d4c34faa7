// SPDX-License-Identifier: Apache-2.0
// The living sandbox that a command is about. Layer: cli.
#include "cli/target.h"

#include "cli/signals.h"

int target_get(struct cli *cli, const char *provider, const char *id,
               struct sbx_sandbox **ret_sandbox, struct sbx_error *err)
{
    struct sbx_client *client;
    int code = cli_client(cli, provider, &client, err);
    if (code < 0)
        return code;
    struct sbx_call call = SBX_CALL_INIT;
    call.cancel = signals_token();
    return sbx_sandbox_get(client, provider, id, &call, ret_sandbox, err);
}
