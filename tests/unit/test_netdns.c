// SPDX-License-Identifier: Apache-2.0
// Unit: netstack/dns, netstack/resolvers.
#include "unit.h"

#include <arpa/inet.h>

#include "base/buf.h"
#include "netstack/bytes.h"
#include "netstack/dns.h"
#include "netstack/resolvers.h"

#define ID 0x1234

static void add16(struct buf *out, unsigned value)
{
    uint8_t bytes[2];
    put16(bytes, (uint16_t)value);
    buf_add(out, bytes, 2);
}

static void add_header(struct buf *out, unsigned flags, unsigned questions, unsigned answers,
                       unsigned additional)
{
    unsigned fields[] = {ID, flags, questions, answers, 0, additional};
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        add16(out, fields[i]);
}

// "3www7example3com" by hand in tests is unreadable: from dotted text.
static void add_name(struct buf *out, const char *name)
{
    while (*name) {
        size_t size = strcspn(name, ".");
        uint8_t byte = (uint8_t)size;
        buf_add(out, &byte, 1);
        buf_add(out, name, size);
        name += size + (name[size] == '.');
    }
    buf_add(out, "", 1);
}

static void add_question(struct buf *out, const char *name, unsigned type, unsigned class)
{
    add_name(out, name);
    add16(out, type);
    add16(out, class);
}

static void add_record_head(struct buf *out, const char *name, unsigned type, uint32_t ttl,
                            unsigned size)
{
    add_question(out, name, type, 1);
    add16(out, ttl >> 16);
    add16(out, ttl & 0xffff);
    add16(out, size);
}

static void add_address(struct buf *out, const char *name, uint32_t addr, uint32_t ttl)
{
    add_record_head(out, name, DNS_TYPE_A, ttl, 4);
    add16(out, addr >> 16);
    add16(out, addr & 0xffff);
}

static void add_alias(struct buf *out, const char *name, const char *target)
{
    add_record_head(out, name, DNS_TYPE_CNAME, 60, (unsigned)strlen(target) + 2);
    add_name(out, target);
}

static int parse(const struct buf *message, struct dns_query *ret)
{
    cleanup_free uint8_t *exact = malloc(message->size ? message->size : 1);
    memcpy(exact, message->data, message->size);
    return dns_query_parse(exact, message->size, ret);
}

static struct dns_query query_for(const char *name)
{
    cleanup_buf struct buf out = BUF_INIT(1024);
    struct dns_query query;
    add_header(&out, 0x0100, 1, 0, 0);
    add_question(&out, name, DNS_TYPE_A, 1);
    assert_int_equal(parse(&out, &query), 0);
    return query;
}

static void a_query_is_written_anew(void **state)
{
    (void)state;
    cleanup_buf struct buf out = BUF_INIT(1024);
    add_header(&out, 0x0130, 1, 0, 1);
    add_question(&out, "WwW.Example.com", 28, 1);
    add_question(&out, "", DNS_TYPE_OPT, 1232);
    buf_add(&out, "\0\0\x80\0\0\3abc", 9); // DNSSEC OK, an option of 3 bytes
    struct dns_query query;
    assert_int_equal(parse(&out, &query), 0);
    assert_string_equal(query.name, "www.example.com");
    uint8_t again[DNS_QUERY_MAX];
    size_t size = dns_query_build(&query, 0xabcd, again);
    assert_int_equal(size, out.size - 3); // the option is gone
    assert_int_equal(get16(again), 0xabcd);
    assert_memory_equal(again + 2, out.data + 2, size - 4);
}

static void every_cut_and_every_extra_byte_is_refused(void **state)
{
    (void)state;
    cleanup_buf struct buf out = BUF_INIT(1024);
    add_header(&out, 0x0100, 1, 0, 0);
    add_question(&out, "a.example", 1, 1);
    struct dns_query query;
    size_t whole = out.size;
    for (out.size = 0; out.size < whole; out.size++)
        assert_int_equal(parse(&out, &query), out.size < 12 ? -1 : DNS_FORMERR);
    out.size = whole;
    buf_add(&out, "x", 1);
    assert_int_equal(parse(&out, &query), DNS_FORMERR);
}

struct query_row {
    unsigned flags, questions, answers, type, class;
    int result;
};

