// SPDX-License-Identifier: Apache-2.0
/*
 * Spares: most of what a sandbox costs is alike for all of one kind, namespaces, network, devices
 * and /proc. A program that makes sandboxes one after another keeps a helper, this program too,
 * that makes such halves ahead. Each is a monitor with its init, in namespaces of their own, that
 * waits for a request. It holds nothing on disk and no cgroup yet. It is used once: the socket to
 * it waits as a message in another socket, which the kernel hands out to one reader only; when the
 * client ends, that is gone, and with it the only end of the spare's own socket. With real root
 * only. When there is none left, the helper forks a jail that begins now, which costs half of
 * starting the program anew. Layer: jail.
 */
#pragma once

#include "jail/jail.h"

// The helper: a spare for each BOX_WISH on its socket, a jail at once for one with a socket, until
// the end of that. Returns in each of these alone, which is then like any jail that was just
// started. False when it can't be one.
bool spare_fork(struct jail *jail);

// In the spare, when all that needs no request is there: waits for the first byte of one. False if
// there will be none.
bool spare_wait(const struct jail *jail);

// Takes the client's priority again.
void spare_wake(const struct jail *jail);
