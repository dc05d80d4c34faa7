// SPDX-License-Identifier: Apache-2.0
/*
 * Saved guests: QEMU's migration to and from a file, but for the guest's memory, which is a file
 * already. monitor_fd is where QEMU takes orders: docs/interop/qmp-spec.txt of its documentation.
 * -1 when it does not do as told. Layer: vmm.
 */
#pragma once

#include "base/clock.h"

// Stops the guest; then its state is written to that file.
int save_guest(int monitor_fd, int state_fd, struct deadline deadline);
// Takes the state from there, and lets the guest go on.
int save_restore(int monitor_fd, int state_fd, struct deadline deadline);
