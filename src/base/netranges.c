// SPDX-License-Identifier: Apache-2.0
/*
 * Tables of special IPv4 ranges. Sources: IANA's special-purpose address registry (RFC 6890) and
 * the clouds' documentation of their metadata services. Layer: base.
 */
#include "base/netranges.h"

#include <stddef.h>

#include "base/cleanup.h"

struct range {
    uint32_t addr;
    uint8_t prefix;
};

#define IP(a, b, c, d)                                                                             \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

static const struct range never[] = {
    {IP(0, 0, 0, 0), 8},          // this network: Linux takes 0.0.0.0 for itself
    {IP(127, 0, 0, 0), 8},        // loopback
    {IP(169, 254, 0, 0), 16},     // link-local; metadata of most clouds, credentials of containers
    {IP(192, 0, 0, 192), 32},     // metadata (Oracle)
    {IP(100, 100, 100, 200), 32}, // metadata (Alibaba)
    {IP(168, 63, 129, 16), 32},   // the host's agent (Azure): a public address by its number only
    {IP(224, 0, 0, 0), 4},        // multicast
    {IP(240, 0, 0, 0), 4},        // reserved, and broadcast
};

static const struct range private_ranges[] = {
    {IP(10, 0, 0, 0), 8},     {IP(100, 64, 0, 0), 10}, // carrier-grade NAT; also overlay networks
    {IP(172, 16, 0, 0), 12},  {IP(192, 0, 0, 0), 24},  // protocol assignments
    {IP(192, 168, 0, 0), 16}, {IP(198, 18, 0, 0), 15}, // benchmarks
};

static uint32_t mask_of(uint8_t prefix)
{
    return prefix ? UINT32_MAX << (32 - prefix) : 0;
}

static bool in_table(const struct range *table, size_t count, uint32_t addr)
{
    for (size_t i = 0; i < count; i++)
        if ((addr & mask_of(table[i].prefix)) == table[i].addr)
            return true;
    return false;
}

bool netrange_never(uint32_t addr)
{
    return in_table(never, ARRAY_SIZE(never), addr);
}

bool netrange_private(uint32_t addr)
{
    return in_table(private_ranges, ARRAY_SIZE(private_ranges), addr);
}

bool netrange_never_whole(uint32_t addr, uint32_t mask)
{
    for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
        uint32_t wide = mask_of(never[i].prefix);
        if ((mask & wide) == wide && (addr & wide) == never[i].addr)
            return true;
    }
    return false;
}

bool netrange_private_any(uint32_t addr, uint32_t mask)
{
    for (size_t i = 0; i < ARRAY_SIZE(private_ranges); i++) {
        uint32_t both = mask & mask_of(private_ranges[i].prefix);
        if ((addr & both) == (private_ranges[i].addr & both))
            return true;
    }
    return false;
}
