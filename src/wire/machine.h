// SPDX-License-Identifier: Apache-2.0
/*
 * A guest machine in one line of text, "memory=512 cpus=1 ...": how the library, the jail and
 * sandboxes-vmm speak of it. Layer: wire.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MACHINE_TEXT_MAX 256
// Where the jail has a saved guest.
#define MACHINE_SAVED "/vm/saved"
#define MACHINE_SAVED_MEMORY MACHINE_SAVED "/memory"
#define MACHINE_SAVED_STATE MACHINE_SAVED "/state"
#define MACHINE_SAVED_FROZEN MACHINE_SAVED "/frozen" // of one that is emulated: vmm/frozen.h
/*
 * The guest's network, in a part of the jail's own that nobody uses there: what the jail finds at
 * its gateway and name service, 10.0.2.2 and 10.0.2.3, the guest finds there too (docs/network.md).
 */
#define MACHINE_NET "10.0.2.128"
#define MACHINE_NET_MASK "255.255.255.128"
#define MACHINE_NET_GATEWAY "10.0.2.129"
#define MACHINE_NET_DNS "10.0.2.130" // of QEMU's own, which no guest asks
#define MACHINE_NET_GUEST "10.0.2.140"
/*
 * TCP ends in QEMU and each frame costs it a turn: the larger, the better. But the card takes each
 * in one piece, which must be had without waiting: with its headers, four pages.
 */
#define MACHINE_NET_MTU 15360
#define MACHINE_BOOTS "SANDBOXES_BOOTS" // a variable of QEMU's whose guest is not a saved one
// Where the jail has what the user mounts: two directories, each a share of the guest's, with what
// is mounted by its number in the specification.
#define MACHINE_MOUNTS "/mounts"
#define MACHINE_MOUNTS_READ MACHINE_MOUNTS "/read"
#define MACHINE_MOUNTS_WRITABLE MACHINE_MOUNTS "/write"
#define MACHINE_STATE_MAX (4u << 20) // bytes of a guest's state but for its memory
#define MACHINE_FROZEN_MAX (512u << 20)

enum machine_saved {
    MACHINE_BOOT = 0,
    MACHINE_RESTORE = 1, // begins as a copy of the saved guest
    MACHINE_SAVE = 2     // boots, is saved, and ends
};

enum machine_mounts { // each a device
    MACHINE_MOUNTS_ARE_READ = 1 << 0,
    MACHINE_MOUNTS_ARE_WRITTEN = 1 << 1
};

#define MACHINE_OVERHEAD (192ull << 20) // what QEMU may need besides the guest's memory

struct machine {
    uint32_t memory_mb;
    uint32_t cpus;
    uint32_t kvm;     // 1: by KVM, else emulated
    uint32_t acpi;    // 1: an ordinary PC, with PCI and ACPI, for a kernel that wants one
    uint32_t network; // 1: with a network card
    uint32_t saved;   // enum machine_saved
    uint32_t mounts;  // enum machine_mounts
    uint32_t user;    // as whom QEMU runs: the owner of mounts, in the jail
    uint32_t debug;   // 1: the guest's console goes to a file in the jail
    uint32_t disk_mb; // writable layer
    uint32_t processes;
};

int machine_print(const struct machine *machine, char *ret_text, size_t size);
// -1 unless it is what machine_print() makes.
int machine_parse(const char *text, struct machine *ret_machine);
