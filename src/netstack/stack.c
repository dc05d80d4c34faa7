// SPDX-License-Identifier: Apache-2.0
/*
 * The loop: frames of the sandbox go through the filter to libslirp or to the name service; what
 * comes back goes through the filter to the sandbox. One thread, nothing blocks. libslirp is driven
 * with nothing enabled that it would offer by itself: no DHCP, TFTP, emulation, forwarding, IPv6;
 * TCP queries to the name server (mode `internet` only) are the one thing it translates. Layer:
 * netstack.
 */
#include "netstack/stack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "netstack/device.h"
#include "netstack/filter.h"
#include "netstack/flows.h"
#include "netstack/frame.h"
#include "netstack/hosts.h"
#include "netstack/pollset.h"
#include "netstack/relay.h"

#define FRAMES_A_ROUND 64
#define REFUSALS_PER_SECOND 1000
#define WINDOW_MIN 4096

struct stack {
    Slirp *slirp;
    int leash_fd;
    int64_t now_ms; // of this round
    struct device device;
    struct hosts hosts;
    struct filter filter;
    struct flows flows;
    struct relay relay;
    struct pollset pollset;
    int64_t refusals_second;
    unsigned refusals;
    size_t room;              // device_room()
    uint8_t frame[FRAME_MAX]; // from the sandbox
    uint8_t out[FRAME_MAX];   // to it
};

// What all connections together may have on the way to us: their frames take more memory than they
// have bytes, and what is lost is sent again only after a fifth of a second.
static uint16_t window_share(const struct stack *stack)
{
    size_t share = stack->room / 2 / (stack->flows.counts[FRAME_KIND_TCP] + 1);
    return (uint16_t)(share > UINT16_MAX ? UINT16_MAX : share < WINDOW_MIN ? WINDOW_MIN : share);
}

static void send_limited(struct stack *stack, const void *data, size_t size)
{
    memcpy(stack->out, data, size);
    frame_limit_window(stack->out, size, window_share(stack));
    device_write(&stack->device, stack->out, size);
}

static ssize_t on_send(const void *data, size_t size, void *opaque)
{
    struct stack *stack = opaque;
    if (!filter_incoming(&stack->filter, data, size, stack->now_ms))
        return (ssize_t)size;
    if (stack->device.packet && size <= sizeof(stack->out))
        send_limited(stack, data, size);
    else
        device_write(&stack->device, data, size);
    return (ssize_t)size;
}

static void on_guest_error(const char *message, void *opaque)
{
    (void)message;
    (void)opaque;
}

static int64_t on_clock(void *opaque)
{
    (void)opaque;
    return clock_boot_ns();
}

// Timers are for IPv6's router advertisements alone.
static void *on_timer_new(SlirpTimerCb callback, void *callback_opaque, void *opaque)
{
    (void)callback;
    (void)callback_opaque;
    return opaque;
}

static void on_timer_free(void *timer, void *opaque)
{
    (void)timer;
    (void)opaque;
}

static void on_timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
    (void)timer;
    (void)expire_ms;
    (void)opaque;
}

static void on_opened(int fd, void *opaque)
{
    struct stack *stack = opaque;
    flows_opened(&stack->flows, fd);
}

static void on_closed(int fd, void *opaque)
{
    struct stack *stack = opaque;
    flows_closed(&stack->flows, fd);
}

static void on_notify(void *opaque)
{
    (void)opaque; // each round looks at everything anyway
}

static const SlirpCb callbacks = {
    .send_packet = on_send,
    .guest_error = on_guest_error,
    .clock_get_ns = on_clock,
    .timer_new = on_timer_new,
    .timer_free = on_timer_free,
    .timer_mod = on_timer_mod,
    .register_poll_fd = on_opened,
    .unregister_poll_fd = on_closed,
    .notify = on_notify,
};

