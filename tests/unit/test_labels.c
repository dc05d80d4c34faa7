// SPDX-License-Identifier: Apache-2.0
// Unit: core/labels. What may not be a label is tested by the contract suite.
#include "unit.h"

#include "core/labels.h"

static const struct sbx_pair sorted[] = {{"a", "1"}, {"b", ""}, {"b.c", "2"}};

static void labels_are_sorted_by_name(void **state)
{
    struct sbx_pair labels[] = {{"b.c", "2"}, {"a", "1"}, {"b", ""}};
    labels_sort(labels, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(labels[i].name, sorted[i].name);
        assert_string_equal(labels[i].value, sorted[i].value);
    }
    labels_sort(NULL, 0);
}

static void all_wanted_labels_must_be_there_with_their_values(void **state)
{
    const struct sbx_pair both[] = {{"b.c", "2"}, {"a", "1"}};
    const struct sbx_pair other_value = {"a", "2"}, other_name = {"c", "1"}, empty = {"b", ""};
    assert_true(labels_match(sorted, 3, both, 2));
    assert_true(labels_match(sorted, 3, &empty, 1));
    assert_true(labels_match(sorted, 3, NULL, 0));
    assert_true(labels_match(NULL, 0, NULL, 0));
    assert_false(labels_match(sorted, 3, &other_value, 1));
    assert_false(labels_match(sorted, 3, &other_name, 1));
    assert_false(labels_match(NULL, 0, both, 1));
}

static void the_longest_label_is_accepted_and_no_more_than_the_ceiling(void **state)
{
    struct sbx_pair many[LABELS_MAX + 1];
    char names[LABELS_MAX + 1][8], name[LABEL_NAME_MAX + 1], value[LABEL_VALUE_MAX + 1];
    struct sbx_error err;
    memset(name, 'n', LABEL_NAME_MAX);
    memset(value, 'v', LABEL_VALUE_MAX);
    name[LABEL_NAME_MAX] = value[LABEL_VALUE_MAX] = '\0';
    const struct sbx_pair longest = {name, value};
    assert_int_equal(labels_check(&longest, 1, "labels", &err), 0);
    for (int i = 0; i <= LABELS_MAX; i++) {
        names[i][0] = 'n';
        names[i][1] = (char)('0' + i / 10);
        names[i][2] = (char)('0' + i % 10);
        names[i][3] = '\0';
        many[i] = (struct sbx_pair){names[i], ""};
    }
    assert_int_equal(labels_check(many, LABELS_MAX, "labels", &err), 0);
    assert_int_equal(labels_check(many, LABELS_MAX + 1, "labels", &err), SBX_ERR_INVALID);
    assert_int_equal(labels_check(NULL, 1, "labels", &err), SBX_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_sorted_by_name),
        cmocka_unit_test(all_wanted_labels_must_be_there_with_their_values),
        cmocka_unit_test(the_longest_label_is_accepted_and_no_more_than_the_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
