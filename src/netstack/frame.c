// SPDX-License-Identifier: Apache-2.0
// Frames: checked parsing of what the sandbox sends, building of our own answers. Layer: netstack.
#include "netstack/frame.h"

#include <string.h>

#include "netstack/bytes.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP 0x0806
#define ARP_SIZE 28
#define PROTO_ICMP 1
#define PROTO_TCP 6
#define PROTO_UDP 17
#define TCP_HEADER 20
#define ICMP_HEADER 8
#define ICMP_UNREACHABLE 3
#define ICMP_ECHO 8
#define ICMP_ADMIN_PROHIBITED 13

#define L4 (FRAME_ETHER + FRAME_IP)

// The Internet checksum's running sum (RFC 1071).
static uint64_t sum_add(uint64_t sum, const uint8_t *data, size_t size)
{
    uint64_t part;
    for (; size >= 8; data += 8, size -= 8) {
        memcpy(&part, data, 8);
        sum += part & 0xffffffff;
        sum += part >> 32;
    }
    part = 0;
    memcpy(&part, data, size);
    return sum + (part & 0xffffffff) + (part >> 32);
}

// In the byte order of memory, as it goes into the packet.
static uint16_t sum_end(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static uint16_t checksum(const uint8_t *data, size_t size)
{
    return sum_end(sum_add(0, data, size));
}

static void put_checksum(uint8_t *at, uint16_t value)
{
    memcpy(at, &value, 2);
}

static int parse_arp(struct frame *frame)
{
    static const uint8_t ethernet_ipv4[] = {0, 1, 8, 0, 6, 4};
    const uint8_t *arp = frame->data + FRAME_ETHER;
    if (frame->size < FRAME_ETHER + ARP_SIZE || memcmp(arp, ethernet_ipv4, 6) != 0)
        return -1;
    uint16_t operation = get16(arp + 6);
    if (operation != 1 && operation != 2)
        return -1;
    if (memcmp(arp + 8, frame->data + FRAME_MAC, FRAME_MAC) != 0)
        return -1;
    frame->kind = FRAME_KIND_ARP;
    frame->size = FRAME_ETHER + ARP_SIZE;
    frame->src = get32(arp + 14);
    return 0;
}

static int parse_tcp(struct frame *frame)
{
    const uint8_t *tcp = frame->data + L4;
    size_t size = frame->size - L4;
    if (size < TCP_HEADER)
        return -1;
    size_t header = (size_t)(tcp[12] >> 4) * 4;
    if (header < TCP_HEADER || header > size)
        return -1;
    uint8_t flags = tcp[13];
    if ((flags & FRAME_TCP_SYN) && (flags & (FRAME_TCP_FIN | FRAME_TCP_RST)))
        return -1;
    frame->kind = FRAME_KIND_TCP;
    frame->tcp_flags = flags;
    frame->sport = get16(tcp);
    frame->dport = get16(tcp + 2);
    return frame->sport && frame->dport ? 0 : -1;
}

static int parse_udp(struct frame *frame)
{
    uint8_t *udp = frame->data + L4;
    size_t size = frame->size - L4;
    if (size < FRAME_UDP || get16(udp + 4) != size)
        return -1;
    frame->kind = FRAME_KIND_UDP;
    frame->sport = get16(udp);
    frame->dport = get16(udp + 2);
    frame->payload = udp + FRAME_UDP;
    frame->payload_size = size - FRAME_UDP;
    return frame->sport && frame->dport ? 0 : -1;
}

static int parse_ping(struct frame *frame)
{
    const uint8_t *icmp = frame->data + L4;
    if (frame->size - L4 < ICMP_HEADER || icmp[0] != ICMP_ECHO || icmp[1] != 0)
        return -1;
    frame->kind = FRAME_KIND_PING;
    return 0;
}

// The header alone; libslirp checks those checksums that cover data.
static int parse_ip_header(struct frame *frame)
{
    const uint8_t *ip = frame->data + FRAME_ETHER;
    if (frame->size < L4 || ip[0] != 0x45) // version 4, no options
        return -1;
    size_t total = get16(ip + 2);
    if (total < FRAME_IP || total > frame->size - FRAME_ETHER)
        return -1;
    if (get16(ip + 6) & ~0x4000u) // only "don't fragment" may be set
        return -1;
    if (ip[8] == 0 || checksum(ip, FRAME_IP) != 0)
        return -1;
    frame->size = FRAME_ETHER + total;
    frame->src = get32(ip + 12);
    frame->dst = get32(ip + 16);
    return 0;
}

static int parse_ip(struct frame *frame)
{
    if (parse_ip_header(frame) < 0)
        return -1;
    switch (frame->data[FRAME_ETHER + 9]) {
    case PROTO_TCP:
        return parse_tcp(frame);
    case PROTO_UDP:
        return parse_udp(frame);
    case PROTO_ICMP:
        return parse_ping(frame);
    default:
        return -1;
    }
}

int frame_parse(uint8_t *data, size_t size, struct frame *ret)
{
    struct frame frame = {.data = data, .size = size};
    if (size < FRAME_ETHER || size > FRAME_MAX)
        return -1;
    if (data[FRAME_MAC] & 1) // a group address can't send
        return -1;
    uint16_t type = get16(data + 12);
    int result = type == ETHERTYPE_IPV4  ? parse_ip(&frame)
                 : type == ETHERTYPE_ARP ? parse_arp(&frame)
                                         : -1;
    if (result == 0)
        *ret = frame;
    return result;
}

void frame_fill_checksum(struct frame *frame)
{
    bool tcp = frame->kind == FRAME_KIND_TCP;
    if (!tcp && frame->kind != FRAME_KIND_UDP)
        return;
    uint8_t *l4 = frame->data + L4;
    size_t size = frame->size - L4;
    uint8_t *at = l4 + (tcp ? 16 : 6);
    uint8_t pseudo[12];
    memcpy(pseudo, frame->data + FRAME_ETHER + 12, 8);
    put16(pseudo + 8, tcp ? PROTO_TCP : PROTO_UDP);
    put16(pseudo + 10, (uint16_t)size);
    put_checksum(at, 0);
    uint16_t value = sum_end(sum_add(sum_add(0, pseudo, sizeof(pseudo)), l4, size));
    put_checksum(at, value == 0 && !tcp ? 0xffff : value); // 0 is "none" in UDP
}

void frame_clear_urgent(struct frame *frame)
{
    if (frame->kind != FRAME_KIND_TCP || !(frame->tcp_flags & FRAME_TCP_URG))
        return;
    uint8_t *tcp = frame->data + L4;
    frame->tcp_flags &= (uint8_t)~FRAME_TCP_URG;
    tcp[13] = frame->tcp_flags;
    put16(tcp + 18, 0);
    frame_fill_checksum(frame);
}

void frame_limit_window(uint8_t *data, size_t size, uint16_t most)
{
    uint8_t *tcp = data + L4;
    if (size < L4 + TCP_HEADER || get16(data + 12) != ETHERTYPE_IPV4 || data[FRAME_ETHER] != 0x45 ||
        data[FRAME_ETHER + 9] != PROTO_TCP || get16(tcp + 14) <= most)
        return;
    // RFC 1624: the sum changes by what the field does.
    uint32_t sum = (uint16_t)~get16(tcp + 16) + (uint32_t)(uint16_t)~get16(tcp + 14) + most;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    put16(tcp + 14, most);
    put16(tcp + 16, (uint16_t)~sum);
}

// libslirp derives hardware addresses of its own the same way, so that the guest sees one for each.
static void put_ether(uint8_t *out, const uint8_t guest_mac[FRAME_MAC], uint32_t from)
{
    memcpy(out, guest_mac, FRAME_MAC);
    put16(out + FRAME_MAC, 0x5255);
    put32(out + FRAME_MAC + 2, from);
    put16(out + 12, ETHERTYPE_IPV4);
}

static void put_ip(uint8_t *ip, uint8_t protocol, uint32_t from, size_t total)
{
    memset(ip, 0, FRAME_IP);
    ip[0] = 0x45;
    put16(ip + 2, (uint16_t)total);
    put16(ip + 6, 0x4000);
    ip[8] = 64;
    ip[9] = protocol;
    put32(ip + 12, from);
    put32(ip + 16, NETPLAN_GUEST_IP);
    put_checksum(ip + 10, checksum(ip, FRAME_IP));
}

size_t frame_build_unreachable(const struct frame *about, uint8_t out[FRAME_UNREACHABLE_SIZE])
{
    uint8_t *icmp = out + L4;
    size_t quoted = about->size - FRAME_ETHER;
    if (quoted > FRAME_IP + 8)
        quoted = FRAME_IP + 8;
    size_t size = ICMP_HEADER + quoted;
    put_ether(out, about->data + FRAME_MAC, NETPLAN_GATEWAY_IP);
    put_ip(out + FRAME_ETHER, PROTO_ICMP, NETPLAN_GATEWAY_IP, FRAME_IP + size);
    memset(icmp, 0, ICMP_HEADER);
    icmp[0] = ICMP_UNREACHABLE;
    icmp[1] = ICMP_ADMIN_PROHIBITED;
    memcpy(icmp + ICMP_HEADER, about->data + FRAME_ETHER, quoted);
    put_checksum(icmp + 2, checksum(icmp, size));
    return L4 + size;
}

size_t frame_build_dns(const uint8_t guest_mac[FRAME_MAC], uint16_t guest_port, const void *payload,
                       size_t payload_size, uint8_t *out, size_t out_size)
{
    size_t size = L4 + FRAME_UDP + payload_size;
    if (payload_size > FRAME_PAYLOAD_MAX || size > out_size)
        return 0;
    uint8_t *udp = out + L4;
    put_ether(out, guest_mac, NETPLAN_DNS_IP);
    put_ip(out + FRAME_ETHER, PROTO_UDP, NETPLAN_DNS_IP, size - FRAME_ETHER);
    put16(udp, 53);
    put16(udp + 2, guest_port);
    put16(udp + 4, (uint16_t)(FRAME_UDP + payload_size));
    memcpy(udp + FRAME_UDP, payload, payload_size);
    struct frame frame = {.kind = FRAME_KIND_UDP, .data = out, .size = size};
    frame_fill_checksum(&frame);
    return size;
}
