// SPDX-License-Identifier: Apache-2.0
// Trees beside the original: linked, mirrored without files, copied; and the views that use them.
#include "unit.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/tree.h"
#include "engine/hosttree.h"
#include "engine/linktree.h"

struct fixture {
    char base[64];
    int base_fd, from, to;
};

static void make_dir(int at, const char *path, mode_t mode)
{
    assert_int_equal(mkdirat(at, path, 0700), 0);
    assert_int_equal(fchmodat(at, path, mode, 0), 0);
}

static void put(int at, const char *path, mode_t mode, const char *text)
{
    int fd = openat(at, path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (!f)
        return -1;
    snprintf(f->base, sizeof(f->base), "/tmp/test-linktree-XXXXXX");
    if (!mkdtemp(f->base))
        return -1;
    f->base_fd = open(f->base, O_RDONLY | O_DIRECTORY);
    make_dir(f->base_fd, "from", 0755);
    make_dir(f->base_fd, "to", 0755);
    f->from = openat(f->base_fd, "from", O_RDONLY | O_DIRECTORY);
    f->to = openat(f->base_fd, "to", O_RDONLY | O_DIRECTORY);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    close(f->from);
    close(f->to);
    close(f->base_fd);
    int rc = tree_remove(AT_FDCWD, f->base);
    free(f);
    return rc;
}

static bool exists(int at, const char *path, struct stat *ret_info)
{
    return fstatat(at, path, ret_info, AT_SYMLINK_NOFOLLOW) == 0;
}

static void links_share_files(void **state)
{
    struct fixture *f = *state;
    struct stat one, two;
    make_dir(f->from, "db", 0755);
    make_dir(f->from, "db/info", 0755);
    put(f->from, "db/info/util-linux-locks.list", 0644, "x");
    put(f->from, "db/status", 0644, "text");
    put(f->from, "db/lock", 0640, "pid");
    put(f->from, "db/lock-frontend", 0640, "pid");
    mode_t before = umask(077);
    assert_int_equal(linktree_make(f->from, f->to, "db"), 0);
    umask(before);
    assert_true(exists(f->from, "db/status", &one) && exists(f->to, "db/status", &two));
    assert_int_equal(one.st_ino, two.st_ino);
    assert_true(exists(f->to, "db/info/util-linux-locks.list", &two));
    assert_int_equal(two.st_size, 1);
    assert_true(exists(f->to, "db/lock", &two) && two.st_size == 0);
    assert_true(exists(f->to, "db/lock-frontend", &two) && two.st_size == 0);
    assert_true(exists(f->to, "db/info", &two));
    assert_int_equal(two.st_mode & 0777, 0755); // whatever the umask
}

static void mirrors_have_directories_only(void **state)
{
    static const char *const shallow[] = {"share/doc", NULL};
    static const char *const dirs[] = {
        "lib",   "lib/1",     "lib/1/2",           "lib/1/2/3", "lib/1/2/3/4", "lib/1/2/3/4/5",
        "share", "share/doc", "share/doc/package", "share/x",   "share/x/doc"};
    struct fixture *f = *state;
    struct stat info;
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        make_dir(f->from, dirs[i], 0777);
    put(f->from, "lib/file", 0644, "x");
    assert_int_equal(symlinkat("lib", f->from, "link"), 0);
    assert_int_equal(linktree_mirror(f->from, f->to, shallow), 0);
    assert_true(exists(f->to, "lib/1/2/3/4", &info));
    assert_int_equal(info.st_mode & 07777, 0755); // others don't write to ours
    assert_false(exists(f->to, "lib/1/2/3/4/5", &info));
    assert_false(exists(f->to, "lib/file", &info));
    assert_false(exists(f->to, "link", &info));
    assert_true(exists(f->to, "share/doc", &info));
    assert_false(exists(f->to, "share/doc/package", &info));
    assert_true(exists(f->to, "share/x/doc", &info));
}

static void copies_are_of_one_directory(void **state)
{
    struct fixture *f = *state;
    struct stat one, two;
    char text[16];
    put(f->from, "status", 0644, "text");
    put(f->from, "Lock", 0640, "pid");
    make_dir(f->from, "info", 0755);
    put(f->from, "info/file", 0644, "x");
    assert_int_equal(linktree_copy_files(f->from, f->to), 0);
    assert_true(fd_read_file(f->to, "status", text, sizeof(text)) == 4);
    assert_string_equal(text, "text");
    assert_true(exists(f->from, "status", &one) && exists(f->to, "status", &two));
    assert_int_not_equal(one.st_ino, two.st_ino);
    assert_int_equal(one.st_mtime, two.st_mtime);
    assert_true(exists(f->to, "Lock", &two) && two.st_size == 0);
    assert_false(exists(f->to, "info", &two));
}

// A view for root of an ordinary user's sandbox: our directories above, secrets of /usr hidden
// still.
static void a_mirrored_view_hides_settings(void **state)
{
    static const char *const dirs[] = {
        "etc",     "usr",       "usr/bin", "usr/local", "usr/local/etc", "usr/local/etc/app",
        "usr/lib", "usr/lib/x", "var",     "var/lib",   "var/lib/dpkg",  "var/lib/dpkg/info"};
    struct fixture *f = *state;
    struct sbx_error err = {0};
    struct stat info;
    char text[4096];
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        make_dir(f->from, dirs[i], 0755);
    put(f->from, "usr/local/etc/app/secret", 0644, "s");
    put(f->from, "var/lib/dpkg/status", 0644, "");
    put(f->from, "var/lib/dpkg/info/a.list", 0644, "");
    if (hosttree_build(f->to, f->from, "/host", true, &err) < 0)
        fail_msg("%s", err.message);
    assert_true(exists(f->to, "usr/lib/x", &info) && S_ISDIR(info.st_mode));
    assert_true(exists(f->to, "usr/local/etc/app", &info));
    assert_true(S_ISCHR(info.st_mode)); // a whiteout, not a directory that shows what lies below
    bool linked = geteuid() == 0;       // root needs no copies
    assert_int_equal(exists(f->to, "dpkg/status", &info), !linked);
    assert_int_equal(exists(f->to, "dpkg/info", &info), !linked);
    assert_false(exists(f->to, "dpkg/info/a.list", &info));
    assert_true(fd_read_file(f->to, "manifest", text, sizeof(text)) > 0);
    assert_non_null(strstr(text, "layer\t/usr\tusr\nlayer\t/usr\t/host/usr\n"));
    const char *lower = strstr(text, "layer\t/var/lib/dpkg\tdpkg\nlayer\t/var/lib/dpkg\t/host/var");
    assert_int_equal(lower != NULL, !linked);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(links_share_files),
        TEST(mirrors_have_directories_only),
        TEST(copies_are_of_one_directory),
        TEST(a_mirrored_view_hides_settings),
    };
    return cmocka_run_group_tests_name("linktree", tests, NULL, NULL);
}
