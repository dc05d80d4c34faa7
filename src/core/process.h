// SPDX-License-Identifier: Apache-2.0
// Commands from inside. Layer: core.
#pragma once

#include <sandboxes/process.h>

#include "base/cleanup.h"
#include "core/client.h"
#include "core/feed.h"

struct sbx_process {
    const struct provider *provider;
    void *handle;      // owned; of provider->ops
    struct feed *feed; // delivery of its whole input, or NULL
    uint32_t flags; // enum sbx_exec_flags; all input flags for an attached one, the provider knows
    bool fed;       // its whole input was given at the start: no more may be written
    bool ended;     // EXIT has been read
};

static inline void cleanup_process_fn(struct sbx_process **process)
{
    sbx_process_free(*process);
}
#define cleanup_process cleanup(cleanup_process_fn)

// What the handle is for. Only with OPEN is exec->input copied, else it must outlive the handle.
enum process_use {
    PROCESS_OPEN,   // the caller's own
    PROCESS_STREAM, // to be read to its end
    PROCESS_WHOLE   // the same, and nobody looks at the output before
};

// As sbx_process_start with checked arguments.
int process_start(struct sbx_sandbox *sandbox, const struct sbx_exec *exec, enum process_use use,
                  const struct sbx_call *call, struct sbx_process **ret_process,
                  struct sbx_error *err);
