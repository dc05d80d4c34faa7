// SPDX-License-Identifier: Apache-2.0
// Beginning and end of a local sandbox. Layer: engine.
#pragma once

#include "engine/box.h"
#include "engine/boxspec.h"
#include "engine/launch.h"
#include "engine/leash.h"
#include "engine/store.h"

/*
 * Makes the sandbox that the spec describes (id and created_ms are set here) with the jail that has
 * begun for its network (NULL: none has). A tied one's leash goes to the leashes. On failure
 * nothing is left.
 */
int life_begin(const struct store *store, struct boxspec *spec, struct launcher *launcher,
               struct launch *begun, struct leashes *leashes, struct deadline deadline,
               struct box **ret_box, struct sbx_error *err);

// Ends it with everything in it, also when its monitor is gone. NOT_FOUND if there is nothing to
// end.
int life_end(const struct store *store, const char *id, int dir_fd, struct deadline deadline,
             struct sbx_error *err);
