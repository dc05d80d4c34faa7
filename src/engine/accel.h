// SPDX-License-Identifier: Apache-2.0
// What runs the instructions of guests: KVM, or QEMU's translator. Layer: engine.
#pragma once

#include <stdbool.h>

#define ACCEL_DEVICE "/dev/kvm"

/*
 * True: KVM. $SANDBOXES_MICROVM_ACCEL chooses, "kvm" or "tcg"; otherwise it is tried by running a
 * guest of a few instructions, once between two starts of this machine. What is found then is told
 * once, as a warning. $SANDBOXES_MICROVM_KVM names another device to try.
 */
bool accel_is_kvm(void);

// Tries it anew, for accel_is_kvm() to know. 0 or an errno; ETIMEDOUT: it takes a guest and does
// not run it.
int accel_try(void);

// It was tried and did not run a guest after all: accel_is_kvm() says no from here on.
void accel_give_up(const char *why);

// Why guests are emulated, in words, for that errno.
const char *accel_reason(int failed);
