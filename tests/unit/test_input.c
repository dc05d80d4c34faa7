// SPDX-License-Identifier: Apache-2.0
// Archives decompressed ahead: what they may become, their digest, and an end in any case.
#include "unit.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/unpack/input.h"

#define MB (1u << 20)

// `size` bytes of zeros as gzip has them, a thousandth of that.
static int compress_zeros(size_t size)
{
    static char zeros[MB];
    int fd = memfd_create("input", MFD_CLOEXEC);
    struct archive *out = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    assert_true(fd >= 0 && out && entry);
    archive_write_set_format_raw(out);
    archive_write_add_filter_gzip(out);
    archive_write_open_fd(out, fd);
    archive_entry_set_filetype(entry, AE_IFREG);
    assert_int_equal(archive_write_header(out, entry), ARCHIVE_OK);
    for (; size > 0; size -= MB)
        archive_write_data(out, zeros, MB);
    archive_entry_free(entry);
    assert_int_equal(archive_write_free(out), ARCHIVE_OK);
    return fd;
}

static struct archive *open_raw(struct input *input, int fd, uint64_t most)
{
    struct archive_entry *entry;
    struct archive *archive = archive_read_new();
    assert_non_null(archive);
    assert_true(lseek(fd, 0, SEEK_SET) == 0);
    assert_int_equal(input_start(input, fd, true, most, NULL), 0);
    input_allow(input);
    archive_read_support_format_raw(archive);
    assert_int_equal(input_open(input, archive), ARCHIVE_OK);
    assert_int_equal(archive_read_next_header(archive, &entry), ARCHIVE_OK);
    return archive;
}

// Reads at most `most` bytes; the last status.
static int read_some(struct archive *archive, size_t most, size_t *ret_size)
{
    const void *data;
    size_t size, total = 0;
    la_int64_t offset;
    int status = ARCHIVE_OK;
    while (total < most &&
           (status = archive_read_data_block(archive, &data, &size, &offset)) == ARCHIVE_OK)
        total += size;
    *ret_size = total;
    return status;
}

static void finish(struct input *input, struct archive *archive, int fd)
{
    char found[SHA256_HEX_SIZE], wanted[SHA256_HEX_SIZE];
    static char data[MB];
    struct sha256 hash;
    uint8_t digest[SHA256_SIZE];
    assert_int_equal(input_finish(input, found, NULL), 0);
    archive_read_free(archive);
    input_free(input);
    ssize_t size = pread(fd, data, sizeof(data), 0);
    assert_true(size > 0 && (size_t)size < sizeof(data));
    sha256_init(&hash);
    sha256_update(&hash, data, (size_t)size);
    sha256_final(&hash, digest);
    sha256_hex(digest, wanted);
    assert_string_equal(found, wanted);
    close(fd);
}

static void all_is_handed_over(void **state)
{
    (void)state;
    struct input input;
    size_t size;
    int fd = compress_zeros(8 * MB);
    struct archive *archive = open_raw(&input, fd, 8 * MB);
    assert_int_equal(read_some(archive, SIZE_MAX, &size), ARCHIVE_EOF);
    assert_int_equal(size, 8 * MB);
    finish(&input, archive, fd);
}

// What no file of the archive accounts for has a ceiling, too.
static void bombs_end(void **state)
{
    (void)state;
    struct input input;
    size_t size;
    int fd = compress_zeros(64 * MB);
    struct archive *archive = open_raw(&input, fd, 4 * MB);
    assert_int_equal(read_some(archive, SIZE_MAX, &size), ARCHIVE_FATAL);
    assert_true(size <= 4 * MB);
    assert_non_null(strstr(archive_error_string(archive), "too much"));
    assert_int_equal(input_check(&input, NULL), SBX_ERR_QUOTA);
    finish(&input, archive, fd);
}

// Who has enough gets no more, and the digest is of all.
static void the_rest_is_hashed_alone(void **state)
{
    (void)state;
    struct input input;
    size_t size;
    int fd = compress_zeros(64 * MB);
    assert_int_equal(fd_write_full(fd, "what follows", 12), 0);
    struct archive *archive = open_raw(&input, fd, UINT64_MAX);
    assert_int_equal(read_some(archive, 1, &size), ARCHIVE_OK);
    finish(&input, archive, fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_handed_over),
        cmocka_unit_test(bombs_end),
        cmocka_unit_test(the_rest_is_hashed_alone),
    };
    return cmocka_run_group_tests_name("input", tests, NULL, NULL);
}
