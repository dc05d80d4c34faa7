// SPDX-License-Identifier: Apache-2.0
// Unit: base/netrules, base/netranges.
#include "unit.h"

#include "base/netranges.h"
#include "base/netrules.h"

static struct netrules *parse_one(const char *text, struct sbx_error *err)
{
    struct netrules *rules = NULL;
    netrules_parse(&text, 1, &rules, err);
    return rules;
}

struct name_row {
    const char *rule, *name;
    bool matches;
};

static void names_match_whole_labels(void **state)
{
    (void)state;
    static const struct name_row rows[] = {
        {"example.com", "example.com", true},
        {"Example.COM.", "example.com", true},
        {"example.com", "a.example.com", false},
        {"example.com", "xexample.com", false},
        {"example.com", "example.com.evil", false},
        {"example.com", "", false},
        {"*.example.com", "a.example.com", true},
        {"*.example.com", "a.b.example.com", true},
        {"*.example.com", "example.com", false},
        {"*.example.com", ".example.com", false},
        {"*.example.com", "xexample.com", false},
        {"*.com", "example.com", true},
        {"localhost", "localhost", true},
        {"_x.a-b.example", "_x.a-b.example", true},
        {"1.2.3.4", "1.2.3.4", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        cleanup_netrules struct netrules *rules = parse_one(rows[i].rule, NULL);
        assert_non_null(rules);
        if (netrule_names(&rules->rule[0], rows[i].name) != rows[i].matches)
            fail_msg("rule '%s', name '%s'", rows[i].rule, rows[i].name);
    }
}

struct address_row {
    const char *rule;
    uint32_t addr;
    uint16_t port;
    bool covered;
};

static void numbers_cover_ranges_and_ports(void **state)
{
    (void)state;
    static const struct address_row rows[] = {
        {"1.2.3.4", 0x01020304, 80, true},         {"1.2.3.4", 0x01020304, 0, true},
        {"1.2.3.4", 0x01020305, 80, false},        {"1.2.3.0/24", 0x010203ff, 1, true},
        {"1.2.3.0/24", 0x01020400, 1, false},      {"1.2.3.4:80", 0x01020304, 80, true},
        {"1.2.3.4:80", 0x01020304, 81, false},     {"1.2.3.4:80", 0x01020304, 0, false},
        {"10.0.0.0/8:443", 0x0affffff, 443, true}, {"0.0.0.0/0", 0xc0a80001, 9, true},
        {"1.2.3.4/32", 0x01020304, 9, true},       {"example.com", 0x01020304, 9, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        cleanup_netrules struct netrules *rules = parse_one(rows[i].rule, NULL);
        assert_non_null(rules);
        if (netrules_cover(rules, rows[i].addr, rows[i].port) != rows[i].covered)
            fail_msg("rule '%s', row %zu", rows[i].rule, i);
    }
}

struct wrong_row {
    const char *rule;
    const char *about; // in the message
};

static void wrong_rules_say_why(void **state)
{
    (void)state;
    static const struct wrong_row rows[] = {
        {"", "empty"},
        {"https://example.com", "URL"},
        {"https://example.com:80/x", "URL"},
        {"::1", "IPv6"},
        {"[::1]:80", "IPv6"},
        {"2001:db8::/32", "IPv6"},
        {"example.com:", "port"},
        {"example.com:0", "port"},
        {"example.com:65536", "port"},
        {"example.com:+1", "port"},
        {"example.com:1 ", "port"},
        {"*", "star"},
        {"a.*.example.com", "star"},
        {"*example.com", "star"},
        {"*.*.example.com", "star"},
        {"a..b", "neither"},
        {".example.com", "neither"},
        {".", "neither"},
        {"*.", "star"},
        {"exa mple.com", "neither"},
        {"b\xc3\xbc"
         "cher.example",
         "neither"},
        {"1.2.3", "IPv4"},
        {"1.2.3.4.5", "IPv4"},
        {"1.2.3.256", "IPv4"},
        {"01.2.3.4", "IPv4"},
        {"0x7f000001.1", "IPv4"},
        {"2130706433", "IPv4"},
        {"1.2.3.4.", NULL}, // a last dot is no harm
        {"1.2.3.0/33", "length"},
        {"1.2.3.0/", "length"},
        {"1.2.3.0/-1", "length"},
        {"1.2.3.4/24", "bits"},
        {"example.com/24", "IPv4"},
        {"127.0.0.1", "never"},
        {"127.0.0.0/8:80", "never"},
        {"0.0.0.0", "never"},
        {"169.254.169.254", "never"},
        {"168.63.129.16", "never"},
        {"100.100.100.200", "never"},
        {"224.0.0.1", "never"},
        {"255.255.255.255", "never"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sbx_error err = {0};
        cleanup_netrules struct netrules *rules = parse_one(rows[i].rule, &err);
        if (!rows[i].about) {
            assert_non_null(rules);
            continue;
        }
        if (rules || !strstr(err.message, rows[i].about) || !err.remedy[0])
            fail_msg("rule '%s': '%s'", rows[i].rule, err.message);
        assert_int_equal(err.code, strcmp(rows[i].about, "IPv6") == 0 ? SBX_ERR_UNSUPPORTED
                                                                      : SBX_ERR_INVALID);
    }
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    static char text[2000];
    memset(text, 'a', sizeof(text) - 1);
    assert_null(parse_one(text, NULL));
    text[64] = '\0';
    assert_null(parse_one(text, NULL));
    text[63] = '\0';
    cleanup_netrules struct netrules *rules = parse_one(text, NULL);
    assert_non_null(rules);
    struct netrules *many = NULL;
    assert_int_equal(netrules_parse(NULL, NETRULES_MAX + 1, &many, NULL), SBX_ERR_INVALID);
    assert_int_equal(netrules_parse(NULL, 0, &many, NULL), 0);
    assert_int_equal(many->count, 0);
    netrules_free(many);
    netrules_free(NULL);
}

static void output_is_untouched_on_failure(void **state)
{
    (void)state;
    const char *texts[] = {"good.example", "bad example"};
    struct netrules *rules = (struct netrules *)0x1;
    assert_int_equal(netrules_parse(texts, 2, &rules, NULL), SBX_ERR_INVALID);
    assert_ptr_equal(rules, (struct netrules *)0x1);
}

static void special_ranges_end_where_they_should(void **state)
{
    (void)state;
    static const uint32_t never[] = {0,          0x00ffffff, 0x7f000001, 0x7fffffff,
                                     0xa9fe0000, 0xa9feffff, 0xa83f8110, 0x646464c8,
                                     0xe0000000, 0xffffffff, 0xc00000c0};
    static const uint32_t private_ones[] = {0x0a000000, 0x0affffff, 0x64400000, 0x647fffff,
                                            0xac100000, 0xac1fffff, 0xc0000001, 0xc0a80000,
                                            0xc0a8ffff, 0xc6120000, 0xc613ffff};
    static const uint32_t plain[] = {0x01000000, 0x09ffffff, 0x0b000000, 0x643fffff, 0x64800000,
                                     0x7e000000, 0x80000000, 0xa9fdffff, 0xa9ff0000, 0xac0fffff,
                                     0xac200000, 0xc0000100, 0xc0a7ffff, 0xc0a90000, 0xc611ffff,
                                     0xc6140000, 0xdfffffff, 0xa83f8111};
    for (size_t i = 0; i < ARRAY_SIZE(never); i++)
        assert_true(netrange_never(never[i]));
    for (size_t i = 0; i < ARRAY_SIZE(private_ones); i++)
        assert_true(netrange_private(private_ones[i]) && !netrange_never(private_ones[i]));
    for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
        assert_true(!netrange_private(plain[i]) && !netrange_never(plain[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_match_whole_labels),
        cmocka_unit_test(numbers_cover_ranges_and_ports),
        cmocka_unit_test(wrong_rules_say_why),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(output_is_untouched_on_failure),
        cmocka_unit_test(special_ranges_end_where_they_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
