// SPDX-License-Identifier: Apache-2.0
// Counting libslirp's sockets. Layer: netstack.
#include "netstack/flows.h"

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

bool flows_full_for(const struct flows *flows, const struct frame *frame)
{
    if (flows->count < FLOWS_MAX)
        return false;
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

void flows_handle(struct flows *flows, const struct frame *frame)
{
    flows->udp_port = frame && frame->kind == FRAME_KIND_UDP ? frame->sport : 0;
}

static bool in_bounds(int fd)
{
    return fd >= 0 && fd < POLLSET_MAX;
}

void flows_opened(struct flows *flows, int fd)
{
    if (!in_bounds(fd) || flows->open[fd])
        return;
    flows->open[fd] = true;
    flows->count++;
    flows->port_of[fd] = flows->udp_port;
    if (flows->udp_port)
        set_port(flows, flows->udp_port, true);
}

void flows_closed(struct flows *flows, int fd)
{
    if (!in_bounds(fd) || !flows->open[fd])
        return;
    flows->open[fd] = false;
    flows->count--;
    if (flows->port_of[fd])
        set_port(flows, flows->port_of[fd], false);
}
