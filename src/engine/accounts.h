// SPDX-License-Identifier: Apache-2.0
// passwd and group of a sandbox, made from those of a root file system. Layer: engine.
#pragma once

#include <stdbool.h>

#include "base/buf.h"

#define ACCOUNTS_USER "user"
#define ACCOUNTS_UID 1000
#define ACCOUNTS_HOME "/home/user"

/*
 * For a view of this machine: its system accounts (numbers below 1000, and nobody) by name and
 * number alone, and `user`; no people, no passwords, no members of groups. shell is that of root
 * and `user`.
 */
void accounts_curate(const char *passwd, const char *group, const char *shell,
                     struct buf *out_passwd, struct buf *out_group);

// For an image: all that is there, and `user` where it is missing. False when nothing was missing.
bool accounts_complete(const char *passwd, const char *group, const char *shell,
                       struct buf *out_passwd, struct buf *out_group);

// A shadow file in which no account has a password, for tools that insist on one.
void accounts_shadow(const char *passwd, struct buf *out);
