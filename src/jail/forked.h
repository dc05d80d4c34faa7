// SPDX-License-Identifier: Apache-2.0
// The files that a fork stands on, which end with it. Layer: jail.
#pragma once

#include <stdbool.h>

#include "wire/box_msg.h"

/*
 * Removes them, if the sandbox is a fork. False if somebody works with the store of images all the
 * time, `tries` times 10 ms: they stay. Nothing of the sandbox may need them any more.
 */
bool forked_remove(const struct box_spec *spec, int tries);
