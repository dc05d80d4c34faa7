// SPDX-License-Identifier: Apache-2.0
// Snapshots and forks of sandboxes. Layer: core.
#include <stdlib.h>

#include "base/cleanup.h"
#include "core/check.h"
#include "core/sandbox.h"

int sbx_sandbox_snapshot(struct sbx_sandbox *sandbox, const char *name, const struct sbx_call *call,
                         struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    int code = check_not_null(sandbox, "sandbox", err);
    if (code == 0)
        code = check_image(name, "name", err);
    if (code == 0)
        code = check_call(call, &full, err);
    if (code == 0)
        code =
            client_need(sandbox->provider, sandbox->provider->ops.snapshot, SBX_CAP_SNAPSHOT, err);
    if (code < 0)
        return code;
    guarded(code, sandbox->guard, OPERATION_SNAPSHOT, &full, err,
            sandbox->provider->ops.snapshot(sandbox->box, name, &full, err));
    return client_done(sandbox->provider, code, err);
}

int sbx_snapshot_remove(struct sbx_client *client, const char *provider, const char *name,
                        const struct sbx_call *call, struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    struct provider *found;
    int code = check_not_null(client, "client", err);
    if (code == 0)
        code = check_image(name, "name", err);
    if (code == 0)
        code = check_call(call, &full, err);
    if (code == 0)
        code = client_provider(client, provider, &found, err);
    if (code == 0)
        code = client_need(found, found->ops.snapshot_remove, SBX_CAP_SNAPSHOT, err);
    if (code < 0)
        return code;
    return client_done(found, found->ops.snapshot_remove(found->handle, name, &full, err), err);
}

int sbx_sandbox_fork(struct sbx_sandbox *sandbox, const struct sbx_fork *fork,
                     const struct sbx_call *call, struct sbx_sandbox **ret_sandbox,
                     struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    struct sbx_fork full_fork;
    int code = check_not_null(sandbox, "sandbox", err);
    if (code == 0)
        code = check_not_null(ret_sandbox, "ret_sandbox", err);
    if (code == 0)
        code = check_fork(fork, &full_fork, err);
    if (code == 0)
        code = check_call(call, &full, err);
    if (code == 0)
        code = client_need(sandbox->provider, sandbox->provider->ops.fork, SBX_CAP_SNAPSHOT, err);
    if (code < 0)
        return code;
    cleanup_free struct sbx_sandbox *made = calloc(1, sizeof(*made));
    if (!made)
        return err_nomem(err);
    made->provider = sandbox->provider;
    made->guard = sandbox->guard;
    guarded(code, sandbox->guard, OPERATION_FORK, &full, err,
            sandbox->provider->ops.fork(sandbox->box, &full_fork, &full, &made->box, err));
    if (code < 0)
        return client_done(sandbox->provider, code, err);
    *ret_sandbox = steal_ptr(made);
    return 0;
}
