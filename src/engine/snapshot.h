// SPDX-License-Identifier: Apache-2.0
// Keeping a living sandbox's files: under a name, or for a fork. Layer: engine.
#pragma once

#include "engine/boxspec.h"
#include "engine/record.h"

/*
 * Keeps what the sandbox has on its disk as the image of this name. dir_fd is its directory, record
 * what it was made of. A killed caller leaves nothing that anybody would find; the next one, or
 * `image prune`, removes it. Errors: those of sbx_sandbox_snapshot().
 */
int snapshot_keep(int dir_fd, const struct record *record, const char *name,
                  struct deadline deadline, struct sbx_error *err);

// Forgets the name. NOT_FOUND if it is not a snapshot's.
int snapshot_remove(const char *name, struct sbx_error *err);

// What a fork of the sandbox is made of. Strings are borrowed from record and fork.
int snapshot_fork(int dir_fd, const struct record *record, const struct sbx_fork *fork,
                  struct deadline deadline, struct boxspec *ret_spec, struct sbx_error *err);
