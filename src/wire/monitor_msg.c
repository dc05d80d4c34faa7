// SPDX-License-Identifier: Apache-2.0
// What library and monitor say to each other. Layer: wire.
#include "wire/monitor_msg.h"

#define STATE_VERSION 1

void monitor_metrics_put(struct buf *out, const struct monitor_metrics *metrics)
{
    wire_put_u32(out, metrics->has_cgroup);
    wire_put_u64(out, metrics->cpu_usec);
    wire_put_u64(out, metrics->memory_bytes);
    wire_put_u64(out, metrics->memory_peak_bytes);
    wire_put_u64(out, metrics->memory_limit_bytes);
    wire_put_u32(out, metrics->pids);
    wire_put_u32(out, metrics->oom_kills);
}

int monitor_metrics_get(struct wire_reader *in, struct monitor_metrics *ret_metrics)
{
    struct monitor_metrics metrics = {.has_cgroup = wire_u32(in)};
    metrics.cpu_usec = wire_u64(in);
    metrics.memory_bytes = wire_u64(in);
    metrics.memory_peak_bytes = wire_u64(in);
    metrics.memory_limit_bytes = wire_u64(in);
    metrics.pids = wire_u32(in);
    metrics.oom_kills = wire_u32(in);
    if (!wire_end(in))
        return -1;
    *ret_metrics = metrics;
    return 0;
}

void monitor_state_put(struct buf *out, const struct monitor_state *state)
{
    wire_put_u32(out, STATE_VERSION);
    wire_put_u32(out, state->state);
    wire_put_u64(out, (uint64_t)state->expires_ms);
    wire_put_u32(out, state->port_count);
    for (uint32_t i = 0; i < state->port_count; i++)
        wire_put_u32(out, (uint32_t)state->ports[i].port << 16 | state->ports[i].host_port);
}

int monitor_state_get(const void *data, size_t size, struct monitor_state *ret_state)
{
    struct wire_reader in = wire_reader(data, size);
    struct monitor_state state = {0};
    uint32_t version = wire_u32(&in);
    state.state = wire_u32(&in);
    state.expires_ms = (int64_t)wire_u64(&in);
    state.port_count = wire_u32(&in);
    if (version != STATE_VERSION || state.port_count > MONITOR_PORTS_MAX)
        return -1;
    for (uint32_t i = 0; i < state.port_count; i++) {
        uint32_t both = wire_u32(&in);
        state.ports[i].port = (uint16_t)(both >> 16);
        state.ports[i].host_port = (uint16_t)both;
    }
    if (!wire_end(&in))
        return -1;
    *ret_state = state;
    return 0;
}