static void unusual_queries_have_their_answers(void **state)
{
    (void)state;
    static const struct query_row rows[] = {
        {0x0100, 1, 0, 1, 1, 0},
        {0x8100, 1, 0, 1, 1, -1},         // an answer
        {0x2800, 1, 0, 1, 1, DNS_NOTIMP}, // update
        {0x0100, 0, 0, 1, 1, DNS_FORMERR},
        {0x0100, 2, 0, 1, 1, DNS_FORMERR},
        {0x0100, 1, 1, 1, 1, DNS_FORMERR},
        {0x0100, 1, 0, 1, 3, DNS_NOTIMP},
        {0x0100, 1, 0, 255, 1, DNS_REFUSED},
        {0x0100, 1, 0, 252, 1, DNS_REFUSED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        cleanup_buf struct buf out = BUF_INIT(1024);
        struct dns_query query;
        add_header(&out, rows[i].flags, rows[i].questions, rows[i].answers, 0);
        add_question(&out, "a.example", rows[i].type, rows[i].class);
        if (parse(&out, &query) != rows[i].result)
            fail_msg("row %zu", i);
        uint8_t answer[DNS_QUERY_MAX];
        if (rows[i].result >= 0) {
            assert_true(dns_answer_build(&query, rows[i].result, answer) >= 12);
            assert_int_equal(get16(answer), ID);
            assert_int_equal(answer[3] & 15, rows[i].result);
        }
    }
}

static void names_that_pretend_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *wire;
        size_t size;
    } rows[] = {
        {"\x09"
         "a.example\0",
         11}, // a dot inside of a label
        {"\x03"
         "a\0b\0",
         5},             // NUL
        {"\xc0\x0c", 2}, // a pointer to itself
        {"\xc0\x00", 2}, // into the header
        {"\x01"
         "a\xc0\x0c",
         4}, // to its own beginning
        {"\x40"
         "a\0",
         3}, // a label type of no meaning
        {"\x3f"
         "abc\0",
         5}, // longer than the message
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        cleanup_buf struct buf out = BUF_INIT(1024);
        struct dns_query query;
        add_header(&out, 0x0100, 1, 0, 0);
        buf_add(&out, rows[i].wire, rows[i].size);
        add16(&out, 1);
        add16(&out, 1);
        if (parse(&out, &query) != DNS_FORMERR)
            fail_msg("row %zu", i);
    }
    cleanup_buf struct buf out = BUF_INIT(1024);
    struct dns_query query;
    add_header(&out, 0x0100, 1, 0, 0);
    for (int i = 0; i < 128; i++)
        buf_add(&out, "\1a", 2);
    buf_add(&out, "\0\0\1\0\1", 5);
    assert_int_equal(parse(&out, &query), DNS_FORMERR); // 256 bytes of name
}

static int addresses_of(const struct buf *message, const struct dns_query *query,
                        struct dns_addresses *ret)
{
    cleanup_free uint8_t *exact = malloc(message->size);
    memcpy(exact, message->data, message->size);
    return dns_answer_addresses(exact, message->size, query, ret);
}

static void addresses_follow_the_chain_of_aliases_only(void **state)
{
    (void)state;
    struct dns_query query = query_for("a.example");
    cleanup_buf struct buf out = BUF_INIT(4096);
    add_header(&out, 0x8180, 1, 7, 0);
    add_question(&out, "A.example", 1, 1);
    add_address(&out, "c.other", 0x01010101, 77); // before the alias that leads to it
    add_alias(&out, "b.other", "C.other");
    add_alias(&out, "a.example", "b.other");
    add_alias(&out, "c.other", "a.example"); // a circle
    add_address(&out, "evil.example", 0x02020202, 60);
    add_address(&out, "b.other", 0x03030303, 0x80000000);
    add_address(&out, "a.example.evil", 0x04040404, 60);
    struct dns_addresses found;
    assert_int_equal(addresses_of(&out, &query, &found), 0);
    assert_int_equal(found.count, 2);
    assert_int_equal(found.item[0].addr, 0x01010101);
    assert_int_equal(found.item[0].ttl_s, 77);
    assert_int_equal(found.item[1].addr, 0x03030303);
    assert_int_equal(found.item[1].ttl_s, 0);
    size_t whole = out.size;
    for (out.size = 0; out.size < whole; out.size++)
        assert_int_equal(addresses_of(&out, &query, &found), -1);
}

