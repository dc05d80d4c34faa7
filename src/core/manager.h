// SPDX-License-Identifier: Apache-2.0
// A manager from inside: creation with arguments that are checked. Layer: core.
#pragma once

#include <sandboxes/manager.h>

#include "base/clock.h"
#include "core/names.h"

struct sbx_manager;

struct sbx_client *manager_client(const struct sbx_manager *manager);

// The names to try for this spec: those given, else the spec's own, else the manager's.
int manager_names(struct sbx_manager *manager, const struct sbx_spec *spec,
                  const char *const *providers, size_t count, struct names *ret_names,
                  struct sbx_error *err);

// As sbx_manager_create; spec is full and checked.
int manager_create(struct sbx_manager *manager, const struct sbx_spec *spec,
                   const struct names *names, struct deadline deadline,
                   struct sbx_sandbox **ret_sandbox, struct sbx_failures *ret_failures,
                   struct sbx_error *err);

// How long to wait before something is tried again in the background for the n-th time.
int64_t manager_delay(struct sbx_manager *manager, uint32_t n, const struct sbx_error *err);
