// SPDX-License-Identifier: Apache-2.0
// Daytona's sessions (shells that keep their state) and terminals of a sandbox. Layer: serve.
#pragma once

#include "serve/place.h"

void sessions_end(struct place *box);

// Daytona's stop: everything that runs ends, files stay.
int session_stop_box(struct place *box, struct sbx_error *err);
