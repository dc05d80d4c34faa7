// SPDX-License-Identifier: Apache-2.0
/*
 * Addresses that answers of the name server have opened, with the time they stay open. A fixed
 * table: 8 places for each hash value, of which the one unused for longest is given away. Layer:
 * netstack.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPENED_SETS 256
#define OPENED_WAYS 8
#define OPENED_MIN_MS 60000      // at least this long after an answer, and after each use
#define OPENED_MAX_MS 86400000LL // at most, whatever the answer's TTL

struct opened_entry {
    uint32_t addr;
    uint16_t port; // 0: any
    bool used;
    int64_t until_ms, touched_ms;
};

struct opened {
    uint32_t seed;
    struct opened_entry sets[OPENED_SETS][OPENED_WAYS];
};

void opened_init(struct opened *opened, uint32_t seed);
void opened_add(struct opened *opened, uint32_t addr, uint16_t port, uint32_t ttl_s,
                int64_t now_ms);

// Whether it is open for the port (or for any); if so, it stays open for a while more.
bool opened_use(struct opened *opened, uint32_t addr, uint16_t port, int64_t now_ms);

// Whether anything of the address is open; changes nothing.
bool opened_has(const struct opened *opened, uint32_t addr, int64_t now_ms);
