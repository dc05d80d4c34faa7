// SPDX-License-Identifier: Apache-2.0
// Where things of ours live on this machine. Layer: base.
#pragma once

#include <stddef.h>

#include "base/error.h"

/*
 * The directory of what can be made again: $SANDBOXES_CACHE_DIR, $XDG_CACHE_HOME/sandboxes,
 * ~/.cache/sandboxes, or /var/tmp/sandboxes-UID for accounts whose home cannot be written. Made if
 * missing, 0700; one that belongs to somebody else or that others may write is refused.
 */
int dirs_cache(char *ret_path, size_t size, struct sbx_error *err);

/*
 * The directory of what lives no longer than this machine's run: $SANDBOXES_RUNTIME_DIR,
 * $XDG_RUNTIME_DIR/sandboxes, /run/user/UID/sandboxes, /dev/shm/sandboxes-UID, /tmp/sandboxes-UID:
 * the first whose surroundings fit. Opened (made 0700 if missing); ret_path names it. Refused with
 * SETUP when it is a link, belongs to somebody else or others have any right on it.
 */
int dirs_open_runtime(char *ret_path, size_t size, int *ret_fd, struct sbx_error *err);
