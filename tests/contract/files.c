// SPDX-License-Identifier: Apache-2.0
// Contract: single files and directories.
#include "contract.h"

#include <time.h>

static void put(const char *path, const char *text)
{
    ok(sbx_file_write(suite.sandbox, path, text, strlen(text), NULL, NULL, &err));
}

static void expect_text(const char *path, const char *text)
{
    char *data = NULL;
    size_t size = 0;
    ok(sbx_file_read(suite.sandbox, path, NULL, NULL, &data, &size, &err));
    assert_int_equal(size, strlen(text));
    assert_string_equal(data, text);
    sbx_free(data);
}

static struct sbx_file_list list;

static const struct sbx_file_info *stat_one(const char *path)
{
    sbx_file_list_free(&list);
    ok(sbx_file_stat(suite.sandbox, path, NULL, NULL, &list, &err));
    assert_int_equal(list.count, 1);
    return &list.items[0];
}

static int stat_code(const char *path)
{
    sbx_file_list_free(&list);
    return sbx_file_stat(suite.sandbox, path, NULL, NULL, &list, &err);
}

static void a_file_reads_back_as_written(void **state)
{
    put("/tmp/f", "text\n");
    expect_text("/tmp/f", "text\n");
    expect_out(sh(suite.sandbox, "cat /tmp/f"), "text\n");
}

static void writing_replaces_all(void **state)
{
    put("/tmp/f", "a longer text");
    put("/tmp/f", "short");
    expect_text("/tmp/f", "short");
}

static void an_empty_file_can_be_written_and_read(void **state)
{
    put("/tmp/empty", "");
    expect_text("/tmp/empty", "");
    assert_int_equal(stat_one("/tmp/empty")->size, 0);
}

static void megabytes_cross_both_ways(void **state)
{
    const size_t size = 8 * 1024 * 1024;
    char *data = pattern(size), *back = NULL;
    size_t got = 0;
    ok(sbx_file_write(suite.sandbox, "/tmp/large", data, size, NULL, NULL, &err));
    assert_int_equal(stat_one("/tmp/large")->size, size);
    ok(sbx_file_read(suite.sandbox, "/tmp/large", NULL, NULL, &back, &got, &err));
    assert_int_equal(got, size);
    assert_memory_equal(back, data, size);
    sbx_free(back);
    free(data);
    ok(sbx_file_remove(suite.sandbox, "/tmp/large", NULL, NULL, &err));
}

static void a_read_past_its_limit_is_a_quota_error(void **state)
{
    struct sbx_file_options options = SBX_FILE_OPTIONS_INIT;
    char *data = NULL;
    size_t size;
    put("/tmp/f", "12345");
    options.limit = 4;
    fails(SBX_ERR_QUOTA,
          sbx_file_read(suite.sandbox, "/tmp/f", &options, NULL, &data, &size, &err));
    assert_null(data);
    options.limit = 5;
    ok(sbx_file_read(suite.sandbox, "/tmp/f", &options, NULL, &data, &size, &err));
    sbx_free(data);
}

static void names_may_hold_any_character(void **state)
{
    static const char *const names[] = {
        "/tmp/two words", "/tmp/line\nend", "/tmp/\xc3\xbc\xe2\x82\xac", "/tmp/'quoted\"",
        "/tmp/-rf",       "/tmp/$HOME",     "/tmp/back\\slash",          "/tmp/*"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        put(names[i], names[i]);
        expect_text(names[i], names[i]);
        ok(sbx_file_remove(suite.sandbox, names[i], NULL, NULL, &err));
    }
}

static void missing_parents_are_made_by_writing(void **state)
{
    put("/tmp/new/deep/er/file", "x");
    expect_text("/tmp/new/deep/er/file", "x");
    assert_int_equal(stat_one("/tmp/new/deep")->kind, SBX_FILE_DIRECTORY);
}

static void relative_paths_begin_in_the_home_directory(void **state)
{
    put("relative.txt", "home");
    expect_out(sh(suite.sandbox, "cat \"$HOME/relative.txt\""), "home");
}

static void a_mode_can_be_given_and_is_told(void **state)
{
    struct sbx_file_options options = SBX_FILE_OPTIONS_INIT;
    put("/tmp/plain-mode", "x");
    assert_int_equal(stat_one("/tmp/plain-mode")->mode, 0644);
    options.mode = 0600;
    ok(sbx_file_write(suite.sandbox, "/tmp/secret-mode", "x", 1, &options, NULL, &err));
    assert_int_equal(stat_one("/tmp/secret-mode")->mode, 0600);
}