static Slirp *make_slirp(struct stack *stack)
{
    SlirpConfig config = {
        .version = SLIRP_CONFIG_VERSION_MAX < 4 ? SLIRP_CONFIG_VERSION_MAX : 4,
        .in_enabled = true,
        .vnetwork.s_addr = htonl(NETPLAN_NETWORK_IP),
        .vnetmask.s_addr = htonl(NETPLAN_NETMASK_IP),
        .vhost.s_addr = htonl(NETPLAN_GATEWAY_IP),
        .vnameserver.s_addr = htonl(NETPLAN_DNS_IP),
        .if_mtu = NETPLAN_MTU,
        .if_mru = NETPLAN_MTU,
        .disable_host_loopback = !filter_opens_machine(&stack->filter, 0),
#if SLIRP_CONFIG_VERSION_MAX >= 4 // libslirp 4.7; before it the filter alone keeps DHCP out
        .disable_dhcp = true,
#endif
    };
    return slirp_new(&config, &callbacks, stack);
}

// Without ping sockets (sysctl net.ipv4.ping_group_range) libslirp would send made-up datagrams.
static bool can_ping(void)
{
    cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
    return fd >= 0;
}

static int init_filter(struct stack *stack, const struct stack_rules *rules, struct sbx_error *err)
{
    uint32_t seed;
    if (id_random(&seed, sizeof(seed)) < 0)
        return err_sys(err, 0, errno, "no random numbers");
    if (hosts_init(&stack->hosts, stack->now_ms) < 0)
        return err_sys(err, 0, errno, "cannot list this machine's addresses");
    stack->filter.rules = rules->only;
    stack->filter.extra = rules->extra;
    stack->filter.hosts = &stack->hosts;
    stack->filter.ping = can_ping();
    opened_init(&stack->filter.opened, seed);
    return 0;
}

static int init(struct stack *stack, int device_fd, const struct stack_rules *rules,
                struct sbx_error *err)
{
    stack->now_ms = clock_boot_ms();
    int code = device_init(&stack->device, device_fd, err);
    if (code == 0)
        code = init_filter(stack, rules, err);
    if (code < 0)
        return code;
    stack->room = device_room(&stack->device);
    relay_init(&stack->relay, &stack->device, &stack->filter, stack->now_ms);
    stack->slirp = make_slirp(stack);
    return stack->slirp ? 0 : err_set(err, SBX_ERR_BUG, "libslirp does not accept its settings");
}

int stack_new(int device_fd, int leash_fd, const struct stack_rules *rules, struct stack **ret,
              struct sbx_error *err)
{
    struct stack *stack = calloc(1, sizeof(*stack));
    if (!stack)
        return err_nomem(err);
    stack->leash_fd = leash_fd;
    stack->hosts.watch_fd = -1;
    int code = init(stack, device_fd, rules, err);
    if (code < 0)
        stack_free(stack);
    else
        *ret = stack;
    return code;
}

void stack_free(struct stack *stack)
{
    if (!stack)
        return;
    if (stack->slirp) {
        slirp_cleanup(stack->slirp);
        relay_deinit(&stack->relay);
    }
    hosts_deinit(&stack->hosts);
    free(stack);
}

// A refused packet is answered, so that a program sees an error at once; a flood of them is not.
static void refuse(struct stack *stack, const struct frame *frame)
{
    uint8_t out[FRAME_UNREACHABLE_SIZE];
    int64_t second = stack->now_ms / 1000;
    if (second != stack->refusals_second) {
        stack->refusals_second = second;
        stack->refusals = 0;
    }
    if (stack->refusals++ < REFUSALS_PER_SECOND)
        device_write(&stack->device, out, frame_build_unreachable(frame, out));
}

static void pass(struct stack *stack, struct frame *frame)
{
    // Silence makes TCP try again later, when something may have ended.
    if (flows_full_for(&stack->flows, frame))
        return;
    frame_clear_urgent(frame);
    flows_handle(&stack->flows, frame);
    slirp_input(stack->slirp, frame->data, (int)frame->size);
}

