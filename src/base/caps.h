// SPDX-License-Identifier: Apache-2.0
// Giving up capabilities for good: capabilities(7), with raw system calls. Linux only. Layer: base.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CAPS_BIT(number) (UINT64_C(1) << (number))

// What root of a sandbox keeps: enough for package managers, nothing that reaches the kernel's own
// administration. Numbers are those of linux/capability.h: CHOWN, DAC_OVERRIDE, FOWNER, FSETID,
// KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, SETFCAP.
#define CAPS_ROOT                                                                                  \
    (CAPS_BIT(0) | CAPS_BIT(1) | CAPS_BIT(3) | CAPS_BIT(4) | CAPS_BIT(5) | CAPS_BIT(6) |           \
     CAPS_BIT(7) | CAPS_BIT(8) | CAPS_BIT(10) | CAPS_BIT(31))

// All return 0, or -1 and errno.

// Limits the bounding, permitted, effective and inheritable sets to mask; the ambient set becomes
// empty.
int caps_keep(uint64_t mask);

/*
 * The same without a bounding set: root has on exec what it inherits, and whoever becomes another
 * user has one thing less to lose. The mask must hold SETPCAP.
 */
int caps_keep_inherited(uint64_t mask);

// Empties all sets and locks the securebits, so that neither uid 0 nor a file gives any back.
int caps_drop_all(void);

// The bounding set as it is.
uint64_t caps_bounding(void);

// True when caps_drop_all() would change nothing.
bool caps_are_gone(void);

/*
 * The two halves of caps_drop_all(), for who changes user in between: first what needs CAP_SETPCAP
 * (the bounding set, known to be `bounding`, and the securebits), then the sets of this process.
 * Between them setresuid(2) no longer takes capabilities away.
 */
int caps_lock(uint64_t bounding);
int caps_clear(void);