static void stat_tells_kind_size_and_time(void **state)
{
    put("/tmp/f", "12345");
    const struct sbx_file_info *info = stat_one("/tmp/f");
    assert_string_equal(info->name, "/tmp/f");
    assert_int_equal(info->kind, SBX_FILE_REGULAR);
    assert_int_equal(info->size, 5);
    assert_null(info->link);
    assert_true(info->modified_ms / 1000 >= time(NULL) - 100 &&
                info->modified_ms / 1000 <= time(NULL) + 100);
}

static void stat_does_not_follow_a_link(void **state)
{
    put("/tmp/target", "x");
    assert_int_equal(
        sh(suite.sandbox, "rm -f /tmp/link; ln -s target /tmp/link")->outcome.exit_code, 0);
    const struct sbx_file_info *info = stat_one("/tmp/link");
    assert_int_equal(info->kind, SBX_FILE_SYMLINK);
    assert_string_equal(info->link, "target");
}

static void reading_and_writing_follow_a_link(void **state)
{
    put("/tmp/target", "before");
    assert_int_equal(
        sh(suite.sandbox, "rm -f /tmp/link; ln -s target /tmp/link")->outcome.exit_code, 0);
    expect_text("/tmp/link", "before");
    put("/tmp/link", "after");
    expect_text("/tmp/target", "after");
    assert_int_equal(stat_one("/tmp/link")->kind, SBX_FILE_SYMLINK);
}

static void a_list_is_sorted_and_complete(void **state)
{
    sh(suite.sandbox, "rm -rf /tmp/listed");
    put("/tmp/listed/b", "22");
    put("/tmp/listed/a", "1");
    put("/tmp/listed/.hidden", "");
    put("/tmp/listed/c/inner", "");
    sbx_file_list_free(&list);
    ok(sbx_file_list(suite.sandbox, "/tmp/listed", NULL, NULL, &list, &err));
    assert_int_equal(list.count, 4);
    assert_string_equal(list.items[0].name, ".hidden");
    assert_string_equal(list.items[1].name, "a");
    assert_string_equal(list.items[2].name, "b");
    assert_int_equal(list.items[2].size, 2);
    assert_string_equal(list.items[3].name, "c");
    assert_int_equal(list.items[3].kind, SBX_FILE_DIRECTORY);
}

static void an_empty_directory_lists_nothing(void **state)
{
    sh(suite.sandbox, "rm -rf /tmp/void");
    ok(sbx_file_mkdir(suite.sandbox, "/tmp/void", NULL, NULL, &err));
    sbx_file_list_free(&list);
    ok(sbx_file_list(suite.sandbox, "/tmp/void", NULL, NULL, &list, &err));
    assert_int_equal(list.count, 0);
}

static void directories_are_made_alone_or_with_parents(void **state)
{
    struct sbx_file_options options = SBX_FILE_OPTIONS_INIT;
    sh(suite.sandbox, "rm -rf /tmp/made");
    fails(SBX_ERR_NOT_FOUND, sbx_file_mkdir(suite.sandbox, "/tmp/made/a/b", NULL, NULL, &err));
    options.recursive = 1;
    ok(sbx_file_mkdir(suite.sandbox, "/tmp/made/a/b", &options, NULL, &err));
    ok(sbx_file_mkdir(suite.sandbox, "/tmp/made/a/b", &options, NULL, &err));
    fails(SBX_ERR_CONFLICT, sbx_file_mkdir(suite.sandbox, "/tmp/made/a/b", NULL, NULL, &err));
    assert_int_equal(stat_one("/tmp/made/a/b")->mode, 0755);
}

static void removing_needs_recursion_for_what_is_not_empty(void **state)
{
    struct sbx_file_options options = SBX_FILE_OPTIONS_INIT;
    put("/tmp/full/inner/file", "x");
    fails(SBX_ERR_CONFLICT, sbx_file_remove(suite.sandbox, "/tmp/full", NULL, NULL, &err));
    expect_text("/tmp/full/inner/file", "x");
    options.recursive = 1;
    ok(sbx_file_remove(suite.sandbox, "/tmp/full", &options, NULL, &err));
    assert_int_equal(stat_code("/tmp/full"), SBX_ERR_NOT_FOUND);
}

static void removing_a_link_leaves_its_target(void **state)
{
    struct sbx_file_options options = SBX_FILE_OPTIONS_INIT;
    put("/tmp/kept/file", "kept");
    assert_int_equal(sh(suite.sandbox, "rm -f /tmp/link; ln -s kept /tmp/link")->outcome.exit_code,
                     0);
    options.recursive = 1;
    ok(sbx_file_remove(suite.sandbox, "/tmp/link", &options, NULL, &err));
    expect_text("/tmp/kept/file", "kept");
}

