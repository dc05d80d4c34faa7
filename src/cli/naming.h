// SPDX-License-Identifier: Apache-2.0
// What the library calls "spec.allow[0]" is "--allow" to whoever uses the command. Layer: cli.
#pragma once

#include "base/buf.h"

// Adds a message of the library's.
void naming_add(struct buf *out, const char *message);
