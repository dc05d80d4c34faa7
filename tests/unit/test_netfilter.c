// SPDX-License-Identifier: Apache-2.0
// Unit: netstack/frame, netstack/filter, netstack/flows, netstack/opened.
#include "unit.h"

#include "netstack/bytes.h"
#include "netstack/filter.h"
#include "netstack/flows.h"

#define PUBLIC 0x08080808u
#define OTHER 0x08080404u
#define LAN 0xc0a80105u
#define HOST_PUBLIC 0x09090909u
#define TCP 6
#define UDP 17
#define ICMP 1

struct packet {
    uint8_t data[200];
    size_t size;
};

static uint16_t checksum_of(const uint8_t *data, size_t size)
{
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < size; i += 2)
        sum += get16(data + i);
    if (size % 2)
        sum += (uint32_t)data[size - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void seal(struct packet *packet)
{
    uint8_t *ip = packet->data + FRAME_ETHER;
    put16(ip + 10, 0);
    put16(ip + 10, checksum_of(ip, FRAME_IP));
}

static struct packet make_ip(uint8_t protocol, uint32_t src, uint32_t dst, size_t l4_size)
{
    struct packet packet = {.size = FRAME_ETHER + FRAME_IP + l4_size};
    uint8_t *ip = packet.data + FRAME_ETHER;
    memcpy(packet.data, "\x52\x55\x0a\x00\x02\x02\x02\x00\x00\x00\x00\x07\x08\x00", FRAME_ETHER);
    ip[0] = 0x45;
    put16(ip + 2, (uint16_t)(FRAME_IP + l4_size));
    ip[6] = 0x40;
    ip[8] = 64;
    ip[9] = protocol;
    put32(ip + 12, src);
    put32(ip + 16, dst);
    seal(&packet);
    return packet;
}

static struct packet make_tcp(uint32_t dst, uint16_t port, uint8_t flags)
{
    struct packet packet = make_ip(TCP, NETPLAN_GUEST_IP, dst, 20);
    uint8_t *tcp = packet.data + FRAME_ETHER + FRAME_IP;
    put16(tcp, 40000);
    put16(tcp + 2, port);
    tcp[12] = 0x50;
    tcp[13] = flags;
    return packet;
}

static struct packet make_udp(uint32_t src, uint32_t dst, uint16_t port)
{
    struct packet packet = make_ip(UDP, src, dst, 8 + 4);
    uint8_t *udp = packet.data + FRAME_ETHER + FRAME_IP;
    put16(udp, 40000);
    put16(udp + 2, port);
    put16(udp + 4, 12);
    memcpy(udp + 8, "data", 4);
    return packet;
}

static struct packet make_ping(uint32_t src, uint32_t dst)
{
    struct packet packet = make_ip(ICMP, src, dst, 8);
    packet.data[FRAME_ETHER + FRAME_IP] = 8;
    return packet;
}

static struct packet make_arp(uint32_t sender)
{
    struct packet packet = {.size = FRAME_ETHER + 28};
    memcpy(packet.data, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x07\x08\x06", FRAME_ETHER);
    memcpy(packet.data + FRAME_ETHER, "\0\1\x08\0\6\4\0\1\x02\x00\x00\x00\x00\x07", 14);
    put32(packet.data + FRAME_ETHER + 14, sender);
    return packet;
}

// The verdict, or -1 when it is not even a frame.
static int judge_at(struct filter *filter, struct packet packet, int64_t now_ms)
{
    // Of its exact size on the heap, so that a sanitizer sees each byte beyond.
    cleanup_free uint8_t *data = malloc(packet.size);
    memcpy(data, packet.data, packet.size);
    struct frame frame;
    if (frame_parse(data, packet.size, &frame) < 0)
        return -1;
    return (int)filter_outgoing(filter, &frame, now_ms);
}

static int judge(struct filter *filter, struct packet packet)
{
    return judge_at(filter, packet, 0);
}

static uint32_t host_addrs[] = {0x7f000001, HOST_PUBLIC};
static struct hosts hosts = {.addrs = host_addrs, .count = 2};

static struct filter internet(void)
{
    return (struct filter){.hosts = &hosts, .ping = true};
}

static void internet_passes_public_addresses(void **state)
{
    (void)state;
    struct filter filter = internet();
    assert_int_equal(judge(&filter, make_tcp(PUBLIC, 80, FRAME_TCP_SYN)), FILTER_PASS);
    assert_int_equal(judge(&filter, make_udp(NETPLAN_GUEST_IP, PUBLIC, 53)), FILTER_PASS);
    assert_int_equal(judge(&filter, make_ping(NETPLAN_GUEST_IP, PUBLIC)), FILTER_PASS);
    filter.ping = false;
    assert_int_equal(judge(&filter, make_ping(NETPLAN_GUEST_IP, PUBLIC)), FILTER_REFUSE);
}

static void internet_with_a_list_reaches_that_besides(void **state)
{
    (void)state;
    static const char *const texts[] = {"192.168.1.5:80", "10.0.2.2:9000", "10.0.2.0/24",
                                        "9.9.9.9"};
    cleanup_netrules struct netrules *rules = NULL;
    assert_int_equal(netrules_parse(texts, ARRAY_SIZE(texts), &rules, NULL), 0);
    struct filter filter = internet();
    assert_false(filter_opens_machine(&filter, 0));
    filter.extra = rules;
    static const struct {
        uint32_t addr;
        uint16_t port;
        int verdict;
    } rows[] = {
        {PUBLIC, 80, FILTER_PASS},
        {LAN, 80, FILTER_PASS},
        {LAN, 81, FILTER_REFUSE},
        {NETPLAN_GATEWAY_IP, 9000, FILTER_PASS},
        {NETPLAN_GATEWAY_IP, 9001, FILTER_REFUSE},
        {0x0a000207, 9000, FILTER_REFUSE},
        {HOST_PUBLIC, 80, FILTER_REFUSE},
        {0x7f000001, 9000, FILTER_REFUSE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(judge(&filter, make_tcp(rows[i].addr, rows[i].port, FRAME_TCP_SYN)),
                         rows[i].verdict);
    assert_int_equal(judge(&filter, make_udp(NETPLAN_GUEST_IP, NETPLAN_GATEWAY_IP, 9000)),
                     FILTER_REFUSE);
    // Only beside `internet`: a list that is all there is never opens this machine.
    filter.extra = NULL;
    filter.rules = rules;
    assert_int_equal(judge(&filter, make_tcp(NETPLAN_GATEWAY_IP, 9000, FRAME_TCP_SYN)),
                     FILTER_REFUSE);
}

static void internet_refuses_what_is_not_public(void **state)
{
    (void)state;
    struct filter filter = internet();
    static const uint32_t refused[] = {LAN,        HOST_PUBLIC, 0x7f000001, 0x7f010203, 0xa9fea9fe,
                                       0,          0x0a000001,  0x0a000201, 0x0a00020f, 0xac100001,
                                       0x64400001, 0xa83f8110,  0xf0000001, 0xfffffffe};
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        assert_int_equal(judge(&filter, make_tcp(refused[i], 80, FRAME_TCP_SYN)), FILTER_REFUSE);
        assert_int_equal(judge(&filter, make_tcp(refused[i], 80, 0x52)), FILTER_REFUSE);
        assert_int_equal(judge(&filter, make_udp(NETPLAN_GUEST_IP, refused[i], 80)), FILTER_REFUSE);
        assert_int_equal(judge(&filter, make_ping(NETPLAN_GUEST_IP, refused[i])), FILTER_REFUSE);
    }
    static const uint32_t groups[] = {0xe0000001, 0xefffffff, 0xffffffff, 0x0a0002ff};
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
        assert_int_equal(judge(&filter, make_udp(NETPLAN_GUEST_IP, groups[i], 80)), FILTER_DROP);
}

static void our_own_addresses_offer_names_and_pings(void **state)
{
    (void)state;
    struct filter filter = internet();
    assert_int_equal(judge(&filter, make_udp(NETPLAN_GUEST_IP, NETPLAN_DNS_IP, 53)), FILTER_DNS);
    assert_int_equal(judge(&filter, make_tcp(NETPLAN_DNS_IP, 53, FRAME_TCP_SYN)), FILTER_PASS);
    assert_int_equal(judge(&filter, make_tcp(NETPLAN_DNS_IP, 54, FRAME_TCP_SYN)), FILTER_REFUSE);
    assert_int_equal(judge(&filter, make_udp(NETPLAN_GUEST_IP, NETPLAN_DNS_IP, 67)), FILTER_REFUSE);
    assert_int_equal(judge(&filter, make_ping(NETPLAN_GUEST_IP, NETPLAN_DNS_IP)), FILTER_PASS);
    assert_int_equal(judge(&filter, make_ping(NETPLAN_GUEST_IP, NETPLAN_GATEWAY_IP)), FILTER_PASS);
    for (uint16_t port = 1; port < 1000; port++) {
        struct packet udp = make_udp(NETPLAN_GUEST_IP, NETPLAN_GATEWAY_IP, port);
        assert_int_equal(judge(&filter, udp), FILTER_REFUSE);
        struct packet tcp = make_tcp(NETPLAN_GATEWAY_IP, port, FRAME_TCP_SYN);
        assert_int_equal(judge(&filter, tcp), FILTER_REFUSE);
    }
}

static void forged_senders_are_dropped(void **state)
{
    (void)state;
    struct filter filter = internet();
    static const uint32_t forged[] = {0,   NETPLAN_DNS_IP, NETPLAN_GATEWAY_IP,
                                      LAN, PUBLIC,         0x7f000001};
    for (size_t i = 0; i < ARRAY_SIZE(forged); i++) {
        assert_int_equal(judge(&filter, make_udp(forged[i], PUBLIC, 80)), FILTER_DROP);
        assert_int_equal(judge(&filter, make_ping(forged[i], NETPLAN_GATEWAY_IP)), FILTER_DROP);
        assert_int_equal(judge(&filter, make_arp(forged[i])), FILTER_DROP);
    }
    assert_int_equal(judge(&filter, make_arp(NETPLAN_GUEST_IP)), FILTER_PASS);
    struct packet other_mac = make_arp(NETPLAN_GUEST_IP);
    other_mac.data[FRAME_MAC + 5]++;
    assert_int_equal(judge(&filter, other_mac), -1);
}

static void every_cut_of_a_frame_is_malformed(void **state)
{
    (void)state;
    struct filter filter = internet();
    const struct packet whole[] = {make_tcp(PUBLIC, 80, FRAME_TCP_SYN),
                                   make_udp(NETPLAN_GUEST_IP, PUBLIC, 80),
                                   make_ping(NETPLAN_GUEST_IP, PUBLIC), make_arp(NETPLAN_GUEST_IP)};
    for (size_t i = 0; i < ARRAY_SIZE(whole); i++) {
        for (size_t size = 1; size < whole[i].size; size++) {
            struct packet cut = whole[i];
            cut.size = size;
            assert_int_equal(judge(&filter, cut), -1);
        }
        struct packet padded = whole[i];
        padded.size += 30;
        assert_int_equal(judge(&filter, padded), FILTER_PASS);
    }
}

struct twist {
    size_t at; // in the IP header and beyond
    uint8_t value;
};

static void twisted_headers_are_malformed(void **state)
{
    (void)state;
    static const struct twist twists[] = {
        {0, 0x44},       {0, 0x46},       {0, 0x65}, // header sizes, version
        {6, 0x20},       {6, 0x80},       {6, 0x60}, // more fragments, reserved
        {7, 0x01},                                   // offset
        {8, 0x00},                                   // time to live
        {9, 2},          {9, 41},         {9, 132},  // IGMP, IPv6, SCTP
        {2, 0xff},       {3, 19},                    // lengths
        {20 + 12, 0x40}, {20 + 12, 0x60},            // TCP's header size
        {20 + 13, 0x03}, {20 + 13, 0x06},            // SYN with FIN, with RST
    };
    struct filter filter = internet();
    for (size_t i = 0; i < ARRAY_SIZE(twists); i++) {
        struct packet packet = make_tcp(PUBLIC, 80, FRAME_TCP_SYN);
        packet.data[FRAME_ETHER + twists[i].at] = twists[i].value;
        seal(&packet);
        if (judge(&filter, packet) != -1)
            fail_msg("twist %zu", i);
    }
    struct packet bad_sum = make_tcp(PUBLIC, 80, FRAME_TCP_SYN);
    bad_sum.data[FRAME_ETHER + 10] ^= 1;
    assert_int_equal(judge(&filter, bad_sum), -1);
    struct packet tagged = make_tcp(PUBLIC, 80, FRAME_TCP_SYN);
    tagged.data[12] = 0x81;
    assert_int_equal(judge(&filter, tagged), -1);
    struct packet port_zero = make_tcp(PUBLIC, 0, FRAME_TCP_SYN);
    assert_int_equal(judge(&filter, port_zero), -1);
    struct packet group = make_tcp(PUBLIC, 80, FRAME_TCP_SYN);
    group.data[FRAME_MAC] |= 1;
    assert_int_equal(judge(&filter, group), -1);
    struct packet udp_size = make_udp(NETPLAN_GUEST_IP, PUBLIC, 80);
    udp_size.data[FRAME_ETHER + FRAME_IP + 5] = 11;
    assert_int_equal(judge(&filter, udp_size), -1);
    struct packet reply = make_ping(NETPLAN_GUEST_IP, PUBLIC);
    reply.data[FRAME_ETHER + FRAME_IP] = 0;
    assert_int_equal(judge(&filter, reply), -1);
}

static struct netrules *rules_of(const char *const *texts, size_t count)
{
    struct netrules *rules;
    assert_int_equal(netrules_parse(texts, count, &rules, NULL), 0);
    return rules;
}

static void allow_opens_by_numbers_but_never_the_host(void **state)
{
    (void)state;
    const char *texts[] = {"8.8.8.8:443", "192.168.1.0/24", "0.0.0.0/0:9"};
    cleanup_netrules struct netrules *rules = rules_of(texts, 3);
    struct filter filter = internet();
    filter.rules = rules;
    assert_int_equal(judge(&filter, make_tcp(PUBLIC, 443, FRAME_TCP_SYN)), FILTER_PASS);
    assert_int_equal(judge(&filter, make_tcp(PUBLIC, 80, FRAME_TCP_SYN)), FILTER_REFUSE);
    assert_int_equal(judge(&filter, make_ping(NETPLAN_GUEST_IP, PUBLIC)), FILTER_REFUSE);
    assert_int_equal(judge(&filter, make_tcp(LAN, 80, FRAME_TCP_SYN)), FILTER_PASS);
    assert_int_equal(judge(&filter, make_ping(NETPLAN_GUEST_IP, LAN)), FILTER_PASS);
    static const uint32_t never[] = {HOST_PUBLIC, 0x7f000001, 0xa9fea9fe, 0x0a000209, 0xa83f8110};
    for (size_t i = 0; i < ARRAY_SIZE(never); i++)
        assert_int_equal(judge(&filter, make_tcp(never[i], 9, FRAME_TCP_SYN)), FILTER_REFUSE);
    assert_int_equal(judge(&filter, make_tcp(NETPLAN_DNS_IP, 53, FRAME_TCP_SYN)), FILTER_REFUSE);
    assert_int_equal(judge(&filter, make_udp(NETPLAN_GUEST_IP, NETPLAN_DNS_IP, 53)), FILTER_DNS);
}

static void allow_opens_by_names_for_a_time(void **state)
{
    (void)state;
    const char *texts[] = {"example.com"};
    cleanup_netrules struct netrules *rules = rules_of(texts, 1);
    struct filter filter = internet();
    filter.rules = rules;
    opened_init(&filter.opened, 7);
    struct packet syn = make_tcp(PUBLIC, 443, FRAME_TCP_SYN);
    assert_int_equal(judge_at(&filter, syn, 0), FILTER_REFUSE);
    opened_add(&filter.opened, PUBLIC, 443, 5, 0);
    opened_add(&filter.opened, LAN, 0, 5, 0);
    opened_add(&filter.opened, HOST_PUBLIC, 0, 5, 0);
    opened_add(&filter.opened, 0x7f000001, 0, 5, 0);
    assert_int_equal(judge_at(&filter, make_tcp(LAN, 443, FRAME_TCP_SYN), 1), FILTER_REFUSE);
    assert_int_equal(judge_at(&filter, make_tcp(HOST_PUBLIC, 443, FRAME_TCP_SYN), 1),
                     FILTER_REFUSE);
    assert_int_equal(judge_at(&filter, make_tcp(0x7f000001, 443, FRAME_TCP_SYN), 1), FILTER_REFUSE);
    assert_int_equal(judge_at(&filter, make_tcp(PUBLIC, 80, FRAME_TCP_SYN), 1), FILTER_REFUSE);
    assert_int_equal(judge_at(&filter, syn, 59999), FILTER_PASS);
    assert_int_equal(judge_at(&filter, syn, 119998), FILTER_PASS); // used, so it stayed open
    assert_int_equal(judge_at(&filter, syn, 119998 + 60000), FILTER_REFUSE);
    // What lives goes on, also after its time; it can't begin anything.
    struct packet data = make_tcp(PUBLIC, 443, FRAME_TCP_ACK);
    assert_int_equal(judge_at(&filter, data, 1 << 30), FILTER_PASS);
    assert_int_equal(judge_at(&filter, make_tcp(HOST_PUBLIC, 443, FRAME_TCP_ACK), 1),
                     FILTER_REFUSE);
}

static bool comes_in(const struct filter *filter, uint8_t protocol, uint32_t src, uint8_t type)
{
    struct packet packet = make_ip(protocol, src, NETPLAN_GUEST_IP, 8);
    packet.data[FRAME_ETHER + FRAME_IP] = type;
    return filter_incoming(filter, packet.data, packet.size, 0);
}

static void strangers_datagrams_do_not_come_in(void **state)
{
    (void)state;
    struct filter filter = internet();
    assert_true(comes_in(&filter, UDP, PUBLIC, 0));
    assert_true(comes_in(&filter, TCP, LAN, 0));
    assert_true(comes_in(&filter, ICMP, LAN, 3));
    assert_true(comes_in(&filter, ICMP, NETPLAN_GATEWAY_IP, 0));
    assert_false(comes_in(&filter, ICMP, LAN, 0));
    static const uint32_t strangers[] = {
        LAN, HOST_PUBLIC, NETPLAN_DNS_IP, NETPLAN_GATEWAY_IP, 0x7f000001, 0xa9fea9fe};
    for (size_t i = 0; i < ARRAY_SIZE(strangers); i++)
        assert_false(comes_in(&filter, UDP, strangers[i], 0));
    const char *texts[] = {"8.8.8.8:53", "example.com"};
    cleanup_netrules struct netrules *rules = rules_of(texts, 2);
    filter.rules = rules;
    assert_true(comes_in(&filter, UDP, PUBLIC, 0));
    assert_false(comes_in(&filter, UDP, OTHER, 0));
    opened_add(&filter.opened, OTHER, 443, 60, 0);
    assert_true(comes_in(&filter, UDP, OTHER, 0));
    struct packet elsewhere = make_ip(TCP, PUBLIC, OTHER, 8);
    assert_false(filter_incoming(&filter, elsewhere.data, elsewhere.size, 0));
    for (size_t size = 0; size < FRAME_ETHER + FRAME_IP; size++) {
        struct packet cut = make_ip(TCP, PUBLIC, NETPLAN_GUEST_IP, 8);
        assert_false(filter_incoming(&filter, cut.data, size, 0));
    }
}

static void refusals_quote_and_sum_up(void **state)
{
    (void)state;
    struct packet packet = make_tcp(LAN, 80, FRAME_TCP_SYN);
    struct frame frame;
    uint8_t out[FRAME_UNREACHABLE_SIZE];
    assert_int_equal(frame_parse(packet.data, packet.size, &frame), 0);
    size_t size = frame_build_unreachable(&frame, out);
    assert_int_equal(size, FRAME_UNREACHABLE_SIZE);
    assert_memory_equal(out, packet.data + FRAME_MAC, FRAME_MAC);
    const uint8_t *ip = out + FRAME_ETHER, *icmp = ip + FRAME_IP;
    assert_int_equal(checksum_of(ip, FRAME_IP), 0);
    assert_int_equal(checksum_of(icmp, size - FRAME_ETHER - FRAME_IP), 0);
    assert_int_equal(icmp[0], 3);
    assert_int_equal(icmp[1], 13);
    assert_memory_equal(icmp + 8, packet.data + FRAME_ETHER, FRAME_IP + 8);
}

static uint16_t l4_sum(const struct packet *packet)
{
    uint8_t pseudo[12 + 200];
    size_t size = packet->size - FRAME_ETHER - FRAME_IP;
    memcpy(pseudo, packet->data + FRAME_ETHER + 12, 8);
    put16(pseudo + 8, packet->data[FRAME_ETHER + 9]);
    put16(pseudo + 10, (uint16_t)size);
    memcpy(pseudo + 12, packet->data + FRAME_ETHER + FRAME_IP, size);
    return checksum_of(pseudo, 12 + size);
}

static void checksums_are_filled_in(void **state)
{
    (void)state;
    struct packet packets[] = {make_tcp(PUBLIC, 80, FRAME_TCP_SYN | FRAME_TCP_URG),
                               make_udp(NETPLAN_GUEST_IP, PUBLIC, 80)};
    put16(packets[0].data + FRAME_ETHER + FRAME_IP + 18, 77);
    for (size_t i = 0; i < 2; i++) {
        struct frame frame;
        assert_int_equal(frame_parse(packets[i].data, packets[i].size, &frame), 0);
        frame_fill_checksum(&frame);
        assert_int_equal(l4_sum(&packets[i]), 0);
        frame_clear_urgent(&frame);
        assert_int_equal(l4_sum(&packets[i]), 0);
    }
    const uint8_t *tcp = packets[0].data + FRAME_ETHER + FRAME_IP;
    assert_int_equal(tcp[13], FRAME_TCP_SYN);
    assert_int_equal(get16(tcp + 18), 0);
}

static void windows_are_limited(void **state)
{
    (void)state;
    struct packet packet = make_tcp(PUBLIC, 80, FRAME_TCP_ACK);
    uint8_t *window = packet.data + FRAME_ETHER + FRAME_IP + 14;
    put16(window, 0xffff);
    struct frame frame;
    assert_int_equal(frame_parse(packet.data, packet.size, &frame), 0);
    frame_fill_checksum(&frame);
    frame_limit_window(packet.data, packet.size, 5000);
    assert_int_equal(get16(window), 5000);
    assert_int_equal(l4_sum(&packet), 0);
    frame_limit_window(packet.data, packet.size, 6000);
    assert_int_equal(get16(window), 5000);
    for (size_t size = 0; size < packet.size; size++)
        frame_limit_window(packet.data, size, 1);
    assert_int_equal(get16(window), 5000);
}

static void answers_of_names_are_whole_datagrams(void **state)
{
    (void)state;
    struct packet packet = {0};
    static const uint8_t mac[FRAME_MAC] = {2, 0, 0, 0, 0, 7};
    packet.size = frame_build_dns(mac, 4321, "abc", 3, packet.data, sizeof(packet.data));
    assert_int_equal(packet.size, FRAME_ETHER + FRAME_IP + FRAME_UDP + 3);
    assert_int_equal(l4_sum(&packet), 0);
    assert_int_equal(checksum_of(packet.data + FRAME_ETHER, FRAME_IP), 0);
    assert_int_equal(frame_build_dns(mac, 1, "abc", 3, packet.data, 44), 0);
    static uint8_t huge[70000], out[FRAME_MAX];
    assert_int_equal(frame_build_dns(mac, 1, huge, FRAME_PAYLOAD_MAX + 1, out, sizeof(out)), 0);
    assert_true(frame_build_dns(mac, 1, huge, FRAME_PAYLOAD_MAX, out, sizeof(out)) > 65000);
}

static void opened_table_forgets_the_least_used(void **state)
{
    (void)state;
    static struct opened opened;
    opened_init(&opened, 1);
    for (uint32_t i = 0; i < 100000; i++)
        opened_add(&opened, 0x08000000 + i, 0, 3600, i);
    size_t left = 0;
    for (uint32_t i = 0; i < 100000; i++)
        left += opened_has(&opened, 0x08000000 + i, 100000);
    assert_int_equal(left, OPENED_SETS * OPENED_WAYS);
    assert_true(opened_has(&opened, 0x08000000 + 99999, 100000));
    // TTLs beyond a day count as one.
    opened_add(&opened, OTHER, 0, UINT32_MAX, 0);
    assert_true(opened_has(&opened, OTHER, OPENED_MAX_MS - 1));
    assert_false(opened_has(&opened, OTHER, OPENED_MAX_MS));
}

static struct frame frame_of(struct packet *packet)
{
    struct frame frame;
    assert_int_equal(frame_parse(packet->data, packet->size, &frame), 0);
    return frame;
}

static void flows_are_counted_and_bounded(void **state)
{
    (void)state;
    static struct flows flows;
    struct packet udp = make_udp(NETPLAN_GUEST_IP, PUBLIC, 80);
    struct packet syn = make_tcp(PUBLIC, 80, FRAME_TCP_SYN);
    struct packet data = make_tcp(PUBLIC, 80, FRAME_TCP_ACK);
    struct packet ping = make_ping(NETPLAN_GUEST_IP, PUBLIC);
    struct frame udp_frame = frame_of(&udp), syn_frame = frame_of(&syn);
    struct frame data_frame = frame_of(&data), ping_frame = frame_of(&ping);
    assert_false(flows_any(&flows));
    for (int i = 0; i < FLOWS_TCP_MAX; i++) {
        assert_false(flows_full_for(&flows, &syn_frame));
        flows_handle(&flows, &syn_frame);
        flows_opened(&flows, 10 + i);
    }
    assert_true(flows_full_for(&flows, &syn_frame));
    assert_false(flows_full_for(&flows, &data_frame));
    for (int i = 0; i < FLOWS_UDP_MAX; i++) {
        assert_false(flows_full_for(&flows, &udp_frame));
        udp_frame.sport = (uint16_t)(1000 + i);
        flows_handle(&flows, &udp_frame);
        flows_opened(&flows, 600 + i);
    }
    assert_false(flows_full_for(&flows, &udp_frame)); // has its socket
    udp_frame.sport = 999;
    assert_true(flows_full_for(&flows, &udp_frame));
    assert_false(flows_full_for(&flows, &ping_frame));
    flows_closed(&flows, 600);
    flows_closed(&flows, 600);
    flows_closed(&flows, -1);
    flows_closed(&flows, 1 << 20);
    assert_int_equal(flows.counts[FRAME_KIND_UDP], FLOWS_UDP_MAX - 1);
    assert_false(flows_full_for(&flows, &udp_frame));
    flows_handle(&flows, &udp_frame);
    flows_opened(&flows, 5);
    udp_frame.sport = 1000; // its socket was closed
    assert_true(flows_full_for(&flows, &udp_frame));
    assert_true(flows_any(&flows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(internet_passes_public_addresses),
        cmocka_unit_test(internet_refuses_what_is_not_public),
        cmocka_unit_test(internet_with_a_list_reaches_that_besides),
        cmocka_unit_test(our_own_addresses_offer_names_and_pings),
        cmocka_unit_test(forged_senders_are_dropped),
        cmocka_unit_test(every_cut_of_a_frame_is_malformed),
        cmocka_unit_test(twisted_headers_are_malformed),
        cmocka_unit_test(allow_opens_by_numbers_but_never_the_host),
        cmocka_unit_test(allow_opens_by_names_for_a_time),
        cmocka_unit_test(strangers_datagrams_do_not_come_in),
        cmocka_unit_test(refusals_quote_and_sum_up),
        cmocka_unit_test(checksums_are_filled_in),
        cmocka_unit_test(windows_are_limited),
        cmocka_unit_test(answers_of_names_are_whole_datagrams),
        cmocka_unit_test(opened_table_forgets_the_least_used),
        cmocka_unit_test(flows_are_counted_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
