// SPDX-License-Identifier: Apache-2.0
/*
 * Messages of the domain name system (RFC 1035, EDNS of RFC 6891), as far as a forwarder needs
 * them. Queries are understood in full and written anew, so that nothing but a plain question
 * leaves. Pure functions over hostile bytes. Layer: netstack.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_SIZE 254 // as text, with NUL
#define DNS_QUERY_MAX 300 // what dns_query_build() writes at most
#define DNS_ADDRESSES_MAX 64

#define DNS_TYPE_A 1
#define DNS_TYPE_CNAME 5
#define DNS_TYPE_OPT 41
#define DNS_TYPE_SVCB 64
#define DNS_TYPE_HTTPS 65

enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5
};

struct dns_query {
    uint16_t id;
    uint16_t flags; // of those that pass: recursion desired, authentic data, checking disabled
    char name[DNS_NAME_SIZE]; // lower case, without the last dot; "" is the root
    uint8_t wire[256];        // the name as it came
    size_t wire_size;
    uint16_t type;
    bool edns, dnssec_ok;
    uint16_t answer_max; // what the asker takes by UDP
};

// 0; -1: not a query at all, say nothing; or the dns_rcode to give to dns_answer_build().
int dns_query_parse(const uint8_t *message, size_t size, struct dns_query *ret);

// The question under another number, for the real server.
size_t dns_query_build(const struct dns_query *query, uint16_t id, uint8_t out[DNS_QUERY_MAX]);

// An answer without records.
size_t dns_answer_build(const struct dns_query *query, int rcode, uint8_t out[DNS_QUERY_MAX]);

// Whether the message answers the question that was sent under `id`.
bool dns_answers(const uint8_t *message, size_t size, const struct dns_query *query, uint16_t id);

struct dns_address {
    uint32_t addr; // host byte order
    uint32_t ttl_s;
};

struct dns_addresses {
    size_t count;
    struct dns_address item[DNS_ADDRESSES_MAX];
};

// IPv4 addresses in an answer that belong to the name asked for, or to one that its chain of
// aliases leads to. -1: malformed.
int dns_answer_addresses(const uint8_t *message, size_t size, const struct dns_query *query,
                         struct dns_addresses *ret);

// Makes an answer that was cut short final: there is no TCP to ask again by. No-op when it is
// whole.
void dns_answer_finalize(uint8_t *message, size_t size);
