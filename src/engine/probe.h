// SPDX-License-Identifier: Apache-2.0
/*
 * Trying what a sandbox needs, each in a child of its own that ends at once and takes everything
 * with it. Results are 0 or an errno. Linux only. Layer: engine.
 */
#pragma once

#include <stdbool.h>

// Full rights over this machine, as the jail judges it: then it does without unprivileged
// namespaces.
bool probe_privileged(void);

int probe_user_namespace(void); // with a mount made in it, which AppArmor may forbid alone
int probe_namespaces(void);     // all the other kinds
int probe_proc(void);           // a fresh /proc
int probe_overlay(void);        // over /usr, written to
int probe_idmap(const char *path);
int probe_subids(void); // newuidmap(1) maps a subordinate id of this account
int probe_seccomp(void);
int probe_tap(void);
int probe_veth(void);
int probe_kvm(const char *device); // runs a guest, within a second
int probe_landlock(void);          // its version, or minus an errno
