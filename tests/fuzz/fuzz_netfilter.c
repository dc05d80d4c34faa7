// SPDX-License-Identifier: Apache-2.0
// Frames of a hostile sandbox: whatever they are, what passes goes where the mode allows. The first
// byte chooses the mode; frames follow with their length in two bytes each.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/netranges.h"
#include "netstack/bytes.h"
#include "netstack/filter.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)
#define HOST 0x09090909u
#define OPENED 0x08080808u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t host_addrs[] = {0x7f000001, HOST};
static struct hosts hosts = {.addrs = host_addrs, .count = 2};
static const char *const rules[] = {"192.168.1.0/24", "1.2.3.4:80", "example.com"};

// Written apart from the filter's own way to decide.
static bool may_leave(uint32_t dst, bool allow)
{
    if (netrange_never(dst) || dst == HOST || dst >> 8 == 0x0a0002)
        return false;
    if (!allow)
        return !netrange_private(dst);
    return dst >> 8 == 0xc0a801 || dst == 0x01020304 || dst == OPENED;
}

static void check_passed(const struct frame *frame, bool allow)
{
    const uint8_t *ip = frame->data + FRAME_ETHER;
    if (frame->kind == FRAME_KIND_ARP)
        return;
    CHECK(ip[0] == 0x45 && get16(ip + 2) == frame->size - FRAME_ETHER);
    CHECK((get16(ip + 6) & ~0x4000u) == 0);
    CHECK(get32(ip + 12) == NETPLAN_GUEST_IP);
    uint32_t dst = get32(ip + 16);
    bool ping = ip[9] == 1 && ip[FRAME_IP] == 8;
    if (dst == NETPLAN_GATEWAY_IP) {
        CHECK(ping);
    } else if (dst == NETPLAN_DNS_IP) {
        CHECK(ping || (ip[9] == 6 && get16(ip + FRAME_IP + 2) == 53 && !allow));
    } else if (ip[9] == 6 && !(ip[FRAME_IP + 13] & FRAME_TCP_SYN)) {
        CHECK(!netrange_never(dst) &&
              dst != HOST); // a connection that lives, or a reset by libslirp
    } else {
        CHECK(may_leave(dst, allow));
    }
}

static void seal(uint8_t *frame, size_t size)
{
    uint32_t sum = 0;
    if (size < FRAME_ETHER + FRAME_IP)
        return;
    put16(frame + FRAME_ETHER + 10, 0);
    for (size_t i = 0; i < FRAME_IP; i += 2)
        sum += get16(frame + FRAME_ETHER + i);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    put16(frame + FRAME_ETHER + 10, (uint16_t)~sum);
}

static void handle(struct filter *filter, const uint8_t *data, size_t size, bool right)
{
    cleanup_free uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, data, size);
    if (right)
        seal(exact, size);
    filter_incoming(filter, exact, size, 0);
    struct frame frame;
    if (frame_parse(exact, size, &frame) < 0)
        return;
    CHECK(frame.data == exact && frame.size <= size);
    uint8_t out[FRAME_UNREACHABLE_SIZE];
    switch (filter_outgoing(filter, &frame, 0)) {
    case FILTER_PASS:
        check_passed(&frame, filter->rules);
        break;
    case FILTER_REFUSE:
        CHECK(frame_build_unreachable(&frame, out) <= sizeof(out));
        break;
    case FILTER_DNS:
        CHECK(frame.payload + frame.payload_size == exact + frame.size);
        break;
    case FILTER_DROP:
        break;
    }
    frame_fill_checksum(&frame);
    frame_clear_urgent(&frame);
    frame_limit_window(exact, size, 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct filter filter;
    static struct netrules *parsed;
    if (!parsed && netrules_parse(rules, 3, &parsed, NULL) < 0)
        abort();
    if (size < 1)
        return 0;
    filter = (struct filter){.hosts = &hosts, .ping = true, .rules = data[0] & 1 ? parsed : NULL};
    opened_add(&filter.opened, OPENED, 0, 60, 0);
    opened_add(&filter.opened, HOST, 0, 60, 0);
    opened_add(&filter.opened, 0x0a000001, 0, 60, 0);
    bool right = data[0] & 2;
    data++, size--;
    while (size >= 2) {
        size_t take = get16(data);
        data += 2, size -= 2;
        take = take < size ? take : size;
        handle(&filter, data, take, right);
        data += take, size -= take;
    }
    return 0;
}
