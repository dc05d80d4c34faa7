// SPDX-License-Identifier: Apache-2.0
/*
 * Sandboxes under a guest kernel of their own: what this machine has for them, and the
 * specification of the jail in which QEMU runs one. Layer: engine.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "engine/boxspec.h"
#include "engine/launch.h"
#include "engine/store.h"

#define MACHINE_MEMORY (512ull << 20)      // default
#define MACHINE_MEMORY_LEAST (96ull << 20) // less can't hold the kernel and a command

struct machine_parts {
    char qemu[PATH_MAX];
    char firmware[PATH_MAX];
    char kernel[PATH_MAX];
    char modules[PATH_MAX]; // of that kernel; "" when all is built in
    bool acpi;              // it wants an ordinary PC, with PCI and ACPI
    char vmm[PATH_MAX], guest[PATH_MAX], agent[PATH_MAX], preload[PATH_MAX], thaw[PATH_MAX];
};

// Looks for all of it. SETUP with the command that adds what is missing.
int machine_find(struct machine_parts *ret_parts, struct sbx_error *err);
// The kernel alone.
int machine_find_kernel(struct machine_parts *parts, struct sbx_error *err);

// As boxspec_fill(), for a sandbox in a guest.
int machine_fill(const struct sbx_spec *asked, const struct machine_parts *parts,
                 struct deadline deadline, struct boxspec *ret_spec, struct sbx_error *err);

// The tree of files that the jail around QEMU sees, made once: one layer.
int machine_tree(const struct machine_parts *parts, struct deadline deadline,
                 struct image *ret_tree, struct sbx_error *err);

/*
 * Guests are saved when they have booted and wait for what they become, in the cache directory, one
 * for each kind of machine; new ones begin as copies. machine_use_saved() lets the specification's
 * guest begin so; what it needs is made if it is missing, by booting and ending another guest.
 * machine_drop_saved() is for one that did not run: it boots, and the saved one is removed. False
 * if it boots anyway.
 */
int machine_use_saved(const struct machine_parts *parts, const struct store *store,
                      struct launcher *launcher, struct deadline deadline, struct boxspec *spec,
                      struct sbx_error *err);
bool machine_drop_saved(struct boxspec *spec);

// For a guest that KVM did not run although it was tried: it boots emulated, and so do all others
// from here on. False if it was emulated anyway.
bool machine_without_kvm(struct boxspec *spec, const struct sbx_error *why);

// An initial memory disk, cpio's newc format: initramfs buffer format in the kernel's
// documentation.
void machine_disk_add(struct buf *disk, const char *name, uint32_t mode, const void *data,
                      size_t size);
void machine_disk_end(struct buf *disk);
