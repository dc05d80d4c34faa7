// SPDX-License-Identifier: Apache-2.0
// Unit: base/buf.
#include "unit.h"

#include "base/buf.h"

static void grows_up_to_its_ceiling(void **state)
{
    (void)state;
    cleanup_buf struct buf buf = BUF_INIT(10);
    buf_add(&buf, "12345", 5);
    buf_add(&buf, "67890", 5);
    assert_false(buf.failed);
    assert_string_equal(buf_text(&buf), "1234567890");
    buf_add(&buf, "x", 1);
    assert_true(buf.failed);
    assert_null(buf_text(&buf));
}

static void formats_and_consumes(void **state)
{
    (void)state;
    cleanup_buf struct buf buf = BUF_INIT(1000);
    buf_printf(&buf, "%s-%d", "a", 7);
    buf_consume(&buf, 2);
    assert_string_equal(buf_text(&buf), "7");
    buf_consume(&buf, 100);
    assert_int_equal(buf.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_up_to_its_ceiling),
        cmocka_unit_test(formats_and_consumes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
