// SPDX-License-Identifier: Apache-2.0
/*
 * What library and monitor say to each other over DIR/control (SOCK_SEQPACKET, one request and one
 * answer a datagram), and the record DIR/state that the monitor rewrites (by rename) when something
 * of it changes. Without the file: running, expiry from the spec, no ports beyond the spec's.
 * Layer: wire.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "wire/codec.h"

#define MONITOR_PACKET_MAX 65536
#define MONITOR_PORTS_MAX 64

// Names inside a sandbox's directory.
#define BOX_FILE_SPEC "spec"       // box_spec
#define BOX_FILE_STATE "state"     // monitor_state
#define BOX_FILE_AGENT "agent"     // unix stream socket of the agent
#define BOX_FILE_CONTROL "control" // unix seqpacket socket of the monitor
// The lock that is held while the sandbox lives is flock(2) on the directory itself.

enum monitor_msg {
    MONITOR_DESTROY = 1, // nothing: the connection closes when nothing of the sandbox is left
    MONITOR_SET_TTL = 2, // u64 ttl_ms as i64, counted from now; -1: none: OK
    MONITOR_EXPOSE = 3,  // u32 port, u32 host_port: EXPOSED
    MONITOR_METRICS = 4, // nothing: MEASURED
    MONITOR_PAUSE = 5,   // nothing: OK
    MONITOR_RESUME = 6,  // nothing: OK
    MONITOR_LOOK = 7,    // nothing: OK, or FAILED when the agent can't answer anybody

    MONITOR_HOLD = 8,        // nothing: HELD, until the connection is closed
    MONITOR_SET_NETWORK = 9, // u32 network, texts allow: OK

    MONITOR_OK = 32,
    MONITOR_FAILED = 33,   // as AGENT_FAILED
    MONITOR_EXPOSED = 34,  // u32 host_port
    MONITOR_MEASURED = 35, // struct monitor_metrics
    // The sandbox stands still (where it can be frozen) and these are its files. u32 frozen, u32 id
    // here of the sandbox's 0, u32 uppers; with descriptors: the disk, on which writable layer i is
    // the directory up<i>; and, without real root, the sandbox's user namespace.
    MONITOR_HELD = 36
};
// A datagram is u32 type followed by its fields.

struct monitor_metrics { // from the cgroup; all zero (has_cgroup 0) where there is none
    uint32_t has_cgroup;
    uint64_t cpu_usec; // 0 where the cgroup does not count it: ask the agent
    uint64_t memory_bytes, memory_peak_bytes, memory_limit_bytes;
    uint32_t pids; // our own agent not counted
    uint32_t oom_kills;
};

void monitor_metrics_put(struct buf *out, const struct monitor_metrics *metrics);
int monitor_metrics_get(struct wire_reader *in, struct monitor_metrics *ret_metrics);

struct monitor_state {
    uint32_t state;     // enum sbx_state
    int64_t expires_ms; // Unix time, 0: never
    uint32_t port_count;
    struct {
        uint16_t port, host_port;
    } ports[MONITOR_PORTS_MAX];
};

void monitor_state_put(struct buf *out, const struct monitor_state *state);
int monitor_state_get(const void *data, size_t size, struct monitor_state *ret_state);
