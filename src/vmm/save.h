// SPDX-License-Identifier: Apache-2.0
/*
 * Saved guests: QEMU's migration to and from a file, but for the guest's memory, which is a file
 * already. Layer: vmm.
 */
#pragma once

#include <sys/types.h>

#include "base/clock.h"

// Writes the state of a guest, which does not run on, to the file state_fd. -1 when QEMU does not
// do as told.
int save_guest(int monitor_fd, int state_fd, struct deadline deadline);

/*
 * Lets QEMU take it from there. By the monitor for people, which is told in fewer bytes: QEMU takes
 * them one by one, at a turn of its loop each. It ends if it can't; else the guest is heard.
 */
int save_restore(int monitor_fd);

// A saved one, whose QEMU is `pid`, is written to FROZEN_FD besides, and QEMU ends.
int save_freeze(pid_t pid, struct deadline deadline);
// That one, thawed: its guest goes on.
int save_go_on(int monitor_fd);
