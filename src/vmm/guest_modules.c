// SPDX-License-Identifier: Apache-2.0
// Modules that a distribution's kernel needs here, in the order of their dependence. Layer: vmm.
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vmm/guest.h"

static const char *const modules[] = {
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_mmio",
    "virtio_console",
    "virtio_balloon",
    "netfs",
    "fscache",
    "9pnet",
    "9pnet_virtio",
    "9p",
    "exportfs",
    "overlay",
    "failover",
    "net_failover",
    "virtio_net",
};

void guest_load_modules(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
        char path[64];
        snprintf(path, sizeof(path), "/modules/%s.ko", modules[i]);
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            (void)syscall(SYS_finit_module, fd, "", 0);
    }
}
