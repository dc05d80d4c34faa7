// SPDX-License-Identifier: Apache-2.0
// Unit: base/error.
#include "unit.h"

#include <errno.h>

#include "base/error.h"

static void every_code_has_a_name_and_a_remedy(void **state)
{
    (void)state;
    for (int code = -1; code >= SBX_ERR_LAST; code--) {
        assert_string_not_equal(sbx_code_name(code), "UNKNOWN");
        assert_true(strlen(sbx_code_remedy(code)) > 10);
    }
    assert_string_equal(sbx_code_name(SBX_ERR_LAST - 1), "UNKNOWN");
    assert_string_equal(sbx_code_name(1), "UNKNOWN");
}

static void wrapping_keeps_code_and_errno(void **state)
{
    (void)state;
    struct sbx_error err;
    assert_int_equal(err_sys(&err, 0, ENOENT, "cannot open '%s'", "x"), SBX_ERR_NOT_FOUND);
    assert_int_equal(err_wrap(&err, "sandbox %s", "sb-1"), SBX_ERR_NOT_FOUND);
    assert_string_equal(err.message, "sandbox sb-1: cannot open 'x': No such file or directory");
    assert_int_equal(err.sys_errno, ENOENT);
    assert_true(err.remedy[0] != '\0');
}

static void what_the_system_says_has_a_remedy_of_its_own(void **state)
{
    (void)state;
    struct sbx_error err;
    err_sys(&err, 0, ENOENT, "cannot open 'x'");
    assert_non_null(strstr(err.remedy, "path"));
    err_sys(&err, 0, ENOSPC, "cannot write 'x'");
    assert_non_null(strstr(err.remedy, "space"));
    err_sys(&err, 0, EMFILE, "cannot open 'x'");
    assert_non_null(strstr(err.remedy, "ulimit"));
    err_sys(&err, 0, ENFILE, "cannot open 'x'"); // the machine's limit, not the process's
    assert_null(strstr(err.remedy, "ulimit"));
    err_sys(&err, SBX_ERR_EXEC, ENOENT, "cannot run 'x'");
    assert_string_equal(err.remedy, sbx_code_remedy(SBX_ERR_EXEC));
    err_sys(&err, 0, ECONNRESET, "cannot send");
    assert_string_equal(err.remedy, sbx_code_remedy(SBX_ERR_UNAVAILABLE));
}

static void long_messages_are_cut_at_a_character(void **state)
{
    (void)state;
    struct sbx_error err;
    char text[1200];
    for (size_t i = 0; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[sizeof(text) - 2] = '\0';
    err_set(&err, SBX_ERR_IO, "%s", text);
    assert_int_equal(strlen(err.message) % 2, 0);
    err_set(&err, SBX_ERR_IO, "x%s", text);
    assert_int_equal(strlen(err.message) % 2, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_and_a_remedy),
        cmocka_unit_test(wrapping_keeps_code_and_errno),
        cmocka_unit_test(what_the_system_says_has_a_remedy_of_its_own),
        cmocka_unit_test(long_messages_are_cut_at_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
