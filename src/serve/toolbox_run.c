// SPDX-License-Identifier: Apache-2.0
// What the sandbox's own programs do for a request of the toolbox. Layer: serve.
#include "serve/toolbox.h"

#define OUTPUT_MAX (16 * 1024 * 1024)

int toolbox_run(struct httpd_request *request, const struct sbx_exec *exec, int64_t timeout_ms,
                struct sbx_result *ret_result, struct sbx_error *err)
{
    struct place *box = toolbox_box(request);
    struct sbx_call call = serve_call(request, timeout_ms);
    cleanup_free struct sbx_pair *env = NULL;
    struct sbx_exec full;
    int code = place_exec(box, exec, &full, &env, err);
    if (code < 0)
        return code;
    full.output_limit = OUTPUT_MAX;
    full.timeout_ms = timeout_ms;
    code = sbx_run(box->sandbox, &full, &call, ret_result, err);
    return code < 0 ? place_lost(box, err) : 0;
}
