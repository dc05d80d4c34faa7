// SPDX-License-Identifier: Apache-2.0
// Reading and writing messages of the domain name system. Layer: netstack.
#include "netstack/dns.h"

#include <string.h>

#include "netstack/bytes.h"

#define HEADER 12
#define RECORD 10 // of a record, after its name
#define CLASS_IN 1
#define TYPE_IXFR 251
#define TYPE_AXFR 252
#define TYPE_ANY 255
#define FLAG_RESPONSE 0x8000
#define FLAG_OPCODE 0x7800
#define FLAG_TRUNCATED 0x0200
#define FLAG_RECURSION_DESIRED 0x0100
#define FLAG_RECURSION_AVAILABLE 0x0080
#define FLAGS_KEPT 0x0130 // recursion desired, authentic data, checking disabled
#define OPT_DNSSEC_OK 0x8000
#define ANSWER_MIN 512 // RFC 1035, 4.2.1
#define ANSWER_MAX 4096
#define RECORDS_MAX 256 // more of an answer are not looked at
#define CHAIN_MAX 16

struct reader {
    const uint8_t *message;
    size_t size, at;
};

// Appends a label to the text; a dot or NUL inside of a label would make it another name.
static int add_label(char *out, size_t *used, const uint8_t *label, size_t size)
{
    if (*used + size + 2 > DNS_NAME_SIZE)
        return -1;
    if (*used)
        out[(*used)++] = '.';
    for (size_t i = 0; i < size; i++) {
        char c = (char)label[i];
        if (c == '.' || c == '\0')
            return -1;
        out[(*used)++] = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
    }
    return 0;
}

// A pointer must lead to before `floor`, where the name or the last pointer's target began: no
// loops.
static int follow_pointer(const struct reader *in, size_t at, size_t *floor)
{
    if (at + 1 >= in->size)
        return -1;
    size_t target = get16(in->message + at) & 0x3fff;
    if (target >= *floor)
        return -1;
    *floor = target;
    return 0;
}

static int read_name(struct reader *in, size_t floor, char out[DNS_NAME_SIZE])
{
    size_t at = in->at, end = 0, used = 0;
    for (;;) {
        if (at >= in->size)
            return -1;
        uint8_t size = in->message[at];
        if (size == 0)
            break;
        if (size >= 0xc0) {
            if (follow_pointer(in, at, &floor) < 0)
                return -1;
            end = end ? end : at + 2;
            at = floor;
            continue;
        }
        if (size > 63 || in->size - at <= size ||
            add_label(out, &used, in->message + at + 1, size) < 0)
            return -1;
        at += 1u + size;
    }
    out[used] = '\0';
    in->at = end ? end : at + 1;
    return 0;
}

struct record {
    char name[DNS_NAME_SIZE];
    uint16_t type, class;
    uint32_t ttl;
    size_t data, data_size; // offset into the message
};

static int read_record(struct reader *in, struct record *ret)
{
    if (read_name(in, in->at, ret->name) < 0 || in->size - in->at < RECORD)
        return -1;
    const uint8_t *p = in->message + in->at;
    ret->type = get16(p);
    ret->class = get16(p + 2);
    ret->ttl = get32(p + 4);
    ret->data_size = get16(p + 8);
    ret->data = in->at + RECORD;
    if (in->size - ret->data < ret->data_size)
        return -1;
    in->at = ret->data + ret->data_size;
    return 0;
}

// The one question after the header. No pointers: there is nothing before it to point to, and its
// bytes go into other messages.
static int read_question(struct reader *in, struct dns_query *query)
{
    size_t start = in->at;
    if (read_name(in, 0, query->name) < 0 || in->size - in->at < 4)
        return -1;
    query->wire_size = in->at - start;
    if (query->wire_size > sizeof(query->wire))
        return -1;
    memcpy(query->wire, in->message + start, query->wire_size);
    query->type = get16(in->message + in->at);
    uint16_t class = get16(in->message + in->at + 2);
    in->at += 4;
    return class == CLASS_IN ? 0 : DNS_NOTIMP;
}

static int read_edns(struct reader *in, struct dns_query *query)
{
    struct record record;
    if (read_record(in, &record) < 0 || record.type != DNS_TYPE_OPT || record.name[0])
        return -1;
    query->edns = true;
    query->dnssec_ok = record.ttl & OPT_DNSSEC_OK;
    uint16_t size = record.class;
    query->answer_max = size < ANSWER_MIN ? ANSWER_MIN : size > ANSWER_MAX ? ANSWER_MAX : size;
    return 0;
}

static bool type_refused(uint16_t type)
{
    return type == TYPE_ANY || type == TYPE_AXFR || type == TYPE_IXFR || type == DNS_TYPE_OPT;
}

int dns_query_parse(const uint8_t *message, size_t size, struct dns_query *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (size < HEADER || (get16(message + 2) & FLAG_RESPONSE))
        return -1;
    uint16_t flags = get16(message + 2);
    ret->id = get16(message);
    ret->flags = flags & FLAGS_KEPT;
    ret->answer_max = ANSWER_MIN;
    if (flags & FLAG_OPCODE)
        return DNS_NOTIMP;
    uint16_t additional = get16(message + 10);
    if (get16(message + 4) != 1 || get16(message + 6) || get16(message + 8) || additional > 1)
        return DNS_FORMERR;
    struct reader in = {message, size, HEADER};
    int result = read_question(&in, ret);
    if (result < 0 || (additional && read_edns(&in, ret) < 0) || in.at != size)
        result = DNS_FORMERR;
    if (result != 0) {
        ret->wire_size = 0;
        return result;
    }
    return type_refused(ret->type) ? DNS_REFUSED : 0;
}