static void compressed_names_are_understood(void **state)
{
    (void)state;
    struct dns_query query = query_for("a.example");
    cleanup_buf struct buf out = BUF_INIT(4096);
    add_header(&out, 0x8180, 1, 2, 0);
    add_question(&out, "a.example", 1, 1);
    buf_add(&out, "\xc0\x0c\0\5\0\1\0\0\0\1\0\4\1b\xc0\x0e", 16); // alias of b.example
    buf_add(&out, "\xc0\x27\0\1\0\1\0\0\0\1\0\4\x09\x09\x09\x09", 16);
    struct dns_addresses found;
    assert_int_equal(addresses_of(&out, &query, &found), 0);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.item[0].addr, 0x09090909);
    out.data[out.size - 15] = 0x30; // a pointer forward
    assert_int_equal(addresses_of(&out, &query, &found), -1);
}

static void many_addresses_are_bounded(void **state)
{
    (void)state;
    struct dns_query query = query_for("a.example");
    cleanup_buf struct buf out = BUF_INIT(1 << 20);
    add_header(&out, 0x8180, 1, 2000, 0);
    add_question(&out, "a.example", 1, 1);
    for (uint32_t i = 0; i < 2000; i++)
        add_address(&out, "a.example", i, 1);
    struct dns_addresses found;
    assert_int_equal(addresses_of(&out, &query, &found), 0);
    assert_int_equal(found.count, DNS_ADDRESSES_MAX);
}

static void only_the_answer_to_the_question_counts(void **state)
{
    (void)state;
    struct dns_query query = query_for("a.example");
    cleanup_buf struct buf out = BUF_INIT(1024);
    add_header(&out, 0x8180, 1, 0, 0);
    add_question(&out, "a.Example", 1, 1);
    const uint8_t *message = (const uint8_t *)out.data;
    assert_true(dns_answers(message, out.size, &query, ID));
    assert_false(dns_answers(message, out.size, &query, ID + 1));
    assert_false(dns_answers(message, out.size - 1, &query, ID));
    out.data[2] = 0x01; // a query
    assert_false(dns_answers(message, out.size, &query, ID));
    out.data[2] = (char)0x81;
    out.data[13] = 'b';
    assert_false(dns_answers(message, out.size, &query, ID));
    out.data[13] = 'a';
    out.data[out.size - 3] = 28;
    assert_false(dns_answers(message, out.size, &query, ID));
}

static void a_cut_answer_becomes_final_when_it_has_something(void **state)
{
    (void)state;
    uint8_t message[12] = {0, 0, 0x83, 0x80, 0, 1, 0, 1};
    dns_answer_finalize(message, sizeof(message));
    assert_int_equal(message[2], 0x81);
    message[2] = 0x83;
    message[7] = 0;
    dns_answer_finalize(message, sizeof(message));
    assert_int_equal(message[2], 0x83);
}

static void resolv_conf_is_read(void **state)
{
    (void)state;
    struct resolvers resolvers;
    resolvers_parse(&resolvers, "# c\nsearch x\nnameserver 1.2.3.4\nnameserver\t::1 \n"
                                "nameserver bad\nnameserver 5.6.7.8\nnameserver 9.9.9.9");
    assert_int_equal(resolvers.count, 3);
    struct sockaddr_in in;
    memcpy(&in, &resolvers.item[0].addr, sizeof(in));
    assert_int_equal(ntohl(in.sin_addr.s_addr), 0x01020304);
    assert_int_equal(ntohs(in.sin_port), 53);
    assert_int_equal(resolvers.item[1].addr.ss_family, AF_INET6);
    resolvers_parse(&resolvers, "");
    assert_int_equal(resolvers.count, 1);
    memcpy(&in, &resolvers.item[0].addr, sizeof(in));
    assert_int_equal(ntohl(in.sin_addr.s_addr), 0x7f000001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_is_written_anew),
        cmocka_unit_test(every_cut_and_every_extra_byte_is_refused),
        cmocka_unit_test(unusual_queries_have_their_answers),
        cmocka_unit_test(names_that_pretend_are_refused),
        cmocka_unit_test(addresses_follow_the_chain_of_aliases_only),
        cmocka_unit_test(compressed_names_are_understood),
        cmocka_unit_test(many_addresses_are_bounded),
        cmocka_unit_test(only_the_answer_to_the_question_counts),
        cmocka_unit_test(a_cut_answer_becomes_final_when_it_has_something),
        cmocka_unit_test(resolv_conf_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
