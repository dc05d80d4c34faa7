// SPDX-License-Identifier: Apache-2.0
/*
 * Spare networks: half of what a sandbox costs is its network namespace and the user namespace that
 * owns it, and both are alike for all sandboxes of one kind. A program that makes sandboxes one
 * after another keeps a helper, this program too, that makes them ahead. Each is used for one
 * sandbox, once: it waits as a message in a socket, which the kernel hands out to one reader only,
 * and is gone with the socket. With real root only. Layer: jail.
 */
#pragma once

#include "jail/jail.h"
#include "wire/frame.h"

// The helper: a spare network of the kind that the request names for each byte on the boot socket,
// until its end.
void spare_serve(struct jail *jail, const struct frame *request);

// Takes over the descriptors of a BOX_SPARE. 0 or -1 when it is malformed.
int spare_take(struct jail *jail, const struct frame *frame);

// Puts it in place of a network of the sandbox's own making, if there is one.
bool spare_use(struct jail *jail);
