// SPDX-License-Identifier: Apache-2.0
// Unit: base/units, base/utf8, base/suggest, base/text.
#include "unit.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/suggest.h"
#include "base/text.h"
#include "base/units.h"
#include "base/utf8.h"

static void parses_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; // -1: refused
    } table[] = {{"0", 0},
                 {"90", 90000},
                 {"1.5", 1500},
                 {"250ms", 250},
                 {"30s", 30000},
                 {"5m", 300000},
                 {"1h30m", 5400000},
                 {"2d", 172800000},
                 {"", -1},
                 {"s", -1},
                 {"5x", -1},
                 {"-5", -1},
                 {"5m30", -1},
                 {"1..2s", -1},
                 {" 5s", -1},
                 {"5s ", -1},
                 {"9223372036854775808ms", -1},
                 {"99999999999999999999", -1}};
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        int64_t ms = -1;
        int code = units_parse_duration(table[i].text, &ms);
        assert_int_equal(ms, table[i].ms);
        assert_int_equal(code, table[i].ms < 0 ? -1 : 0);
    }
}

static void parses_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes; // -1: refused
    } table[] = {{"0", 0},          {"4096", 4096},      {"1k", 1024},       {"512m", 512 << 20},
                 {"1.5G", 3 << 29}, {"64MiB", 64 << 20}, {"64mb", 64 << 20}, {"7b", 7},
                 {"", -1},          {"m", -1},           {"1x", -1},         {"1mbb", -1},
                 {"-1", -1},        {"99999999999t", -1}};
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        uint64_t bytes = UINT64_MAX;
        units_parse_bytes(table[i].text, &bytes);
        assert_int_equal((int64_t)bytes, table[i].bytes);
    }
}

static void parses_numbers(void **state)
{
    (void)state;
    int64_t value = 77;
    assert_int_equal(units_parse_int("-9223372036854775808", INT64_MIN, INT64_MAX, &value), 0);
    assert_int_equal(value, INT64_MIN);
    assert_int_equal(units_parse_int("9223372036854775808", INT64_MIN, INT64_MAX, &value), -1);
    assert_int_equal(units_parse_int("-", INT64_MIN, INT64_MAX, &value), -1);
    assert_int_equal(units_parse_int("5", 6, 7, &value), -1);
    assert_int_equal(value, INT64_MIN);
    assert_int_equal(units_parse_millis("0.25", &value), 0);
    assert_int_equal(value, 250);
    assert_int_equal(units_parse_millis("1.", &value), -1);
}

static void shows_quantities(void **state)
{
    (void)state;
    char text[UNITS_SIZE];
    assert_string_equal(units_duration(999, text), "999ms");
    assert_string_equal(units_duration(119999, text), "119s");
    assert_string_equal(units_duration(3600000, text), "60m");
    assert_string_equal(units_duration(86400000LL * 3, text), "3d");
    assert_string_equal(units_bytes(1023, text), "1023B");
    assert_string_equal(units_bytes(1536, text), "1.5K");
    assert_string_equal(units_bytes(UINT64_MAX, text), "15.9E");
}

static void makes_hostile_text_printable(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"plain \xc3\xa4", "plain \xc3\xa4"},
        {"\x1b[31m\n\t", "\\x1b[31m\\x0a\\x09"},
        {"\xc2\x9b", "\\xc2\\x9b"},
        {"\xff\xc0\xaf", "\\xff\\xc0\\xaf"},
        {"a\xe2\x80\xae"
         "b",
         "a\\u{202e}b"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        cleanup_buf struct buf buf = BUF_INIT(100);
        utf8_add_printable(&buf, table[i][0], strlen(table[i][0]));
        assert_string_equal(buf_text(&buf), table[i][1]);
    }
}

static void checks_utf8(void **state)
{
    (void)state;
    assert_true(utf8_valid("0123456789abcdef\xf0\x9f\x98\x80", 20));
    assert_false(utf8_valid("0123456789abcdef\xf0\x9f\x98", 19));
    assert_false(utf8_valid("\xf4\x90\x80\x80", 4));
    assert_false(utf8_valid("\xf8\x88\x80\x80\x80", 5));
    assert_true(utf8_valid("", 0));
    assert_int_equal(utf8_columns("a\xe4\xb8\xad\xcc\x81", 6), 3);
}

static void finds_the_nearest(void **state)
{
    (void)state;
    assert_int_equal(suggest_distance("list", "lsit"), 1);
    assert_int_equal(suggest_distance("", "abc"), 3);
    assert_int_equal(suggest_distance("kitten", "sitting"), 3);
    struct suggest suggest = {.wanted = "destory"};
    suggest_offer(&suggest, "doctor");
    suggest_offer(&suggest, "destroy");
    suggest_offer(&suggest, "test");
    assert_string_equal(suggest.best, "destroy");
    struct suggest none = {.wanted = "zzz"};
    suggest_offer(&none, "run");
    assert_null(none.best);
}

static void finds_whole_words(void **state)
{
    (void)state;
    static const struct {
        const char *list, *word;
        bool there;
    } table[] = {{"cpuset cpu io\n", "cpu", true},
                 {"cpuset memory\n", "cpu", false},
                 {"cpu,cpuacct", "cpuacct", true},
                 {"cpu,cpuacct", "acct", false},
                 {"name=systemd", "systemd", false},
                 {"pids", "pids", true},
                 {"", "pids", false},
                 {"memory\n", "memory", true}};
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (text_has_word(table[i].list, strlen(table[i].list), table[i].word) != table[i].there)
            fail_msg("'%s' in '%s'", table[i].word, table[i].list);
    assert_false(text_has_word("cpu,memory", 3, "memory")); // behind the end
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_durations),
        cmocka_unit_test(parses_bytes),
        cmocka_unit_test(parses_numbers),
        cmocka_unit_test(shows_quantities),
        cmocka_unit_test(makes_hostile_text_printable),
        cmocka_unit_test(checks_utf8),
        cmocka_unit_test(finds_the_nearest),
        cmocka_unit_test(finds_whole_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
