// SPDX-License-Identifier: Apache-2.0
// Contract: files and directory trees between this machine and a sandbox.
#include "contract.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

static char place[64]; // a directory of the test's own on this machine

static const char *here(const char *name)
{
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", place, name);
    return path;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    return remove(path);
}

static void clear(void)
{
    if (place[0])
        nftw(place, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    place[0] = '\0';
}

static void fresh_place(void)
{
    static bool registered;
    if (!registered)
        registered = atexit(clear) == 0;
    clear();
    strcpy(place, "/tmp/contract-XXXXXX");
    assert_non_null(mkdtemp(place));
    assert_int_equal(sh(suite.sandbox, "rm -rf /tmp/tree /tmp/into /tmp/x")->outcome.exit_code, 0);
}

static void save(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(here(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(here(name), mode), 0);
}

static void expect_here(const char *name, const char *text)
{
    char got[256] = "";
    FILE *file = fopen(here(name), "r");
    assert_non_null(file);
    got[fread(got, 1, sizeof(got) - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(got, text);
}

static unsigned mode_here(const char *name)
{
    struct stat st;
    assert_int_equal(lstat(here(name), &st), 0);
    return st.st_mode & 07777;
}

static void expect_inside(const char *path, const char *text)
{
    char *data = NULL;
    size_t size;
    ok(sbx_file_read(suite.sandbox, path, NULL, NULL, &data, &size, &err));
    assert_string_equal(data, text);
    sbx_free(data);
}

static struct sbx_file_info inside(const char *path)
{
    struct sbx_file_list list;
    ok(sbx_file_stat(suite.sandbox, path, NULL, NULL, &list, &err));
    struct sbx_file_info info = list.items[0];
    info.name = info.link = NULL;
    sbx_file_list_free(&list);
    return info;
}

static void upload(const char *from, const char *to)
{
    ok(sbx_file_upload(suite.sandbox, from, to, NULL, NULL, &err));
}

static void download(const char *from, const char *to)
{
    ok(sbx_file_download(suite.sandbox, from, to, NULL, NULL, &err));
}

// tree/{run.sh 0755, empty, two words, sub/{deep/file 0600, link -> ../run.sh, void/}}
static void make_tree(void)
{
    mkdir(here("tree"), 0755);
    mkdir(here("tree/sub"), 0750);
    mkdir(here("tree/sub/deep"), 0755);
    mkdir(here("tree/sub/void"), 0755);
    save("tree/run.sh", "#!/bin/sh\n", 0755);
    save("tree/empty", "", 0644);
    save("tree/two words", "text", 0644);
    save("tree/sub/deep/file", "deep", 0600);
    assert_int_equal(symlink("../run.sh", here("tree/sub/link")), 0);
}

static void a_file_goes_up_and_comes_down_with_its_mode(void **state)
{
    fresh_place();
    save("script", "echo\n", 0755);
    upload(here("script"), "/tmp/x");
    expect_inside("/tmp/x", "echo\n");
    assert_int_equal(inside("/tmp/x").mode, 0755);
    download("/tmp/x", here("back"));
    expect_here("back", "echo\n");
    assert_int_equal(mode_here("back"), 0755);
}

static void a_large_file_goes_both_ways(void **state)
{
    fresh_place();
    const size_t size = 8 * 1024 * 1024 + 13;
    char *data = pattern(size), *got = malloc(size);
    FILE *file = fopen(here("large"), "w");
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
    upload(here("large"), "/tmp/x");
    download("/tmp/x", here("back"));
    file = fopen(here("back"), "r");
    assert_non_null(file);
    assert_int_equal(fread(got, 1, size, file), size);
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
    assert_memory_equal(got, data, size);
    free(data);
    free(got);
}

static void an_existing_directory_receives_the_source_inside_it(void **state)
{
    fresh_place();
    struct sbx_file_options options = SBX_FILE_OPTIONS_INIT;
    save("note", "text", 0644);
    ok(sbx_file_mkdir(suite.sandbox, "/tmp/into", &options, NULL, &err));
    upload(here("note"), "/tmp/into");
    expect_inside("/tmp/into/note", "text");
    mkdir(here("out"), 0755);
    download("/tmp/into/note", here("out"));
    expect_here("out/note", "text");
}

static void a_tree_goes_up_whole(void **state)
{
    fresh_place();
    make_tree();
    upload(here("tree"), "/tmp/tree");
    expect_inside("/tmp/tree/two words", "text");
    expect_inside("/tmp/tree/empty", "");
    expect_inside("/tmp/tree/sub/deep/file", "deep");
    assert_int_equal(inside("/tmp/tree/run.sh").mode, 0755);
    assert_int_equal(inside("/tmp/tree/sub").mode, 0750);
    assert_int_equal(inside("/tmp/tree/sub/deep/file").mode, 0600);
    assert_int_equal(inside("/tmp/tree/sub/void").kind, SBX_FILE_DIRECTORY);
    assert_int_equal(inside("/tmp/tree/sub/link").kind, SBX_FILE_SYMLINK);
    expect_inside("/tmp/tree/sub/link", "#!/bin/sh\n");
}

static void a_tree_comes_down_as_it_went_up(void **state)
{
    fresh_place();
    make_tree();
    upload(here("tree"), "/tmp/tree");
    download("/tmp/tree", here("back"));
    expect_here("back/two words", "text");
    expect_here("back/empty", "");
    expect_here("back/sub/deep/file", "deep");
    assert_int_equal(mode_here("back/run.sh"), 0755);
    assert_int_equal(mode_here("back/sub"), 0750);
    assert_int_equal(mode_here("back/sub/deep/file"), 0600);
    char target[64] = "";
    assert_int_equal(readlink(here("back/sub/link"), target, sizeof(target) - 1), 9);
    assert_string_equal(target, "../run.sh");
    struct stat st;
    assert_int_equal(stat(here("back/sub/void"), &st), 0);
}

static void a_tree_joins_an_existing_one(void **state)
{
    fresh_place();
    make_tree();
    mkdir(here("out"), 0755);
    upload(here("tree"), "/tmp/tree");
    ok(sbx_file_write(suite.sandbox, "/tmp/tree/extra", "more", 4, NULL, NULL, &err));
    download("/tmp/tree", here("out"));
    download("/tmp/tree", here("out"));
    expect_here("out/tree/extra", "more");
    expect_here("out/tree/sub/deep/file", "deep");
}

static void fifos_of_the_source_are_skipped(void **state)
{
    fresh_place();
    mkdir(here("tree"), 0755);
    save("tree/file", "text", 0644);
    assert_int_equal(mkfifo(here("tree/fifo"), 0644), 0);
    upload(here("tree"), "/tmp/tree");
    expect_inside("/tmp/tree/file", "text");
    struct sbx_file_list list;
    fails(SBX_ERR_NOT_FOUND,
          sbx_file_stat(suite.sandbox, "/tmp/tree/fifo", NULL, NULL, &list, &err));
}

static void set_user_id_bits_stay_inside(void **state)
{
    fresh_place();
    sh(suite.sandbox, "echo x > /tmp/x; chmod 4755 /tmp/x");
    download("/tmp/x", here("back"));
    assert_int_equal(mode_here("back"), 0755);
}

static void a_missing_source_is_not_found(void **state)
{
    fresh_place();
    fails(SBX_ERR_NOT_FOUND,
          sbx_file_upload(suite.sandbox, here("none"), "/tmp/x", NULL, NULL, &err));
    fails(SBX_ERR_NOT_FOUND,
          sbx_file_download(suite.sandbox, "/tmp/no-such", here("back"), NULL, NULL, &err));
    struct stat st;
    assert_int_not_equal(stat(here("back"), &st), 0);
}

static void links_out_of_a_sandbox_write_nowhere_else(void **state)
{
    fresh_place();
    save("victim", "untouched", 0644);
    mkdir(here("out"), 0755);
    assert_int_equal(symlink(here("victim"), here("out/x")), 0);
    sh(suite.sandbox, "echo evil > /tmp/x");
    int code = sbx_file_download(suite.sandbox, "/tmp/x", here("out"), NULL, NULL, &err);
    expect_here("victim", "untouched");
    assert_true(code == 0 || code == SBX_ERR_CONFLICT || code == SBX_ERR_INVALID ||
                code == SBX_ERR_DENIED || code == SBX_ERR_IO);
}

const struct contract_case tree_cases[] = {
    CASE(a_file_goes_up_and_comes_down_with_its_mode, SBX_CAP_FILES),
    CASE(a_large_file_goes_both_ways, SBX_CAP_FILES),
    CASE(an_existing_directory_receives_the_source_inside_it, SBX_CAP_FILES),
    CASE(a_tree_goes_up_whole, SBX_CAP_FILES),
    CASE(a_tree_comes_down_as_it_went_up, SBX_CAP_FILES),
    CASE(a_tree_joins_an_existing_one, SBX_CAP_FILES),
    CASE(fifos_of_the_source_are_skipped, SBX_CAP_FILES),
    CASE(set_user_id_bits_stay_inside, SBX_CAP_FILES),
    CASE(a_missing_source_is_not_found, SBX_CAP_FILES),
    CASE(links_out_of_a_sandbox_write_nowhere_else, SBX_CAP_FILES),
    {0},
};
