// SPDX-License-Identifier: Apache-2.0
// Which ports of a sandbox somebody listens on. Layer: serve.
#pragma once

#include "serve/place.h"

#define PORTS_END 65536

// Marks them in a table of PORTS_END.
int ports_read(struct place *box, const struct sbx_call *call, bool *ret_ports,
               struct sbx_error *err);