static void handle_frame(struct stack *stack, size_t size)
{
    struct frame frame;
    if (frame_parse(stack->frame, size, &frame) < 0)
        return;
    if (stack->device.packet)
        frame_fill_checksum(&frame);
    switch (filter_outgoing(&stack->filter, &frame, stack->now_ms)) {
    case FILTER_DROP:
        break;
    case FILTER_REFUSE:
        refuse(stack, &frame);
        break;
    case FILTER_PASS:
        pass(stack, &frame);
        break;
    case FILTER_DNS:
        relay_query(&stack->relay, &frame, stack->now_ms);
        break;
    }
}

// -1: the device is gone.
static int read_frames(struct stack *stack)
{
    for (int i = 0; i < FRAMES_A_ROUND; i++) {
        ssize_t size = device_read(&stack->device, stack->frame, sizeof(stack->frame));
        if (size <= 0)
            return (int)size;
        handle_frame(stack, (size_t)size);
    }
    return 0;
}

static int slirp_events(short events)
{
    return (events & POLLIN ? SLIRP_POLL_IN : 0) | (events & POLLOUT ? SLIRP_POLL_OUT : 0) |
           (events & POLLERR ? SLIRP_POLL_ERR : 0) | (events & POLLHUP ? SLIRP_POLL_HUP : 0);
}

// Urgent data of others is not told apart either: it comes in line.
static int on_add_poll(int fd, int events, void *opaque)
{
    short wanted =
        (short)((events & SLIRP_POLL_IN ? POLLIN : 0) | (events & SLIRP_POLL_OUT ? POLLOUT : 0));
    return pollset_add(opaque, fd, wanted);
}

static int on_get_revents(int index, void *opaque)
{
    return slirp_events(pollset_revents(opaque, index));
}

// Of two poll(2) timeouts, -1 being none.
static int sooner(int a, int b)
{
    return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

enum poll_index {
    POLL_LEASH,
    POLL_DEVICE,
    POLL_HOSTS,
};

static int wait_for_something(struct stack *stack)
{
    stack->pollset.count = 0;
    pollset_add(&stack->pollset, stack->leash_fd, POLLIN);
    pollset_add(&stack->pollset, stack->device.fd, POLLIN);
    pollset_add(&stack->pollset, stack->hosts.watch_fd, POLLIN);
    int timeout = relay_fill(&stack->relay, &stack->pollset, stack->now_ms);
    uint32_t slirp_timeout = UINT32_MAX;
    slirp_pollfds_fill(stack->slirp, &slirp_timeout, on_add_poll, &stack->pollset);
    // It would wake each second even with nothing to do.
    if (flows_any(&stack->flows))
        timeout = sooner(timeout, (int)slirp_timeout);
    return poll(stack->pollset.fds, stack->pollset.count, timeout);
}

static bool leash_cut(const struct stack *stack)
{
    char ignored[64];
    return pollset_revents(&stack->pollset, POLL_LEASH) &&
           read(stack->leash_fd, ignored, sizeof(ignored)) <= 0;
}

int stack_run(struct stack *stack, struct sbx_error *err)
{
    for (;;) {
        int ready = wait_for_something(stack);
        if (ready < 0 && errno != EINTR)
            return err_sys(err, 0, errno, "poll");
        stack->now_ms = clock_boot_ms();
        if (ready > 0 && leash_cut(stack))
            return 0;
        slirp_pollfds_poll(stack->slirp, ready < 0, on_get_revents, &stack->pollset);
        if (ready < 0)
            continue;
        relay_poll(&stack->relay, &stack->pollset, stack->now_ms);
        if (relay_lost(&stack->relay))
            return 0; // the monitor starts another with the next frame
        hosts_refresh(&stack->hosts, pollset_revents(&stack->pollset, POLL_HOSTS), stack->now_ms);
        if (pollset_revents(&stack->pollset, POLL_DEVICE) && read_frames(stack) < 0)
            return 0;
    }
}
