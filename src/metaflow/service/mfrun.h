// SPDX-License-Identifier: Apache-2.0
// `run`: a program with a service for as long as it takes. Layer: metaflow.
#pragma once

#include "metaflow/service/mfdaemon.h"

// Exit status: the program's, 128+signal, 126 or 127 when it can't be started, 125 for failures of
// ours (then err is filled).
int mfrun(const struct mfdaemon_options *options, char *const *command, struct sbx_error *err);
