// SPDX-License-Identifier: Apache-2.0
// A call made of several. Layer: core.
#include "core/deadline_call.h"

int deadline_call(struct deadline deadline, struct sbx_call *ret_call, struct sbx_error *err)
{
    struct sbx_call call = SBX_CALL_INIT;
    call.cancel = deadline.cancel;
    if (deadline.at_ms != DEADLINE_NEVER) {
        call.timeout_ms = deadline.at_ms - clock_boot_ms();
        if (call.timeout_ms <= 0)
            return err_set(err, SBX_ERR_TIMEOUT, "timed out");
    }
    *ret_call = call;
    return 0;
}
