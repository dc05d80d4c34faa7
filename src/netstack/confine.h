// SPDX-License-Identifier: Apache-2.0
/*
 * What the process gives up before it looks at the first frame: libslirp is old code that parses a
 * hostile guest's packets, so whoever takes it over should find nothing but sockets to the outside.
 * Layer: netstack.
 */
#pragma once

#include "base/error.h"

#define CONFINE_NO_UID (-1)

// Before anything is allocated: closes what was inherited beyond the leash, bounds resources,
// leaves root for `uid` (CONFINE_NO_UID: nobody where that is possible), and drops all
// capabilities.
int confine_identity(int uid, struct sbx_error *err);

// After the last file was opened, except for /etc/resolv.conf, which stays readable: Landlock where
// the kernel has it, and a list of system calls.
int confine_reach(struct sbx_error *err);
