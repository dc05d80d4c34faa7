// SPDX-License-Identifier: Apache-2.0
/*
 * Ethernet frames of the sandbox: checked apart before anything else looks at them, and made for
 * our own answers. Everything that is not plainly one of four kinds is malformed here: IPv6, VLANs,
 * IP options, fragments (the device's MTU makes them needless), wrong lengths. Layer: netstack.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/netplan.h"

#define FRAME_MAC 6
#define FRAME_ETHER 14
#define FRAME_IP 20
#define FRAME_UDP 8
#define FRAME_MAX (FRAME_ETHER + 65535)
#define FRAME_PAYLOAD_MAX (NETPLAN_MTU - FRAME_IP - FRAME_UDP)
#define FRAME_UNREACHABLE_SIZE (FRAME_ETHER + FRAME_IP + 8 + FRAME_IP + 8)

enum frame_kind {
    FRAME_KIND_ARP,
    FRAME_KIND_TCP,
    FRAME_KIND_UDP,
    FRAME_KIND_PING,
    FRAME_KINDS, // how many
};

#define FRAME_TCP_FIN 0x01
#define FRAME_TCP_SYN 0x02
#define FRAME_TCP_RST 0x04
#define FRAME_TCP_ACK 0x10
#define FRAME_TCP_URG 0x20

// Addresses and ports in host byte order. Of ARP: src is the sender's address, no more is set.
struct frame {
    enum frame_kind kind;
    uint8_t *data; // borrowed
    size_t size;   // without padding
    uint32_t src, dst;
    uint16_t sport, dport;
    uint8_t tcp_flags;
    uint8_t *payload; // UDP only
    size_t payload_size;
};

// 0, or -1: drop it. `ret` refers to data.
int frame_parse(uint8_t *data, size_t size, struct frame *ret);

// Writes the checksum of TCP or UDP: a veth's sender leaves it to hardware that is not there.
void frame_fill_checksum(struct frame *frame);

// Makes urgent data ordinary data: libslirp's handling of it is not worth trusting.
void frame_clear_urgent(struct frame *frame);

// Of a TCP segment for the sandbox: how much it may send before we must answer again.
void frame_limit_window(uint8_t *data, size_t size, uint16_t most);

// "Destination unreachable, administratively prohibited" (RFC 1812, 5.2.7.1) from the gateway about
// a frame of the guest. Returns its size.
size_t frame_build_unreachable(const struct frame *about, uint8_t out[FRAME_UNREACHABLE_SIZE]);

// A datagram from our name server's address to the guest. 0 if the payload is too long.
size_t frame_build_dns(const uint8_t guest_mac[FRAME_MAC], uint16_t guest_port, const void *payload,
                       size_t payload_size, uint8_t *out, size_t out_size);