static size_t put_question(uint8_t *out, const struct dns_query *query, uint16_t id, uint16_t flags)
{
    memset(out, 0, HEADER);
    put16(out, id);
    put16(out + 2, flags);
    if (!query->wire_size)
        return HEADER;
    put16(out + 4, 1);
    uint8_t *p = out + HEADER;
    memcpy(p, query->wire, query->wire_size);
    put16(p + query->wire_size, query->type);
    put16(p + query->wire_size + 2, CLASS_IN);
    return HEADER + query->wire_size + 4;
}

static size_t put_edns(uint8_t *out, const struct dns_query *query)
{
    memset(out, 0, 1 + RECORD);
    put16(out + 1, DNS_TYPE_OPT);
    put16(out + 3, query->answer_max);
    put16(out + 7, query->dnssec_ok ? OPT_DNSSEC_OK : 0);
    return 1 + RECORD;
}

size_t dns_query_build(const struct dns_query *query, uint16_t id, uint8_t out[DNS_QUERY_MAX])
{
    size_t size = put_question(out, query, id, query->flags);
    if (query->edns) {
        put16(out + 10, 1);
        size += put_edns(out + size, query);
    }
    return size;
}

size_t dns_answer_build(const struct dns_query *query, int rcode, uint8_t out[DNS_QUERY_MAX])
{
    uint16_t flags = FLAG_RESPONSE | FLAG_RECURSION_AVAILABLE | (uint16_t)rcode;
    return put_question(out, query, query->id, flags | (query->flags & FLAG_RECURSION_DESIRED));
}

bool dns_answers(const uint8_t *message, size_t size, const struct dns_query *query, uint16_t id)
{
    if (size < HEADER || get16(message) != id)
        return false;
    uint16_t flags = get16(message + 2);
    if (!(flags & FLAG_RESPONSE) || (flags & FLAG_OPCODE) || get16(message + 4) != 1)
        return false;
    struct reader in = {message, size, HEADER};
    struct dns_query echoed = {0};
    return read_question(&in, &echoed) == 0 && echoed.type == query->type &&
           strcmp(echoed.name, query->name) == 0;
}

// Calls for each record of the answer section, until `each` says 1 (stop) or -1.
typedef int each_record(const struct reader *in, const struct record *record, void *context);

static int walk_answer(const uint8_t *message, size_t size, each_record *each, void *context)
{
    struct reader in = {message, size, HEADER};
    struct dns_query echoed = {0};
    if (size < HEADER || read_question(&in, &echoed) < 0)
        return -1;
    size_t count = get16(message + 6);
    for (size_t i = 0; i < count && i < RECORDS_MAX; i++) {
        struct record record;
        if (read_record(&in, &record) < 0)
            return -1;
        int result = each(&in, &record, context);
        if (result)
            return result < 0 ? -1 : 0;
    }
    return 0;
}

struct chain {
    size_t count;
    char names[CHAIN_MAX][DNS_NAME_SIZE];
    struct dns_addresses *addresses;
};

static bool in_chain(const struct chain *chain, const char *name)
{
    for (size_t i = 0; i < chain->count; i++)
        if (strcmp(chain->names[i], name) == 0)
            return true;
    return false;
}

// The next alias of the last name, wherever in the answer it stands.
static int find_alias(const struct reader *in, const struct record *record, void *context)
{
    struct chain *chain = context;
    if (record->type != DNS_TYPE_CNAME || record->class != CLASS_IN ||
        strcmp(record->name, chain->names[chain->count - 1]) != 0)
        return 0;
    struct reader data = {in->message, in->size, record->data};
    char target[DNS_NAME_SIZE];
    if (read_name(&data, data.at, target) < 0 || data.at != record->data + record->data_size)
        return -1;
    if (!in_chain(chain, target))
        memcpy(chain->names[chain->count++], target, sizeof(target));
    return 1;
}

static int find_address(const struct reader *in, const struct record *record, void *context)
{
    struct chain *chain = context;
    struct dns_addresses *found = chain->addresses;
    if (record->type != DNS_TYPE_A || record->class != CLASS_IN || !in_chain(chain, record->name))
        return 0;
    if (record->data_size != 4)
        return -1;
    if (found->count == DNS_ADDRESSES_MAX)
        return 1;
    // A TTL with its highest bit set counts as zero (RFC 2181, 8).
    uint32_t ttl = record->ttl > INT32_MAX ? 0 : record->ttl;
    found->item[found->count++] = (struct dns_address){get32(in->message + record->data), ttl};
    return 0;
}

int dns_answer_addresses(const uint8_t *message, size_t size, const struct dns_query *query,
                         struct dns_addresses *ret)
{
    struct dns_addresses found = {0};
    struct chain chain = {.count = 1, .addresses = &found};
    memcpy(chain.names[0], query->name, sizeof(chain.names[0]));
    size_t before = 0;
    while (before != chain.count && chain.count < CHAIN_MAX) {
        before = chain.count;
        if (walk_answer(message, size, find_alias, &chain) < 0)
            return -1;
    }
    if (walk_answer(message, size, find_address, &chain) < 0)
        return -1;
    *ret = found;
    return 0;
}

void dns_answer_finalize(uint8_t *message, size_t size)
{
    if (size >= HEADER && get16(message + 6))
        put16(message + 2, get16(message + 2) & (uint16_t)~FLAG_TRUNCATED);
}
