// SPDX-License-Identifier: Apache-2.0
// A specification of one's own. Layer: core.
#pragma once

#include <sandboxes/sandbox.h>

struct spec_copy {
    struct sbx_spec spec;
    void *block; // with everything that spec points to
};

// Of a full and checked specification. NOMEM.
int spec_copy_init(const struct sbx_spec *spec, struct spec_copy *ret_copy, struct sbx_error *err);
void spec_copy_deinit(struct spec_copy *copy);
