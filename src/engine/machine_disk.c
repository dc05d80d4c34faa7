// SPDX-License-Identifier: Apache-2.0
// The initial memory disk of a guest. Layer: engine.
#include <string.h>

#include "engine/machine.h"

static void pad(struct buf *disk)
{
    static const char zeros[4];
    buf_add(disk, zeros, (4 - disk->size % 4) % 4);
}

void machine_disk_add(struct buf *disk, const char *name, uint32_t mode, const void *data,
                      size_t size)
{
    size_t length = strlen(name) + 1;
    unsigned number = (unsigned)disk->size + 1; // each its own, so that none is a link
    buf_printf(disk, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", number, mode, 0,
               0, 1, 0, (unsigned)size, 0, 0, 0, 0, (unsigned)length, 0);
    buf_add(disk, name, length);
    pad(disk);
    buf_add(disk, data, size);
    pad(disk);
}

void machine_disk_end(struct buf *disk)
{
    machine_disk_add(disk, "TRAILER!!!", 0, NULL, 0);
}
