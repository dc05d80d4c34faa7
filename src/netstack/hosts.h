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
    int watch_fd; // owned; readable when an address came or went
};

// Watches and reads them. -1 and errno.
int hosts_init(struct hosts *hosts, int64_t now_ms);

void hosts_deinit(struct hosts *hosts);

// Reads them anew when the watch says so, or when that was 30 seconds ago, should it have missed
// something. When they can't be read they stay as they were.
void hosts_refresh(struct hosts *hosts, bool changed, int64_t now_ms);

bool hosts_have(const struct hosts *hosts, uint32_t addr);