static void renaming_moves_and_replaces(void **state)
{
    put("/tmp/from", "new");
    put("/tmp/to", "old");
    ok(sbx_file_rename(suite.sandbox, "/tmp/from", "/tmp/to", NULL, NULL, &err));
    expect_text("/tmp/to", "new");
    assert_int_equal(stat_code("/tmp/from"), SBX_ERR_NOT_FOUND);
    fails(SBX_ERR_NOT_FOUND,
          sbx_file_rename(suite.sandbox, "/tmp/from", "/tmp/other", NULL, NULL, &err));
}

static void what_is_missing_is_not_found(void **state)
{
    char *data = NULL;
    size_t size;
    fails(SBX_ERR_NOT_FOUND,
          sbx_file_read(suite.sandbox, "/tmp/no-such-file", NULL, NULL, &data, &size, &err));
    assert_non_null(strstr(err.message, "no-such-file"));
    fails(SBX_ERR_NOT_FOUND, stat_code("/tmp/no-such-file"));
    fails(SBX_ERR_NOT_FOUND, sbx_file_remove(suite.sandbox, "/tmp/no-such-file", NULL, NULL, &err));
    sbx_file_list_free(&list);
    fails(SBX_ERR_NOT_FOUND, sbx_file_list(suite.sandbox, "/tmp/no-such", NULL, NULL, &list, &err));
}

static void a_directory_is_no_file(void **state)
{
    char *data = NULL;
    size_t size;
    fails(SBX_ERR_CONFLICT, sbx_file_read(suite.sandbox, "/tmp", NULL, NULL, &data, &size, &err));
    fails(SBX_ERR_CONFLICT, sbx_file_write(suite.sandbox, "/tmp", "x", 1, NULL, NULL, &err));
    assert_null(data);
}

static void files_belong_to_the_user_they_are_written_as(void **state)
{
    struct sbx_file_options options = SBX_FILE_OPTIONS_INIT;
    need_other_users();
    put("/tmp/mine", "x");
    uint32_t user = stat_one("/tmp/mine")->uid;
    options.user = "root";
    ok(sbx_file_write(suite.sandbox, "/tmp/roots", "x", 1, &options, NULL, &err));
    assert_int_equal(stat_one("/tmp/roots")->uid, 0);
    assert_int_not_equal(user, 0);
}

static void a_user_s_rights_hold(void **state)
{
    struct sbx_file_options options = SBX_FILE_OPTIONS_INIT;
    char *data = NULL;
    size_t size;
    need_other_users();
    options.user = "root";
    options.mode = 0600;
    ok(sbx_file_write(suite.sandbox, "/root/secret", "x", 1, &options, NULL, &err));
    options.user = "user";
    options.mode = 0;
    fails(SBX_ERR_DENIED,
          sbx_file_read(suite.sandbox, "/root/secret", &options, NULL, &data, &size, &err));
    fails(SBX_ERR_DENIED,
          sbx_file_write(suite.sandbox, "/etc/made-by-user", "x", 1, &options, NULL, &err));
}

const struct contract_case file_cases[] = {
    CASE(a_file_reads_back_as_written, SBX_CAP_FILES),
    CASE(writing_replaces_all, SBX_CAP_FILES),
    CASE(an_empty_file_can_be_written_and_read, SBX_CAP_FILES),
    CASE(megabytes_cross_both_ways, SBX_CAP_FILES),
    CASE(a_read_past_its_limit_is_a_quota_error, SBX_CAP_FILES),
    CASE(names_may_hold_any_character, SBX_CAP_FILES),
    CASE(missing_parents_are_made_by_writing, SBX_CAP_FILES),
    CASE(relative_paths_begin_in_the_home_directory, SBX_CAP_FILES),
    CASE(a_mode_can_be_given_and_is_told, SBX_CAP_FILES),
    CASE(stat_tells_kind_size_and_time, SBX_CAP_FILES),
    CASE(stat_does_not_follow_a_link, SBX_CAP_FILES),
    CASE(reading_and_writing_follow_a_link, SBX_CAP_FILES),
    CASE(a_list_is_sorted_and_complete, SBX_CAP_FILES),
    CASE(an_empty_directory_lists_nothing, SBX_CAP_FILES),
    CASE(directories_are_made_alone_or_with_parents, SBX_CAP_FILES),
    CASE(removing_needs_recursion_for_what_is_not_empty, SBX_CAP_FILES),
    CASE(removing_a_link_leaves_its_target, SBX_CAP_FILES),
    CASE(renaming_moves_and_replaces, SBX_CAP_FILES),
    CASE(what_is_missing_is_not_found, SBX_CAP_FILES),
    CASE(a_directory_is_no_file, SBX_CAP_FILES),
    CASE(files_belong_to_the_user_they_are_written_as, SBX_CAP_FILES | SBX_CAP_USERS),
    CASE(a_user_s_rights_hold, SBX_CAP_FILES | SBX_CAP_USERS),
    {0},
};
