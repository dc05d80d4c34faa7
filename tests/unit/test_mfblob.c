// SPDX-License-Identifier: Apache-2.0
// Blobs of Metaflow's datastore: names, contents, and files taken from hostile directories.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sha1.h"
#include "base/tree.h"
#include "metaflow/launcher/blob.h"
#include "metaflow/launcher/take.h"
#include "unit.h"

#define RAW "{\"cas_raw\": true, \"cas_version\": 1}"
#define PACKED "{\"cas_raw\": false, \"cas_version\": 1}"
#define NAME_OF_ABC "a9993e364706816aba3e25717850c26c9cd0d89d" // FIPS 180-4's own example
static const char abc_gz[] =
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x4c\x4a\x06\x00\xc2\x41\x24\x35"
    "\x03\x00\x00\x00";
#define ABC_GZ_SIZE 23

static void put(int dir_fd, const char *name, const void *data, size_t size)
{
    cleanup_fd int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(0, fd_write_full(fd, data, size));
}

static void put_blob(int dir_fd, const char *meta, const void *data, size_t size)
{
    put(dir_fd, NAME_OF_ABC, data, size);
    put(dir_fd, NAME_OF_ABC "_meta", meta, strlen(meta));
}

static int scratch_dir(char path[32])
{
    strcpy(path, "/tmp/mfblob-XXXXXX");
    assert_non_null(mkdtemp(path));
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void sha1_of(const char *piece, size_t size, int times, char text[SHA1_HEX_SIZE])
{
    struct sha1 hash;
    sha1_init(&hash);
    for (int i = 0; i < times; i++)
        sha1_update(&hash, piece, size);
    sha1_hex(&hash, text);
}

static void test_sha1(void **state)
{
    (void)state;
    char text[SHA1_HEX_SIZE];
    sha1_of("abc", 3, 1, text);
    assert_string_equal(NAME_OF_ABC, text);
    sha1_of("", 0, 1, text);
    assert_string_equal("da39a3ee5e6b4b0d3255bfef95601890afd80709", text);
    sha1_of("aaaaaaaaaa", 10, 100000, text);
    assert_string_equal("34aa973cd4c4daa4f61eeb2bdbad27316534016f", text);
}

static void test_blob_names(void **state)
{
    (void)state;
    assert_true(blob_name_valid(NAME_OF_ABC));
    assert_false(blob_name_valid("A9993e364706816aba3e25717850c26c9cd0d89d"));
    assert_false(blob_name_valid("../etc/passwd"));
    assert_false(blob_name_valid(NAME_OF_ABC "0"));
}

static void test_blobs_are_what_they_say(void **state)
{
    (void)state;
    static const struct row {
        const char *meta, *data;
        size_t size;
        int expected;
    } rows[] = {
        {RAW, "abc", 3, 0},
        {RAW, "abd", 3, -1},
        {PACKED, abc_gz, ABC_GZ_SIZE, 0},
        {PACKED, abc_gz, ABC_GZ_SIZE - 1, -1}, // cut
        {PACKED, "abc", 3, -1},
        {RAW, abc_gz, ABC_GZ_SIZE, -1},
        {"{}", "abc", 3, -1},
        {"", "abc", 3, -1},
    };
    char path[32];
    cleanup_fd int dir_fd = scratch_dir(path);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        put_blob(dir_fd, rows[i].meta, rows[i].data, rows[i].size);
        assert_int_equal(rows[i].expected, blob_verify(dir_fd, NAME_OF_ABC));
    }
    char twice[2 * ABC_GZ_SIZE];
    memcpy(twice, abc_gz, ABC_GZ_SIZE);
    memcpy(twice + ABC_GZ_SIZE, abc_gz, ABC_GZ_SIZE);
    put_blob(dir_fd, PACKED, twice, sizeof(twice));
    assert_int_equal(-1, blob_verify(dir_fd, NAME_OF_ABC));
    assert_int_equal(EBADMSG, errno);
    tree_remove(AT_FDCWD, path);
}

static void test_only_files_are_taken(void **state)
{
    (void)state;
    char path[32];
    struct stat info;
    cleanup_fd int dir_fd = scratch_dir(path);
    assert_int_equal(0, mkdirat(dir_fd, "to", 0700));
    cleanup_fd int to_fd = openat(dir_fd, "to", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put(dir_fd, "file", "abc", 3);
    assert_int_equal(0, fchmodat(dir_fd, "file", 06777, 0));
    assert_int_equal(0, symlinkat("file", dir_fd, "link"));
    assert_int_equal(0, mkfifoat(dir_fd, "fifo", 0600));
    static const char *const others[] = {"link", "fifo", "to", "missing"};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        assert_int_equal(-1, take_move(dir_fd, others[i], to_fd));
        assert_int_equal(EINVAL, errno);
    }
    assert_int_equal(-1, take_copy(dir_fd, "file", to_fd, 2));
    assert_int_equal(EFBIG, errno);
    assert_int_equal(0, take_copy(dir_fd, "file", to_fd, 3));
    assert_int_equal(0, take_move(dir_fd, "file", to_fd));
    assert_int_equal(0, fstatat(to_fd, "file", &info, 0));
    assert_int_equal(0644, info.st_mode & 07777);
    tree_remove(AT_FDCWD, path);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha1),
        cmocka_unit_test(test_blob_names),
        cmocka_unit_test(test_blobs_are_what_they_say),
        cmocka_unit_test(test_only_files_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
