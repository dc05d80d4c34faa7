// SPDX-License-Identifier: Apache-2.0
// User namespaces: which ids a sandbox gets, and mapping them. user_namespaces(7). Layer: jail.
#pragma once

#include "jail/jail.h"

// Chooses the ids for this sandbox: a range picked by chance, or the only one we own.
int ids_choose(struct jail *jail, struct sbx_error *err);

// Opens the new user namespace that a process is in. A descriptor or a code.
int ids_open_namespace(pid_t pid, struct sbx_error *err);

// Maps the ids of a process that is in a new user namespace. Needs real root.
int ids_map(const struct jail *jail, pid_t pid, struct sbx_error *err);

// Maps the ids of the caller's own new user namespace.
int ids_map_self(const struct jail *jail, struct sbx_error *err);

// Maps our own and the subordinate ids of another process, through newuidmap(1) and newgidmap(1).
int ids_map_subordinate(const struct jail *jail, pid_t pid, struct sbx_error *err);

// No user namespaces below the caller's, which must be the sandbox's by then: seccomp refuses them
// too, this holds even without it. And for an ordinary user a part of what the account may watch.
// limits_fd is from ids_open_limits(), before.
int ids_open_limits(const struct jail *jail);
void ids_limit(const struct jail *jail, int limits_fd);

// lean_clone() with these flags into a new user namespace of the sandbox's.
pid_t ids_clone(const struct jail *jail, int flags, char *stack, int (*body)(void *),
                void *payload);

// Forks a process that only holds such a namespace until it is killed. -1 and errno on failure.
pid_t ids_fork_holder(const struct jail *jail);
void ids_kill_holder(pid_t pid);

// A user namespace in which host owner `uid`:`gid` stands for the sandbox's user, for idmapped
// mounts of the user's own directories. Returns its descriptor or a negative code. Needs real root.
int ids_owner_namespace(const struct jail *jail, uint32_t uid, uint32_t gid, struct sbx_error *err);
