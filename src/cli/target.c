// SPDX-License-Identifier: Apache-2.0
// The living sandboxes that a command is about. Layer: cli.
#include "cli/target.h"

#include "cli/pairs.h"
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

int target_list(struct cli *cli, const char *provider, const struct opt_list *labels,
                struct sbx_list *ret_list, struct sbx_error *err)
{
    cleanup_pairs struct pairs pairs = {0};
    struct sbx_client *client = NULL;
    int code = pairs_add_list(&pairs, labels, err);
    if (code == 0)
        code = cli_client(cli, provider, &client, err);
    if (code == 0)
        code = sbx_sandbox_list(client, provider, pairs.items, pairs.count, NULL, ret_list, err);
    return code;
}
