// SPDX-License-Identifier: Apache-2.0
// A guest machine in one line of text. Layer: wire.
#include "wire/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static const struct {
    const char *name;
    size_t offset;
} fields[] = {
    {"memory", offsetof(struct machine, memory_mb)},
    {"cpus", offsetof(struct machine, cpus)},
    {"kvm", offsetof(struct machine, kvm)},
    {"acpi", offsetof(struct machine, acpi)},
    {"network", offsetof(struct machine, network)},
    {"saved", offsetof(struct machine, saved)},
    {"mounts", offsetof(struct machine, mounts)},
    {"user", offsetof(struct machine, user)},
    {"debug", offsetof(struct machine, debug)},
    {"disk", offsetof(struct machine, disk_mb)},
    {"processes", offsetof(struct machine, processes)},
};

int machine_print(const struct machine *machine, char *ret_text, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_SIZE(fields) && at < size; i++)
        at += (size_t)snprintf(ret_text + at, size - at, "%s%s=%u", i ? " " : "", fields[i].name,
                               *(const uint32_t *)((const char *)machine + fields[i].offset));
    return at < size ? 0 : -1;
}

int machine_parse(const char *text, struct machine *ret_machine)
{
    struct machine machine = {0};
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        size_t length = strlen(fields[i].name);
        if (strncmp(text, fields[i].name, length) != 0 || text[length] != '=')
            return -1;
        char *end;
        unsigned long value = strtoul(text + length + 1, &end, 10);
        if (end == text + length + 1 || value > UINT32_MAX ||
            *end != (i + 1 < ARRAY_SIZE(fields) ? ' ' : '\0'))
            return -1;
        *(uint32_t *)((char *)&machine + fields[i].offset) = (uint32_t)value;
        text = end + 1;
    }
    *ret_machine = machine;
    return 0;
}
