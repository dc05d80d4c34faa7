// SPDX-License-Identifier: Apache-2.0
// The decisions, in the order in which a reader would want to be sure of them. Layer: netstack.
#include "netstack/filter.h"

#include "base/netranges.h"
#include "netstack/bytes.h"

static bool in_network(uint32_t addr)
{
    return (addr & NETPLAN_NETMASK_IP) == NETPLAN_NETWORK_IP;
}

// Never, by no rule: the machine itself, metadata services, and our own private network's other
// hosts.
static bool out_of_bounds(const struct filter *filter, uint32_t addr)
{
    return netrange_never(addr) || in_network(addr) || hosts_have(filter->hosts, addr);
}

// Port 0: for what has none. Using an opened address keeps it open.
static bool may_reach(struct filter *filter, uint32_t addr, uint16_t port, int64_t now_ms)
{
    if (out_of_bounds(filter, addr))
        return false;
    if (!filter->rules)
        return !netrange_private(addr) ||
               (filter->extra && netrules_cover(filter->extra, addr, port));
    if (netrules_cover(filter->rules, addr, port))
        return true;
    // A name that resolves to a private address is rebinding, not a wish.
    return !netrange_private(addr) && opened_use(&filter->opened, addr, port, now_ms);
}

// A port of this machine's own loopback, which libslirp has behind the gateway's address: only
// where a rule names exactly that. Port 0: any such.
bool filter_opens_machine(const struct filter *filter, uint16_t port)
{
    for (size_t i = 0; filter->extra && i < filter->extra->count; i++) {
        const struct netrule *rule = &filter->extra->rule[i];
        if (!rule->name && rule->addr == NETPLAN_GATEWAY_IP && rule->mask == UINT32_MAX &&
            rule->port && (rule->port == port || port == 0))
            return true;
    }
    return false;
}

static enum filter_verdict outgoing_gateway(const struct filter *filter, const struct frame *frame)
{
    if (frame->kind == FRAME_KIND_PING)
        return FILTER_PASS;
    bool open =
        frame->kind == FRAME_KIND_TCP && frame->dport && filter_opens_machine(filter, frame->dport);
    return open ? FILTER_PASS : FILTER_REFUSE;
}

static enum filter_verdict outgoing_dns(const struct filter *filter, const struct frame *frame)
{
    if (frame->kind == FRAME_KIND_PING)
        return FILTER_PASS;
    if (frame->dport != 53)
        return FILTER_REFUSE;
    if (frame->kind == FRAME_KIND_UDP)
        return FILTER_DNS;
    // Names can't be checked in a stream: only where none are.
    return filter->rules ? FILTER_REFUSE : FILTER_PASS;
}

static enum filter_verdict outgoing_tcp(struct filter *filter, const struct frame *frame,
                                        int64_t now_ms)
{
    if (may_reach(filter, frame->dst, frame->dport, now_ms))
        return FILTER_PASS;
    // A connection that was let through goes on when its name's time is over. libslirp makes new
    // ones from SYN alone and answers all else that it does not know with a reset, by itself.
    bool living = !(frame->tcp_flags & FRAME_TCP_SYN) && !out_of_bounds(filter, frame->dst);
    return living ? FILTER_PASS : FILTER_REFUSE;
}

enum filter_verdict filter_outgoing(struct filter *filter, const struct frame *frame,
                                    int64_t now_ms)
{
    if (frame->src != NETPLAN_GUEST_IP)
        return FILTER_DROP;
    if (frame->kind == FRAME_KIND_ARP)
        return FILTER_PASS;
    // Nobody answers to a group (RFC 1122, 3.2.2).
    if (frame->dst == (NETPLAN_NETWORK_IP | ~NETPLAN_NETMASK_IP) || frame->dst == UINT32_MAX ||
        frame->dst >> 28 == 0xe)
        return FILTER_DROP;
    if (frame->dst == NETPLAN_DNS_IP)
        return outgoing_dns(filter, frame);
    if (frame->dst == NETPLAN_GATEWAY_IP)
        return outgoing_gateway(filter, frame);
    if (frame->kind == FRAME_KIND_TCP)
        return outgoing_tcp(filter, frame, now_ms);
    if (frame->kind == FRAME_KIND_PING && !filter->ping)
        return FILTER_REFUSE;
    return may_reach(filter, frame->dst, frame->dport, now_ms) ? FILTER_PASS : FILTER_REFUSE;
}

static bool answers(const struct netrules *rules, uint32_t addr)
{
    for (size_t i = 0; rules && i < rules->count; i++) {
        const struct netrule *rule = &rules->rule[i];
        if (!rule->name && (addr & rule->mask) == rule->addr)
            return true;
    }
    return false;
}

// As may_reach() for any port, and without keeping anything open.
static bool may_answer(const struct filter *filter, uint32_t addr, int64_t now_ms)
{
    if (out_of_bounds(filter, addr))
        return false;
    if (!filter->rules)
        return !netrange_private(addr) || answers(filter->extra, addr);
    return answers(filter->rules, addr) ||
           (!netrange_private(addr) && opened_has(&filter->opened, addr, now_ms));
}

#define PROTO_ICMP 1
#define PROTO_TCP 6
#define ICMP_ECHO_REPLY 0

bool filter_incoming(const struct filter *filter, const uint8_t *data, size_t size, int64_t now_ms)
{
    if (size < FRAME_ETHER)
        return false;
    if (get16(data + 12) == 0x0806)
        return true;
    if (get16(data + 12) != 0x0800 || size < FRAME_ETHER + FRAME_IP + 1)
        return false;
    const uint8_t *ip = data + FRAME_ETHER;
    uint32_t from = get32(ip + 12);
    if (get32(ip + 16) != NETPLAN_GUEST_IP)
        return false;
    // TCP is only ever an answer; errors come from any router between.
    if (ip[9] == PROTO_TCP || (ip[9] == PROTO_ICMP && ip[FRAME_IP] != ICMP_ECHO_REPLY))
        return true;
    if (ip[9] == PROTO_ICMP && (from == NETPLAN_GATEWAY_IP || from == NETPLAN_DNS_IP))
        return true;
    return may_answer(filter, from, now_ms);
}
