// SPDX-License-Identifier: Apache-2.0
// The part of this machine's /etc that sandboxes may see. Layer: engine.
#pragma once

#include "base/error.h"

/*
 * Copies what the allow-list names from etc below host_fd into etc below root_fd (existing, empty).
 * Only what everybody may read here, never a key or a line with a password; links that lead out of
 * it and of /usr are replaced by what they point to, or dropped.
 */
int hostetc_copy(int host_fd, int root_fd, struct sbx_error *err);
