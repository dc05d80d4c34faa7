// SPDX-License-Identifier: Apache-2.0
// The table of opened addresses. Layer: netstack.
#include "netstack/opened.h"

#include <string.h>

void opened_init(struct opened *opened, uint32_t seed)
{
    memset(opened, 0, sizeof(*opened));
    opened->seed = seed;
}

// By address alone, so that all ports of one are found together.
static struct opened_entry *set_of(struct opened *opened, uint32_t addr)
{
    uint32_t hash = (addr ^ opened->seed) * 0x9e3779b1u;
    return opened->sets[(hash >> 16) % OPENED_SETS];
}

static struct opened_entry *find(struct opened *opened, uint32_t addr, uint16_t port)
{
    struct opened_entry *set = set_of(opened, addr);
    for (size_t i = 0; i < OPENED_WAYS; i++)
        if (set[i].used && set[i].addr == addr && set[i].port == port)
            return &set[i];
    return NULL;
}

static struct opened_entry *choose(struct opened_entry *set, int64_t now_ms)
{
    struct opened_entry *oldest = set;
    for (size_t i = 0; i < OPENED_WAYS; i++) {
        if (!set[i].used || set[i].until_ms <= now_ms)
            return &set[i];
        if (set[i].touched_ms < oldest->touched_ms)
            oldest = &set[i];
    }
    return oldest;
}

static void extend(struct opened_entry *entry, int64_t until_ms, int64_t now_ms)
{
    if (entry->until_ms < until_ms)
        entry->until_ms = until_ms;
    entry->touched_ms = now_ms;
}

void opened_add(struct opened *opened, uint32_t addr, uint16_t port, uint32_t ttl_s, int64_t now_ms)
{
    int64_t stay = (int64_t)ttl_s * 1000;
    stay = stay < OPENED_MIN_MS ? OPENED_MIN_MS : stay > OPENED_MAX_MS ? OPENED_MAX_MS : stay;
    struct opened_entry *entry = find(opened, addr, port);
    if (!entry) {
        entry = choose(set_of(opened, addr), now_ms);
        *entry = (struct opened_entry){.addr = addr, .port = port, .used = true};
    }
    extend(entry, now_ms + stay, now_ms);
}

static bool use_entry(struct opened_entry *entry, int64_t now_ms)
{
    if (!entry || entry->until_ms <= now_ms)
        return false;
    extend(entry, now_ms + OPENED_MIN_MS, now_ms);
    return true;
}

bool opened_use(struct opened *opened, uint32_t addr, uint16_t port, int64_t now_ms)
{
    return use_entry(find(opened, addr, 0), now_ms) ||
           (port && use_entry(find(opened, addr, port), now_ms));
}

bool opened_has(const struct opened *opened, uint32_t addr, int64_t now_ms)
{
    const struct opened_entry *set = set_of((struct opened *)opened, addr);
    for (size_t i = 0; i < OPENED_WAYS; i++)
        if (set[i].used && set[i].addr == addr && set[i].until_ms > now_ms)
            return true;
    return false;
}
