// SPDX-License-Identifier: Apache-2.0
// Queries of a hostile sandbox, and answers of a hostile server (when the first byte is odd).
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "netstack/dns.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// What is written anew means the same and is a plain question.
static void check_query(const uint8_t *message, size_t size)
{
    struct dns_query query, again;
    uint8_t out[DNS_QUERY_MAX];
    int result = dns_query_parse(message, size, &query);
    CHECK(result >= -1 && result <= 15);
    if (result > 0)
        CHECK(dns_answer_build(&query, result, out) <= sizeof(out));
    if (result != 0)
        return;
    CHECK(strlen(query.name) < DNS_NAME_SIZE);
    size_t built = dns_query_build(&query, 77, out);
    CHECK(built <= sizeof(out) && built <= size);
    CHECK(dns_query_parse(out, built, &again) == 0);
    CHECK(again.id == 77 && again.type == query.type && strcmp(again.name, query.name) == 0);
    size_t answered = dns_answer_build(&query, DNS_REFUSED, out);
    CHECK(dns_answers(out, answered, &query, query.id));
}

static void check_answer(uint8_t *message, size_t size)
{
    static const uint8_t question[] = "\0\7\1\0\0\1\0\0\0\0\0\0\1a\7example\0\0\1\0\1";
    struct dns_query query;
    struct dns_addresses found = {0};
    CHECK(dns_query_parse(question, sizeof(question) - 1, &query) == 0);
    dns_answers(message, size, &query, 7);
    if (dns_answer_addresses(message, size, &query, &found) == 0)
        CHECK(found.count <= DNS_ADDRESSES_MAX);
    else
        CHECK(found.count == 0);
    dns_answer_finalize(message, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    cleanup_free uint8_t *message = malloc(size);
    memcpy(message, data + 1, size - 1);
    if (data[0] & 1)
        check_answer(message, size - 1);
    else
        check_query(message, size - 1);
    return 0;
}
