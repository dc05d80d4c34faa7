// SPDX-License-Identifier: Apache-2.0
// Reading JSON of others.
#include "net/json.h"

#include <string.h>

#include "unit.h"

static struct sbx_error err;

static struct jsonv *parse(const char *text)
{
    struct jsonv *root = NULL;
    assert_int_equal(jsonv_parse(text, strlen(text), &root, &err), 0);
    return root;
}

static void members_are_read_by_type(void **state)
{
    struct jsonv *root =
        parse("{\"t\":\"x\",\"i\":9223372036854775807,\"r\":1.5,\"b\":true,"
              "\"n\":null,\"a\":[1,null,\"z\"],\"o\":{\"k\":\"v\"},\"nul\":\"a\\u0000b\"}");
    assert_string_equal(jsonv_text(root, "t"), "x");
    assert_true(jsonv_int(root, "i", 0) == INT64_MAX);
    assert_int_equal(jsonv_int(root, "r", 7), 7);
    assert_true(jsonv_real(root, "r", 0) == 1.5);
    assert_true(jsonv_real(root, "i", 0) > 9e18);
    assert_true(jsonv_bool(root, "b", false));
    assert_null(jsonv_get(root, "n"));
    assert_null(jsonv_text(root, "i"));
    assert_null(jsonv_text(root, "nul"));
    assert_int_equal(jsonv_int(root, "t", -1), -1);
    assert_int_equal(jsonv_count(jsonv_get(root, "a")), 3);
    assert_int_equal(jsonv_as_int(jsonv_at(jsonv_get(root, "a"), 0), 0), 1);
    assert_null(jsonv_at(jsonv_get(root, "a"), 1));
    assert_null(jsonv_at(jsonv_get(root, "a"), 99));
    assert_string_equal(jsonv_text(jsonv_get(root, "o"), "k"), "v");
    assert_null(jsonv_get(jsonv_get(root, "missing"), "below"));
    assert_int_equal(jsonv_count(root), 8);
    jsonv_free(root);
}

static void members_come_in_their_order(void **state)
{
    struct jsonv *root = parse("{\"z\":1,\"a\":2}");
    struct jsonv_member member = {0};
    assert_true(jsonv_next(root, &member));
    assert_string_equal(member.key, "z");
    assert_true(jsonv_next(root, &member));
    assert_int_equal(jsonv_as_int(member.value, 0), 2);
    assert_false(jsonv_next(root, &member));
    member = (struct jsonv_member){0};
    assert_false(jsonv_next(NULL, &member));
    jsonv_free(root);
}

static void what_is_not_json_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        " ",
                                        "{",
                                        "{}x",
                                        "{\"a\":1,}",
                                        "01",
                                        "[1,]",
                                        "'a'",
                                        "\"\xff\"",
                                        "{\"a\":1,\"a\":2}",
                                        "99999999999999999999",
                                        "1e999",
                                        "\"\x01\"",
                                        "nul",
                                        "{\"a\" 1}",
                                        "\"\\ud800\""};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct jsonv *root = NULL;
        assert_int_equal(jsonv_parse(texts[i], strlen(texts[i]), &root, &err), SBX_ERR_PROTOCOL);
        assert_null(root);
    }
}

static void deep_nesting_is_refused(void **state)
{
    static char text[200000];
    struct jsonv *root = NULL;
    memset(text, '[', sizeof(text));
    assert_int_equal(jsonv_parse(text, sizeof(text), &root, &err), SBX_ERR_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_read_by_type),
        cmocka_unit_test(members_come_in_their_order),
        cmocka_unit_test(what_is_not_json_is_refused),
        cmocka_unit_test(deep_nesting_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
