// SPDX-License-Identifier: Apache-2.0
// Changes in directories of sandboxes: checks and dispatch. Layer: core.
#include <stdlib.h>

#include <sandboxes/files.h>

#include "base/cleanup.h"
#include "core/check.h"
#include "core/sandbox.h"

struct sbx_watch {
    const struct provider *provider;
    void *handle; // owned; of provider->ops
};

int sbx_watch_start(struct sbx_sandbox *sandbox, const char *path,
                    const struct sbx_file_options *options, const struct sbx_call *call,
                    struct sbx_watch **ret_watch, struct sbx_error *err)
{
    need_error(err);
    struct sbx_file_options how;
    struct sbx_call full;
    int code = check_not_null(sandbox, "sandbox", err);
    if (code == 0)
        code = check_not_null(ret_watch, "ret_watch", err);
    if (code == 0)
        code = check_path(path, "path", err);
    if (code == 0)
        code = check_file_options(options, &how, err);
    if (code == 0)
        code = check_call(call, &full, err);
    if (code == 0)
        code =
            client_need(sandbox->provider, sandbox->provider->ops.watch_start, SBX_CAP_WATCH, err);
    if (code == 0)
        code = client_need(sandbox->provider,
                           !how.user || (sandbox->provider->ops.capabilities & SBX_CAP_USERS),
                           SBX_CAP_USERS, err);
    if (code < 0)
        return code;
    cleanup_free struct sbx_watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return err_nomem(err);
    watch->provider = sandbox->provider;
    guarded(code, sandbox->guard, OPERATION_WATCH, &full, err,
            watch->provider->ops.watch_start(sandbox->box, path, &how, &full, &watch->handle, err));
    if (code < 0)
        return client_done(sandbox->provider, code, err);
    *ret_watch = steal_ptr(watch);
    return 0;
}

int sbx_watch_next(struct sbx_watch *watch, const struct sbx_call *call,
                   struct sbx_change *ret_change, struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    int code = check_not_null(watch, "watch", err);
    if (code == 0)
        code = check_not_null(ret_change, "ret_change", err);
    if (code == 0)
        code = check_call(call, &full, err);
    if (code < 0)
        return code;
    code = watch->provider->ops.watch_next(watch->handle, &full, ret_change, err);
    return client_done(watch->provider, code, err);
}

void sbx_watch_free(struct sbx_watch *watch)
{
    if (!watch)
        return;
    watch->provider->ops.watch_free(watch->handle);
    free(watch);
}
