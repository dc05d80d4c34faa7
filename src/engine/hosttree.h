// SPDX-License-Identifier: Apache-2.0
// The trees that the view of this machine is made of, built once. Layer: engine.
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

/*
 * Fills the new directory: `root`, a skeleton of a root file system with the curated etc; `usr`,
 * what is laid above this machine's /usr; `manifest`, lines "layer TARGET PATH" and "env NAME
 * VALUE" with tabs between (PATH relative to the new directory, or absolute). host_fd is the
 * machine's root, host its path as a prefix ("" for this machine).
 */
int hosttree_build(int new_fd, int host_fd, const char *host, bool mirror, struct sbx_error *err);
