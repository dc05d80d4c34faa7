// SPDX-License-Identifier: Apache-2.0
// Forwarding queries and judging answers. Layer: netstack.
#include "netstack/relay.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/id.h"

void relay_init(struct relay *relay, const struct device *device, struct filter *filter,
                int64_t now_ms)
{
    memset(relay, 0, sizeof(*relay));
    relay->device = device;
    relay->filter = filter;
    for (size_t i = 0; i < RELAY_PENDING_MAX; i++)
        relay->pending[i].fd = -1;
    resolvers_init(&relay->resolvers, now_ms);
}

static void end(struct relay *relay, struct relay_pending *pending)
{
    if (pending->fd >= 0)
        close(pending->fd);
    pending->fd = -1;
    relay->pending_count--;
}

void relay_deinit(struct relay *relay)
{
    for (size_t i = 0; i < RELAY_PENDING_MAX; i++)
        if (relay->pending[i].fd >= 0)
            end(relay, &relay->pending[i]);
}

static void send_to_guest(struct relay *relay, const struct relay_pending *pending,
                          const void *message, size_t size)
{
    size = frame_build_dns(pending->guest_mac, pending->guest_port, message, size, relay->frame,
                           sizeof(relay->frame));
    if (size)
        device_write(relay->device, relay->frame, size);
}

static void answer(struct relay *relay, const struct relay_pending *pending, int rcode)
{
    uint8_t message[DNS_QUERY_MAX];
    send_to_guest(relay, pending, message, dns_answer_build(&pending->query, rcode, message));
}

static int connect_server(const struct resolver *server)
{
    cleanup_fd int fd =
        socket(server->addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&server->addr, server->size) < 0)
        return -1;
    return steal_fd(&fd);
}

static int send_query(struct relay *relay, struct relay_pending *pending)
{
    uint8_t message[DNS_QUERY_MAX];
    if (id_random(&pending->id, sizeof(pending->id)) < 0)
        return -1;
    pending->fd = connect_server(&relay->resolvers.item[pending->server]);
    if (pending->fd < 0)
        return -1;
    size_t size = dns_query_build(&pending->query, pending->id, message);
    return send(pending->fd, message, size, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -1;
}

// The next server's turn; when all had theirs, the sandbox is told and the place is free again.
static void ask_next(struct relay *relay, struct relay_pending *pending, int64_t now_ms)
{
    while (pending->tries < RELAY_TRIES) {
        if (pending->fd >= 0)
            close(pending->fd);
        pending->fd = -1;
        pending->server = pending->tries++ % relay->resolvers.count;
        pending->until_ms = now_ms + RELAY_WAIT_MS;
        if (send_query(relay, pending) == 0)
            return;
    }
    relay->silent++;
    answer(relay, pending, DNS_SERVFAIL);
    end(relay, pending);
}

bool relay_lost(const struct relay *relay)
{
    return relay->resolvers.stale && relay->silent >= RELAY_SILENT_MAX;
}

static bool name_allowed(const struct relay *relay, const char *name)
{
    const struct netrules *rules = relay->filter->rules;
    for (size_t i = 0; rules && i < rules->count; i++)
        if (netrule_names(&rules->rule[i], name))
            return true;
    return !rules;
}

// What to answer by ourselves, or -1: ask a server.
static int judge_query(const struct relay *relay, const struct dns_query *query)
{
    if (!name_allowed(relay, query->name))
        return DNS_REFUSED;
    // Hints in these name addresses that nothing would open; without them A records are asked for.
    if (relay->filter->rules && (query->type == DNS_TYPE_HTTPS || query->type == DNS_TYPE_SVCB))
        return DNS_NOERROR;
    return -1;
}

static struct relay_pending *free_place(struct relay *relay)
{
    for (size_t i = 0; i < RELAY_PENDING_MAX; i++)
        if (relay->pending[i].fd < 0)
            return &relay->pending[i];
    return NULL;
}

void relay_query(struct relay *relay, const struct frame *frame, int64_t now_ms)
{
    struct relay_pending made = {.fd = -1, .poll_index = -1, .guest_port = frame->sport};
    memcpy(made.guest_mac, frame->data + FRAME_MAC, FRAME_MAC);
    int rcode = dns_query_parse(frame->payload, frame->payload_size, &made.query);
    if (rcode < 0)
        return;
    if (rcode == 0)
        rcode = judge_query(relay, &made.query);
    if (rcode >= 0) {
        answer(relay, &made, rcode);
        return;
    }
    struct relay_pending *place = free_place(relay);
    if (!place)
        return; // it will ask again
    *place = made;
    relay->pending_count++;
    resolvers_refresh(&relay->resolvers, now_ms);
    ask_next(relay, place, now_ms);
}

static void open_address(struct filter *filter, const char *name, const struct dns_address *found,
                         int64_t now_ms)
{
    for (size_t i = 0; i < filter->rules->count; i++) {
        const struct netrule *rule = &filter->rules->rule[i];
        if (netrule_names(rule, name))
            opened_add(&filter->opened, found->addr, rule->port, found->ttl_s, now_ms);
    }
}

// -1: an answer that can't be understood opens nothing and is not passed on.
static int open_addresses(struct relay *relay, const struct dns_query *query, size_t size,
                          int64_t now_ms)
{
    struct dns_addresses found;
    if (dns_answer_addresses(relay->message, size, query, &found) < 0)
        return -1;
    for (size_t i = 0; i < found.count; i++)
        open_address(relay->filter, query->name, &found.item[i], now_ms);
    dns_answer_finalize(relay->message, size);
    return 0;
}

static void pass_answer(struct relay *relay, struct relay_pending *pending, size_t size,
                        int64_t now_ms)
{
    if (relay->filter->rules && open_addresses(relay, &pending->query, size, now_ms) < 0) {
        answer(relay, pending, DNS_SERVFAIL);
        return;
    }
    relay->message[0] = (uint8_t)(pending->query.id >> 8);
    relay->message[1] = (uint8_t)pending->query.id;
    send_to_guest(relay, pending, relay->message, size);
}

static void receive(struct relay *relay, struct relay_pending *pending, int64_t now_ms)
{
    ssize_t size = recv(pending->fd, relay->message, sizeof(relay->message), 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size < 0) {
        ask_next(relay, pending, now_ms);
        return;
    }
    if (!dns_answers(relay->message, (size_t)size, &pending->query, pending->id))
        return;
    relay->silent = 0;
    pass_answer(relay, pending, (size_t)size, now_ms);
    end(relay, pending);
}

int relay_fill(struct relay *relay, struct pollset *set, int64_t now_ms)
{
    if (!relay->pending_count)
        return -1;
    int64_t wait = RELAY_WAIT_MS;
    for (size_t i = 0; i < RELAY_PENDING_MAX; i++) {
        struct relay_pending *pending = &relay->pending[i];
        if (pending->fd < 0)
            continue;
        pending->poll_index = pollset_add(set, pending->fd, POLLIN);
        if (pending->until_ms - now_ms < wait)
            wait = pending->until_ms - now_ms;
    }
    return wait < 0 ? 0 : (int)wait;
}

void relay_poll(struct relay *relay, const struct pollset *set, int64_t now_ms)
{
    for (size_t i = 0; relay->pending_count && i < RELAY_PENDING_MAX; i++) {
        struct relay_pending *pending = &relay->pending[i];
        if (pending->fd < 0)
            continue;
        if (pollset_revents(set, pending->poll_index))
            receive(relay, pending, now_ms);
        if (pending->fd >= 0 && pending->until_ms <= now_ms)
            ask_next(relay, pending, now_ms);
        pending->poll_index = -1;
    }
}
