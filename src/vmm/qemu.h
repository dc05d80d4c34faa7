// SPDX-License-Identifier: Apache-2.0
// QEMU as a child of sandboxes-vmm, in the jail. Layer: vmm.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "wire/machine.h"

// Where the tree that the jail was built from has things.
#define QEMU_PROGRAM "/usr/bin/qemu-system-x86_64"
#define QEMU_FIRMWARE "/vm/firmware"
#define QEMU_KERNEL "/vm/kernel"
#define QEMU_INITRD "/vm/initrd"
#define QEMU_IMAGE "/image"
#define QEMU_SHOW "/bin/agent" // in the image of a guest that rehearses
#define QEMU_STATE_FD "13"     // of struct qemu_ends, as QEMU knows it
#define QEMU_PRELOAD "/vm/preload.so"
#define QEMU_THAW "/vm/thaw"

// What it is handed; -1: nothing.
struct qemu_ends {
    int port;    // the guest's serial port
    int monitor; // where it takes orders: of a guest that will be saved, or was
    int memory;  // memfd, the memory of one that will be
    int state;   // of one that was: all but its memory
    int frozen;  // where one that will be is written to, or comes from: frozen.h
    bool thaws;  // from `memory` and `frozen`
};

// Between fork and execve: the owner of mounts, of whose rights that to read and write past modes
// stays, and no way to make a program of theirs that gives its owner's rights. -1 and errno.
int qemu_give_up_rights(const struct machine *machine);

// It plays a sandbox before it is saved, so that what copies do has been translated.
static inline bool qemu_rehearses(const struct machine *machine)
{
    return machine->saved == MACHINE_SAVE && !machine->kvm;
}

// *ret_log: what it complains of. -1 and errno.
pid_t qemu_start(const struct machine *machine, const struct qemu_ends *ends, int *ret_log);
