// SPDX-License-Identifier: Apache-2.0
// Counting libslirp's sockets. Layer: netstack.
#include "netstack/flows.h"

static const size_t most[FRAME_KINDS] = {
    [FRAME_KIND_TCP] = FLOWS_TCP_MAX,
    [FRAME_KIND_UDP] = FLOWS_UDP_MAX,
    [FRAME_KIND_PING] = FLOWS_PING_MAX,
};

static bool has_port(const struct flows *flows, uint16_t port)
{
    return flows->udp_ports[port / 8] & 1 << port % 8;
}

static void set_port(struct flows *flows, uint16_t port, bool on)
{
    uint8_t bit = (uint8_t)(1 << port % 8);
    if (on)
        flows->udp_ports[port / 8] |= bit;
    else
        flows->udp_ports[port / 8] &= (uint8_t)~bit;
}

static bool needs_socket(const struct flows *flows, const struct frame *frame)
{
    switch (frame->kind) {
    case FRAME_KIND_TCP:
        return frame->tcp_flags & FRAME_TCP_SYN;
    case FRAME_KIND_UDP:
        return !has_port(flows, frame->sport);
    case FRAME_KIND_PING:
        return true;
    default:
        return false;
    }
}

bool flows_full_for(const struct flows *flows, const struct frame *frame)
{
    return flows->counts[frame->kind] >= most[frame->kind] && needs_socket(flows, frame);
}

void flows_handle(struct flows *flows, const struct frame *frame)
{
    flows->handled = (struct flow){.open = true, .kind = (uint8_t)frame->kind};
    if (frame->kind == FRAME_KIND_UDP)
        flows->handled.port = frame->sport;
}

static bool in_bounds(int fd)
{
    return fd >= 0 && fd < POLLSET_MAX;
}

void flows_opened(struct flows *flows, int fd)
{
    if (!in_bounds(fd) || flows->of[fd].open)
        return;
    flows->of[fd] = flows->handled;
    flows->counts[flows->handled.kind]++;
    if (flows->handled.port)
        set_port(flows, flows->handled.port, true);
}

void flows_closed(struct flows *flows, int fd)
{
    if (!in_bounds(fd) || !flows->of[fd].open)
        return;
    const struct flow *flow = &flows->of[fd];
    flows->counts[flow->kind]--;
    if (flow->port)
        set_port(flows, flow->port, false);
    flows->of[fd].open = false;
}

bool flows_any(const struct flows *flows)
{
    for (size_t i = 0; i < FRAME_KINDS; i++)
        if (flows->counts[i])
            return true;
    return false;
}
