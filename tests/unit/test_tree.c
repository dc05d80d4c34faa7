// SPDX-License-Identifier: Apache-2.0
// Removing trees: deep, unreadable, with links out of them.
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/tree.h"

static int setup(void **state)
{
    static char path[] = "/tmp/test-tree-XXXXXX";
    if (!mkdtemp(path))
        return -1;
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    *state = (void *)(intptr_t)fd;
    return fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    char link[64], path[256];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", (int)(intptr_t)*state);
    ssize_t size = readlink(link, path, sizeof(path) - 1);
    close((int)(intptr_t)*state);
    if (size < 0)
        return -1;
    path[size] = '\0';
    return rmdir(path); // fails unless each test left it empty
}

static void touch(int dir, const char *name)
{
    int fd = openat(dir, name, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void removes_nothing_and_files(void **state)
{
    int dir = (int)(intptr_t)*state;
    assert_int_equal(tree_remove(dir, "absent"), 0);
    touch(dir, "file");
    assert_int_equal(tree_remove(dir, "file"), 0);
    assert_int_equal(faccessat(dir, "file", F_OK, 0), -1);
}

static void removes_what_is_closed(void **state)
{
    int dir = (int)(intptr_t)*state;
    static const char *const dirs[] = {"t", "t/a", "t/a/b", "t/c", "t/d", "t/d/e"};
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        assert_int_equal(mkdirat(dir, dirs[i], 0700), 0);
    touch(dir, "t/a/b/file");
    touch(dir, "t/c/file");
    touch(dir, "t/d/e/file");
    assert_int_equal(fchmodat(dir, "t/a/b", 0000, 0), 0);
    assert_int_equal(fchmodat(dir, "t/a", 0500, 0), 0);
    assert_int_equal(fchmodat(dir, "t/c", 0400, 0), 0);
    assert_int_equal(fchmodat(dir, "t", 0000, 0), 0);
    assert_int_equal(tree_remove(dir, "t"), 0);
    assert_int_equal(faccessat(dir, "t", F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

static void follows_no_link(void **state)
{
    int dir = (int)(intptr_t)*state;
    assert_int_equal(mkdirat(dir, "keep", 0700), 0);
    touch(dir, "keep/file");
    assert_int_equal(mkdirat(dir, "t", 0700), 0);
    assert_int_equal(symlinkat("../keep", dir, "t/link"), 0);
    assert_int_equal(tree_remove(dir, "t"), 0);
    assert_int_equal(faccessat(dir, "keep/file", F_OK, 0), 0);
    assert_int_equal(symlinkat("keep", dir, "link"), 0);
    assert_int_equal(tree_remove(dir, "link"), 0);
    assert_int_equal(faccessat(dir, "keep/file", F_OK, 0), 0);
    assert_int_equal(tree_remove(dir, "keep"), 0);
}

static void removes_any_depth(void **state)
{
    int dir = (int)(intptr_t)*state;
    assert_int_equal(mkdirat(dir, "deep", 0700), 0);
    int at = openat(dir, "deep", O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(mkdirat(at, "subdirectory", 0700), 0);
        int next = openat(at, "subdirectory", O_RDONLY | O_DIRECTORY);
        close(at);
        at = next;
    }
    touch(at, "file");
    close(at);
    assert_int_equal(tree_remove(dir, "deep"), 0);
    assert_int_equal(faccessat(dir, "deep", F_OK, 0), -1);
}

// Also with what an earlier one left behind.
static void drops_by_another_name(void **state)
{
    int dir = (int)(intptr_t)*state;
    static const char *const dirs[] = {"d", "d.new"};
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        assert_int_equal(mkdirat(dir, dirs[i], 0700), 0);
    touch(dir, "d/file");
    touch(dir, "d.new/file");
    assert_int_equal(tree_drop(dir, "d"), 0);
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        assert_int_equal(faccessat(dir, dirs[i], F_OK, 0), -1);
    assert_int_equal(mkdirat(dir, "d.new", 0700), 0);
    assert_int_equal(tree_drop(dir, "d.new"), 0);
    assert_int_equal(faccessat(dir, "d.new", F_OK, 0), -1);
    assert_int_equal(tree_drop(dir, "d"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(removes_nothing_and_files), cmocka_unit_test(removes_what_is_closed),
        cmocka_unit_test(follows_no_link),           cmocka_unit_test(removes_any_depth),
        cmocka_unit_test(drops_by_another_name),
    };
    return cmocka_run_group_tests_name("tree", tests, setup, teardown);
}
