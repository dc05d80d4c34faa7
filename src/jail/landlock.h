// SPDX-License-Identifier: Apache-2.0
/*
 * A second fence, where the kernel has Landlock: no device nodes, and no signals or abstract
 * sockets to what is outside the sandbox. Namespaces and seccomp hold all of this already, except
 * abstract sockets under network policy `host`; this holds when one of them has a hole.
 * landlock(7). Layer: jail.
 */
#pragma once

#include "base/error.h"

// Binds the calling thread and all it will start. no_new_privs must be set, and "/" be the
// sandbox's root. 0 also where the kernel has no Landlock or has it switched off.
int landlock_confine(struct sbx_error *err);
