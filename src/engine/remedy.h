// SPDX-License-Identifier: Apache-2.0
// What allows a thing that this machine forbids: the exact command or profile. Layer: engine.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum remedy_container { REMEDY_BARE, REMEDY_DOCKER, REMEDY_PODMAN, REMEDY_KUBERNETES };
enum remedy_container remedy_container(void);

// 1 or 0 as a file such as a sysctl has it; -1 when there is none.
int remedy_switch(const char *path);

// The path of sandboxes-jail as the kernel sees it, without links and "..": AppArmor attaches by
// that.
void remedy_jail_program(char *ret_path, size_t size);

// Whether this sandboxes-jail has the AppArmor profile that remedy_find() proposes.
bool remedy_has_profile(void);

// Writes the remedy for a stage of building a sandbox that failed so. False for unknown stages.
bool remedy_find(const char *stage, int sys_errno, char *out, size_t size);
