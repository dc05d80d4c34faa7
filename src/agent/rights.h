// SPDX-License-Identifier: Apache-2.0
// Becoming a user of the sandbox, for good. Layer: agent.
#pragma once

#include "agent/config.h"
#include "agent/user.h"

enum rights_step { RIGHTS_OK, RIGHTS_LOCK, RIGHTS_GROUPS, RIGHTS_GID, RIGHTS_UID, RIGHTS_CLEAR };

/*
 * Makes this process that user. Anyone but root loses every capability, the bounding set included,
 * with securebits locked; root keeps what the bounding set holds. Async-signal-safe and without
 * libc's set*id functions, which would act on the threads of the memory's owner. On failure the
 * step, and errno.
 */
enum rights_step rights_become(const struct config *config, const struct user *user);

// Says what failed, and what to do about it.
int rights_failed(enum rights_step step, int sys_errno, const struct user *user,
                  struct sbx_error *err);
