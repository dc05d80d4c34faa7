// SPDX-License-Identifier: Apache-2.0
// This machine's own IPv4 addresses, which no sandbox may reach by its network. Layer: netstack.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hosts {
    uint32_t *addrs; // owned, sorted, host byte order
    size_t count;
    int64_t read_ms;
};

void hosts_deinit(struct hosts *hosts);

// Reads them anew. -1 and errno: the list is as it was.
int hosts_read(struct hosts *hosts, int64_t now_ms);

// As hosts_read() when the list is older than 30 seconds.
void hosts_refresh(struct hosts *hosts, int64_t now_ms);

bool hosts_have(const struct hosts *hosts, uint32_t addr);
