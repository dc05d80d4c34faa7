// SPDX-License-Identifier: Apache-2.0
// Unit: base/json and base/base64.
#include "unit.h"

#include "base/base64.h"
#include "base/json.h"

static void nests_and_separates(void **state)
{
    (void)state;
    cleanup_buf struct buf buf = BUF_INIT(1000);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_put_text(&json, "a", "x");
    json_key(&json, "b");
    json_begin_array(&json);
    json_int(&json, INT64_MIN);
    json_uint(&json, UINT64_MAX);
    json_begin_object(&json);
    json_end_object(&json);
    json_null(&json);
    json_end_array(&json);
    json_put_bool(&json, "c", true);
    json_put_text(&json, "d", NULL);
    json_end_object(&json);
    assert_string_equal(buf_text(&buf), "{\"a\":\"x\",\"b\":[-9223372036854775808,"
                                        "18446744073709551615,{},null],\"c\":true,\"d\":null}");
}

static void indents(void **state)
{
    (void)state;
    cleanup_buf struct buf buf = BUF_INIT(1000);
    struct json json = JSON_INIT(&buf, true);
    json_begin_array(&json);
    json_begin_object(&json);
    json_put_int(&json, "a", 1);
    json_put_int(&json, "b", 2);
    json_end_object(&json);
    json_begin_array(&json);
    json_end_array(&json);
    json_end_array(&json);
    assert_string_equal(buf_text(&buf), "[\n  {\n    \"a\": 1,\n    \"b\": 2\n  },\n  []\n]");
}

static void escapes(void **state)
{
    (void)state;
    cleanup_buf struct buf buf = BUF_INIT(1000);
    struct json json = JSON_INIT(&buf, false);
    json_bytes(&json, "\"\\\b\f\n\r\t\0\x1b\x7f/\xc3\xa4\xf0\x9f\x98\x80", 17);
    assert_string_equal(
        buf_text(&buf),
        "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001b\\u007f/\xc3\xa4\xf0\x9f\x98\x80\"");
}

static void replaces_what_is_not_utf8(void **state)
{
    (void)state;
    // A lone tail, an overlong slash, a surrogate, a character cut short.
    static const struct {
        const char *text;
        size_t replaced;
    } table[] = {{"\x80", 1}, {"\xc0\xaf", 2}, {"\xed\xa0\x80", 3}, {"\xe2\x82", 2}, {"\xff", 1}};
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        cleanup_buf struct buf buf = BUF_INIT(1000);
        struct json json = JSON_INIT(&buf, false);
        json_text(&json, table[i].text);
        assert_int_equal(buf.size, 2 + 3 * table[i].replaced);
        assert_memory_equal(buf.data + 1, "\xef\xbf\xbd", 3);
    }
}

static void fails_past_the_ceiling_or_depth(void **state)
{
    (void)state;
    cleanup_buf struct buf small = BUF_INIT(4);
    struct json json = JSON_INIT(&small, false);
    json_text(&json, "long enough");
    assert_null(buf_text(&small));

    cleanup_buf struct buf buf = BUF_INIT(1000);
    struct json deep = JSON_INIT(&buf, false);
    for (int i = 0; i <= JSON_DEPTH_MAX; i++)
        json_begin_array(&deep);
    assert_null(buf_text(&buf));

    cleanup_buf struct buf other = BUF_INIT(1000);
    struct json unbalanced = JSON_INIT(&other, false);
    json_end_array(&unbalanced);
    assert_null(buf_text(&other));
}

// The vectors of RFC 4648, section 10.
static void encodes_base64(void **state)
{
    (void)state;
    static const char *const table[][2] = {{"", "\"\""},
                                           {"f", "\"Zg==\""},
                                           {"fo", "\"Zm8=\""},
                                           {"foo", "\"Zm9v\""},
                                           {"foob", "\"Zm9vYg==\""},
                                           {"fooba", "\"Zm9vYmE=\""},
                                           {"foobar", "\"Zm9vYmFy\""},
                                           {"\xff\xfe\xfd\xfb\xef", "\"//79++8=\""}};
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        cleanup_buf struct buf buf = BUF_INIT(1000);
        struct json json = JSON_INIT(&buf, false);
        json_base64(&json, table[i][0], strlen(table[i][0]));
        assert_string_equal(buf_text(&buf), table[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nests_and_separates),
        cmocka_unit_test(indents),
        cmocka_unit_test(escapes),
        cmocka_unit_test(replaces_what_is_not_utf8),
        cmocka_unit_test(fails_past_the_ceiling_or_depth),
        cmocka_unit_test(encodes_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
