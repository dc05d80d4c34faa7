// SPDX-License-Identifier: Apache-2.0
// QEMU as a child of sandboxes-vmm, in the jail. Layer: vmm.
#pragma once

#include <sys/types.h>

#include "wire/machine.h"

// Where the tree that the jail was built from has things.
#define QEMU_PROGRAM "/usr/bin/qemu-system-x86_64"
#define QEMU_FIRMWARE "/vm/firmware"
#define QEMU_KERNEL "/vm/kernel"
#define QEMU_INITRD "/vm/initrd"
#define QEMU_IMAGE "/image"

// Starts it with port_fd as the guest's serial port. *ret_log: what it complains of. -1 and errno.
pid_t qemu_start(const struct machine *machine, int port_fd, int *ret_log);
