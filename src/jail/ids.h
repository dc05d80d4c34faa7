// SPDX-License-Identifier: Apache-2.0
// User namespaces: which ids a sandbox gets, and mapping them. user_namespaces(7). Layer: jail.
#pragma once

#include "jail/jail.h"

// Chooses the ids for this sandbox: a range derived from its name, or the only one we own.
void ids_choose(struct jail *jail);

// Writes uid_map and gid_map of a process in a new user namespace (privileged), or of the caller itself.
int ids_map_process(const struct jail *jail, pid_t pid, struct sbx_error *err);
int ids_map_self(const struct jail *jail, struct sbx_error *err);

// A user namespace in which host owner `uid`:`gid` stands for the sandbox's user, for idmapped mounts of the
// user's own directories. Returns its descriptor or a negative code. Needs real root.
int ids_owner_namespace(const struct jail *jail, uint32_t uid, uint32_t gid, struct sbx_error *err);
