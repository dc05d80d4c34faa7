// SPDX-License-Identifier: Apache-2.0
// Names inside a sandbox that images can't know. Layer: jail.
#pragma once

#include "jail/jail.h"

// Whether this sandbox has names that its image does not have already.
bool names_are_needed(const struct jail *jail);

/*
 * Written into the upper layer of the root,: a hostname of the user's (hosts, hostname), and this
 * machine's name servers when its network is shared. The caller creates files as the sandbox's
 * root.
 */
int names_write(const struct jail *jail, struct sbx_error *err);
