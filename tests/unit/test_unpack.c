// SPDX-License-Identifier: Apache-2.0
// Archives as images: what honest ones become, and that no hostile one leaves a trace outside.
#include "unit.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/tree.h"
#include "engine/image.h"
#include "engine/probe.h"
#include "engine/unpacker.h"
#include "tar_writer.h"

struct fixture {
    char base[64];
    char file[96]; // the archive
    char cache[96];
    char images[128];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (!f)
        return -1;
    // In memory, where the final sync of an image waits for no disk.
    bool shm = access("/dev/shm", W_OK) == 0;
    snprintf(f->base, sizeof(f->base), "%s/test-unpack-XXXXXX", shm ? "/dev/shm" : "/tmp");
    if (!mkdtemp(f->base))
        return -1;
    snprintf(f->file, sizeof(f->file), "%s/image.tar", f->base);
    snprintf(f->cache, sizeof(f->cache), "%s/cache", f->base);
    snprintf(f->images, sizeof(f->images), "%s/images", f->cache);
    setenv("SANDBOXES_CACHE_DIR", f->cache, 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    int rc = tree_remove(AT_FDCWD, f->base);
    free(f);
    return rc;
}

static struct tar_writer begin(const struct fixture *f)
{
    struct tar_writer tar = {open(f->file, O_WRONLY | O_CREAT | O_TRUNC, 0644)};
    assert_true(tar.fd >= 0);
    tar_put(&tar, &(struct tar_entry){.name = "./", .type = '5'});
    tar_put(&tar, &(struct tar_entry){.name = "./bin/", .type = '5'});
    tar_put(&tar, &(struct tar_entry){.name = "./bin/sh", .type = '0', .data = "#!", .mode = 0755});
    return tar;
}

static void end(const struct tar_writer *tar)
{
    tar_end(tar);
    close(tar->fd);
}

// Opens the image; returns its tree's path.
static void open_good(const struct fixture *f, char ret_tree[512])
{
    struct image image;
    struct sbx_error err = {0};
    if (image_open(f->file, 0, deadline_in(60000), &image, &err) < 0)
        fail_msg("%s (%s)", err.message, err.remedy);
    assert_int_equal(image.layer_count, 2);
    snprintf(ret_tree, 512, "%s", image.layers[1].value);
    image_deinit(&image);
}

static size_t count_entries(const char *path)
{
    DIR *dir = opendir(path);
    size_t count = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return count;
}

static void stat_in(const char *tree, const char *path, struct stat *ret_info)
{
    char full[1024];
    snprintf(full, sizeof(full), "%s/%s", tree, path);
    if (lstat(full, ret_info) < 0)
        fail_msg("%s: %s", path, strerror(errno));
}

static void all_kinds_are_unpacked(void **state)
{
    struct fixture *f = *state;
    struct tar_writer tar = begin(f);
    char tree[512], text[64], path[1024];
    struct stat info, other;
    const struct tar_entry entries[] = {
        {.name = "etc/", .type = '5', .mode = 0751},
        {.name = "etc/file", .type = '0', .data = "text", .mode = 0640, .uid = 7, .gid = 70000},
        {.name = "etc/same", .type = '1', .link = "etc/file"},
        {.name = "etc/link", .type = '2', .link = "/etc/../../shadow"},
        {.name = "etc/fifo", .type = '6', .mode = 0600},
        {.name = "closed/", .type = '5', .mode = 0500},
        {.name = "closed/file", .type = '0', .data = "x", .mode = 0400},
        {.name = "bin/set", .type = '0', .data = "x", .mode = 04755},
        {.name = "deep/without/parents", .type = '0', .data = "x"},
        {.name = "dev/null", .type = '3'},
        {.name = "etc/", .type = '5', .mode = 0750}, // the last one counts
        {.name = "empty", .type = '0'},
    };
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
        tar_put(&tar, &entries[i]);
    end(&tar);
    open_good(f, tree);
    stat_in(tree, "etc", &info);
    assert_int_equal(info.st_mode & 07777, 0750);
    assert_int_equal(info.st_mtime, 1000000000);
    stat_in(tree, "etc/file", &info);
    assert_int_equal(info.st_mode & 07777, 0640);
    assert_int_equal(info.st_uid, probe_privileged() ? 7 : geteuid());
    assert_int_equal(info.st_gid, probe_privileged() ? 65534 : getegid());
    assert_int_equal(info.st_mtime, 1000000000);
    stat_in(tree, "etc/same", &other);
    assert_int_equal(info.st_ino, other.st_ino);
    snprintf(path, sizeof(path), "%s/etc/link", tree);
    ssize_t size = readlink(path, text, sizeof(text) - 1);
    assert_int_equal(size, 17);
    stat_in(tree, "etc/fifo", &info);
    assert_true(S_ISFIFO(info.st_mode));
    stat_in(tree, "closed", &info);
    assert_int_equal(info.st_mode & 07777, 0500);
    stat_in(tree, "bin/set", &info);
    assert_int_equal(info.st_mode & 07777, 04755);
    stat_in(tree, "deep/without", &info);
    assert_int_equal(info.st_mode & 07777, 0755);
    snprintf(path, sizeof(path), "%s/dev/null", tree);
    assert_int_equal(lstat(path, &info), -1);
    stat_in(tree, "empty", &info);
    assert_int_equal(info.st_size, 0);
    assert_int_equal(stat(f->images, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700); // set-user-id programs mean nothing to others
    assert_int_equal(count_entries(f->images), 2);
}

static void names_of_any_bytes(void **state)
{
    struct fixture *f = *state;
    struct tar_writer tar = begin(f);
    char tree[512], longer[230];
    struct stat info;
    static const char *const names[] = {"new\nline",
                                        "tab\tescape\033[31m",
                                        "invalid\xff\xfe",
                                        "caf\xc3\xa9",
                                        " ",
                                        "..x",
                                        "a..",
                                        "-rf",
                                        "\\",
                                        "*"};
    memset(longer, 'n', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        tar_put(&tar, &(struct tar_entry){.name = names[i], .type = '0', .data = "x"});
    tar_put(&tar, &(struct tar_entry){.name = longer, .type = '0', .data = "x"});
    tar_put_pax(&tar, "path", "pax-\xc3\xa9", 6);
    tar_put(&tar, &(struct tar_entry){.name = "other", .type = '0', .data = "x"});
    end(&tar);
    open_good(f, tree);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        stat_in(tree, names[i], &info);
    stat_in(tree, longer, &info);
    stat_in(tree, "pax-\xc3\xa9", &info);
}

struct hostile {
    const char *title;
    struct tar_entry entries[4];
    int code;
    const char *reason;
};

#define FILE_ENTRY(n)                                                                              \
    {                                                                                              \
        .name = n, .type = '0', .data = "canary"                                                   \
    }
#define LINK_ENTRY(n, to)                                                                          \
    {                                                                                              \
        .name = n, .type = '2', .link = to                                                         \
    }
#define HARD_ENTRY(n, to)                                                                          \
    {                                                                                              \
        .name = n, .type = '1', .link = to                                                         \
    }
#define DIR_ENTRY(n)                                                                               \
    {                                                                                              \
        .name = n, .type = '5'                                                                     \
    }

static const struct hostile hostiles[] = {
    {"traversal", {FILE_ENTRY("../escape")}, SBX_ERR_INVALID, "'..'"},
    {"traversal in the middle", {FILE_ENTRY("bin/../../escape")}, SBX_ERR_INVALID, "'..'"},
    {"traversal at the end", {DIR_ENTRY("bin/..")}, SBX_ERR_INVALID, "'..'"},
    {"absolute", {FILE_ENTRY("/tmp/escape")}, SBX_ERR_INVALID, "absolute"},
    {"double slash", {FILE_ENTRY("//tmp/escape")}, SBX_ERR_INVALID, "absolute"},
    {"write through a link",
     {LINK_ENTRY("l", "/tmp"), FILE_ENTRY("l/escape")},
     SBX_ERR_INVALID,
     "not a directory"},
    {"write through a relative link",
     {LINK_ENTRY("l", ".."), FILE_ENTRY("l/escape")},
     SBX_ERR_INVALID,
     "not a directory"},
    {"write through a link below",
     {DIR_ENTRY("d"), LINK_ENTRY("d/l", "../.."), FILE_ENTRY("d/l/x/escape")},
     SBX_ERR_INVALID,
     "not a directory"},
    {"write onto a link",
     {LINK_ENTRY("l", "../escape"), FILE_ENTRY("l")},
     SBX_ERR_INVALID,
     "twice"},
    {"directory onto a link", {LINK_ENTRY("l", "/tmp"), DIR_ENTRY("l")}, SBX_ERR_INVALID, "twice"},
    {"link onto a directory",
     {DIR_ENTRY("d"), LINK_ENTRY("d", ".."), FILE_ENTRY("d/escape")},
     SBX_ERR_INVALID,
     "twice"},
    {"file twice", {FILE_ENTRY("a"), FILE_ENTRY("a")}, SBX_ERR_INVALID, "twice"},
    {"directory below a file",
     {FILE_ENTRY("a"), FILE_ENTRY("a/b")},
     SBX_ERR_INVALID,
     "not a directory"},
    {"hard link outside", {HARD_ENTRY("h", "../../../etc/passwd")}, SBX_ERR_INVALID, "'..'"},
    {"hard link to an absolute name",
     {HARD_ENTRY("h", "/etc/passwd")},
     SBX_ERR_INVALID,
     "absolute"},
    {"hard link through a link",
     {LINK_ENTRY("l", "/etc"), HARD_ENTRY("h", "l/passwd")},
     SBX_ERR_INVALID,
     "not a directory"},
    {"hard link to a directory", {HARD_ENTRY("h", "bin")}, SBX_ERR_INVALID, "not a file"},
    {"hard link to the root", {HARD_ENTRY("h", ".")}, SBX_ERR_INVALID, "not a file"},
    {"hard link to nothing", {HARD_ENTRY("h", "absent")}, SBX_ERR_INVALID, "not a file"},
    {"hard link before its target",
     {HARD_ENTRY("h", "d/absent"), FILE_ENTRY("d/absent")},
     SBX_ERR_INVALID,
     "before it is needed"},
    {"hard link as root", {HARD_ENTRY("./", "bin/sh")}, SBX_ERR_INVALID, "root directory"},
    {"character device", {{.name = "disk", .type = '3'}}, SBX_ERR_INVALID, "is a device"},
    {"block device", {{.name = "etc/disk", .type = '4'}}, SBX_ERR_INVALID, "is a device"},
    {"device beside dev", {{.name = "device", .type = '4'}}, SBX_ERR_INVALID, "is a device"},
    {"root as a file", {FILE_ENTRY(".")}, SBX_ERR_INVALID, "root directory"},
    {"root as a link", {LINK_ENTRY("./", "/")}, SBX_ERR_INVALID, "root directory"},
    {"a larger size than any disk",
     {{.name = "huge", .type = '0', .claim = UINT64_C(1) << 60}},
     SBX_ERR_QUOTA,
     "more than"},
    {"cut short", {{.name = "cut", .type = '0', .claim = 100000}}, SBX_ERR_INVALID, "runcated"},
};

// Nothing may remain in the cache, and nothing may have appeared anywhere around.
static void nothing_left(const struct fixture *f, const char *title)
{
    if (count_entries(f->images) != 0)
        fail_msg("%s: something was left in the cache", title);
    if (count_entries(f->base) != 2 || access("/tmp/escape", F_OK) == 0)
        fail_msg("%s: something escaped", title);
}

static void expect_refused(const struct fixture *f, const char *title, int code, const char *reason)
{
    struct image image;
    struct sbx_error err = {0};
    int rc = image_open(f->file, 0, deadline_in(60000), &image, &err);
    if (rc != code || !strstr(err.message, reason))
        fail_msg("%s: %d, %s", title, rc, err.message);
    assert_true(err.remedy[0] != '\0');
    for (const char *c = err.message; *c; c++)
        assert_true((unsigned char)*c >= ' ');
    nothing_left(f, title);
}

static void hostile_archives_are_refused(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(hostiles) / sizeof(hostiles[0]); i++) {
        struct tar_writer tar = begin(f);
        for (size_t k = 0; k < 4 && hostiles[i].entries[k].name; k++)
            tar_put(&tar, &hostiles[i].entries[k]);
        end(&tar);
        expect_refused(f, hostiles[i].title, hostiles[i].code, hostiles[i].reason);
    }
}

static void hostile_pax_headers(void **state)
{
    struct fixture *f = *state;
    struct tar_writer tar = begin(f);
    tar_put_pax(&tar, "path", "../escape", 9);
    tar_put(&tar, &(struct tar_entry)FILE_ENTRY("innocent"));
    end(&tar);
    expect_refused(f, "pax path", SBX_ERR_INVALID, "'..'");
    tar = begin(f);
    tar_put_pax(&tar, "linkpath", "/etc/passwd", 11);
    tar_put(&tar, &(struct tar_entry)HARD_ENTRY("h", "bin/sh"));
    end(&tar);
    expect_refused(f, "pax linkpath", SBX_ERR_INVALID, "absolute");
    tar = begin(f);
    tar_put_pax(&tar, "size", "9223372036854775807", 19);
    tar_put(&tar, &(struct tar_entry)FILE_ENTRY("a"));
    end(&tar);
    expect_refused(f, "pax size", SBX_ERR_INVALID, "cannot be read");
    tar = begin(f);
    tar_put_pax(&tar, "GNU.sparse.map", "0,6", 3);
    tar_put_pax(&tar, "GNU.sparse.size", "1125899906842624", 16);
    tar_put(&tar, &(struct tar_entry)FILE_ENTRY("sparse"));
    end(&tar);
    expect_refused(f, "huge sparse", SBX_ERR_QUOTA, "more than");
}

// A NUL ends a name; what comes after it must not matter.
static void nul_in_a_pax_name(void **state)
{
    struct fixture *f = *state;
    struct tar_writer tar = begin(f);
    struct image image;
    struct sbx_error err = {0};
    tar_put_pax(&tar, "path", "name\0/../../escape", 18);
    tar_put(&tar, &(struct tar_entry)FILE_ENTRY("a"));
    end(&tar);
    if (image_open(f->file, 0, deadline_in(60000), &image, &err) == 0)
        image_deinit(&image);
    assert_int_equal(access("/tmp/escape", F_OK), -1);
    assert_int_equal(count_entries(f->base), 2);
}

static void names_too_deep_or_long(void **state)
{
    struct fixture *f = *state;
    static char deep[20001], wide[400];
    for (size_t i = 0; i < sizeof(deep) - 1; i++)
        deep[i] = i % 2 ? '/' : 'd';
    struct tar_writer tar = begin(f);
    tar_put(&tar, &(struct tar_entry)FILE_ENTRY(deep));
    end(&tar);
    expect_refused(f, "10,000 levels", SBX_ERR_INVALID, "too deep");
    memset(wide, 'w', sizeof(wide) - 1);
    tar = begin(f);
    tar_put(&tar, &(struct tar_entry)FILE_ENTRY(wide));
    end(&tar);
    expect_refused(f, "a name of 399 bytes", SBX_ERR_INVALID, "too long");
    tar = begin(f); // many long names below each other stay small, too
    deep[2 * 257] = '\0';
    tar_put(&tar, &(struct tar_entry)FILE_ENTRY(deep));
    end(&tar);
    expect_refused(f, "257 levels", SBX_ERR_INVALID, "too deep");
}

// As many files as a large distribution has, and only the last entry is bad; then a directory that
// comes over and over, each time as something of which to keep account.
static void a_hundred_thousand_entries(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 100000 };
    char name[64];
    struct tar_writer tar = begin(f);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "d%d/f%d", i % 8, i);
        tar_put(&tar, &(struct tar_entry){.name = name, .type = '0'});
    }
    tar_put(&tar, &(struct tar_entry)FILE_ENTRY("../escape"));
    end(&tar);
    expect_refused(f, "100,000 files", SBX_ERR_INVALID, "'..'");
    tar = begin(f);
    for (int i = 0; i < COUNT; i++)
        tar_put(&tar, &(struct tar_entry){.name = "d/./again", .type = '5', .mode = 0700});
    tar_put(&tar, &(struct tar_entry)LINK_ENTRY("d/again", "/"));
    end(&tar);
    expect_refused(f, "100,000 directories", SBX_ERR_INVALID, "comes twice");
}

// More than two million, in a file of two megabytes.
static void too_many_entries(void **state)
{
    struct fixture *f = *state;
    enum { PART = 2000, PARTS = 1001 };
    static char plain[PART * 512], packed[sizeof(plain) / 8];
    size_t used = 0;
    struct tar_writer tar = {open(f->file, O_RDWR | O_CREAT | O_TRUNC, 0644)};
    struct archive *out = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    for (int i = 0; i < PART; i++) // which are left out: nothing is made of them
        tar_put(&tar, &(struct tar_entry){.name = "dev/x", .type = '3'});
    assert_int_equal(pread(tar.fd, plain, sizeof(plain), 0), sizeof(plain));
    assert_int_equal(ftruncate(tar.fd, 0) < 0 ? -1 : lseek(tar.fd, 0, SEEK_SET), 0);
    archive_write_set_format_raw(out);
    archive_write_add_filter_gzip(out);
    assert_int_equal(archive_write_open_memory(out, packed, sizeof(packed), &used), ARCHIVE_OK);
    archive_entry_set_filetype(entry, AE_IFREG);
    assert_int_equal(archive_write_header(out, entry), ARCHIVE_OK);
    assert_true(archive_write_data(out, plain, sizeof(plain)) == (la_ssize_t)sizeof(plain));
    archive_entry_free(entry);
    assert_int_equal(archive_write_free(out), ARCHIVE_OK);
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(fd_write_full(tar.fd, packed, used), 0);
    close(tar.fd);
    expect_refused(f, "two million entries", SBX_ERR_QUOTA, "more than 2000000 entries");
}

static void what_is_no_archive(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *title;
        const char *data;
        size_t size;
    } rows[] = {
        {"empty", "", 0},
        {"text", "#!/bin/sh\necho hello\n", 21},
        {"gzip header alone", "\x1f\x8b\x08\0\0\0\0\0\0\3", 10},
        {"zip", "PK\3\4garbage", 11},
        {"zstd header alone", "\x28\xb5\x2f\xfd\x24", 5},
        {"xz header alone",
         "\xfd"
         "7zXZ\0\0\4",
         8},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = open(f->file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        assert_int_equal(fd_write_full(fd, rows[i].data, rows[i].size), 0);
        close(fd);
        expect_refused(f, rows[i].title, SBX_ERR_INVALID, "the archive");
    }
}

static void no_root_file_system(void **state)
{
    struct fixture *f = *state;
    struct image image;
    struct sbx_error err;
    struct tar_writer tar = {open(f->file, O_WRONLY | O_CREAT | O_TRUNC, 0644)};
    tar_put(&tar, &(struct tar_entry)FILE_ENTRY("some.txt"));
    end(&tar);
    assert_int_equal(image_open(f->file, 0, deadline_in(60000), &image, &err), SBX_ERR_INVALID);
    assert_non_null(strstr(err.remedy, "--mount"));
}

// Writes the same good image with one of libarchive's compressions.
static void write_compressed(const struct fixture *f, int filter, size_t zeros)
{
    struct archive *out = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    static char data[1 << 16];
    assert_int_equal(archive_write_add_filter(out, filter), ARCHIVE_OK);
    archive_write_set_format_pax_restricted(out);
    assert_int_equal(archive_write_open_filename(out, f->file), ARCHIVE_OK);
    archive_entry_set_pathname(entry, "bin/sh");
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0755);
    archive_entry_set_size(entry, (la_int64_t)zeros);
    assert_int_equal(archive_write_header(out, entry), ARCHIVE_OK);
    for (size_t done = 0; done < zeros; done += sizeof(data))
        assert_true(archive_write_data(out, data, sizeof(data)) == (la_ssize_t)sizeof(data));
    archive_entry_free(entry);
    assert_int_equal(archive_write_free(out), ARCHIVE_OK);
}

static void compressions_are_understood(void **state)
{
    struct fixture *f = *state;
    static const int filters[] = {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_BZIP2,
                                  ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_ZSTD};
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        char tree[512];
        struct stat info;
        write_compressed(f, filters[i], 1 << 20);
        open_good(f, tree);
        stat_in(tree, "bin/sh", &info);
        assert_int_equal(info.st_size, 1 << 20);
    }
}

// Unpacks with a small limit, into a directory of the test.
static int unpack_limited(const struct fixture *f, uint64_t limit, char ret_tree[512],
                          struct sbx_error *err)
{
    struct unpack_answer answer;
    snprintf(ret_tree, 512, "%s/tree", f->base);
    assert_int_equal(tree_remove(AT_FDCWD, ret_tree), 0);
    assert_int_equal(mkdir(ret_tree, 0755), 0);
    int tree = open(ret_tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int file = open(f->file, O_RDONLY | O_CLOEXEC);
    assert_true(tree >= 0 && file >= 0);
    int rc = unpacker_run(file, tree, file, limit, deadline_in(60000), &answer, err);
    close(tree);
    close(file);
    return rc;
}

static void bombs_stop_at_the_limit(void **state)
{
    struct fixture *f = *state;
    struct sbx_error err = {0};
    char tree[512];
    struct stat info;
    write_compressed(f, ARCHIVE_FILTER_GZIP, 64 << 20);
    assert_int_equal(unpack_limited(f, 1 << 20, tree, &err), SBX_ERR_QUOTA);
    assert_non_null(strstr(err.message, "more than 1 MB"));
    assert_int_equal(unpack_limited(f, 64 << 20, tree, &err), 0);
    // No file is over the limit, but all together are.
    struct tar_writer tar = begin(f);
    static char data[100000];
    for (int i = 0; i < 12; i++) {
        char name[32];
        snprintf(name, sizeof(name), "file-%d", i);
        tar_put(&tar,
                &(struct tar_entry){.name = name, .type = '0', .data = data, .size = sizeof(data)});
    }
    end(&tar);
    assert_int_equal(unpack_limited(f, 1 << 20, tree, &err), SBX_ERR_QUOTA);
    stat_in(tree, "file-9", &info);
    char last[600];
    snprintf(last, sizeof(last), "%s/file-11", tree);
    assert_int_equal(stat(last, &info), -1);
}

static void holes_stay_holes(void **state)
{
    struct fixture *f = *state;
    struct sbx_error err = {0};
    char tree[512];
    struct stat info;
    const la_int64_t size = (la_int64_t)256 << 20;
    struct archive *out = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    archive_write_set_format_pax(out);
    assert_int_equal(archive_write_open_filename(out, f->file), ARCHIVE_OK);
    archive_entry_set_pathname(entry, "sparse");
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, size);
    archive_entry_sparse_add_entry(entry, size / 2, 4096);
    assert_int_equal(archive_write_header(out, entry), ARCHIVE_OK);
    static char data[1 << 20];
    for (la_int64_t done = 0; done < size; done += (la_int64_t)sizeof(data))
        archive_write_data(out, data, sizeof(data));
    archive_entry_free(entry);
    assert_int_equal(archive_write_free(out), ARCHIVE_OK);
    if (unpack_limited(f, (uint64_t)size, tree, &err) < 0)
        fail_msg("%s", err.message);
    stat_in(tree, "sparse", &info);
    assert_int_equal(info.st_size, size);
    assert_true(info.st_blocks * 512 < 1 << 20);
    assert_int_equal(unpack_limited(f, 1 << 20, tree, &err), SBX_ERR_QUOTA);
}

static void truncated_compressions(void **state)
{
    struct fixture *f = *state;
    static const int filters[] = {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_XZ,
                                  ARCHIVE_FILTER_ZSTD};
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        struct stat info;
        write_compressed(f, filters[i], 1 << 20);
        assert_int_equal(stat(f->file, &info), 0);
        assert_int_equal(truncate(f->file, info.st_size / 2), 0);
        expect_refused(f, "truncated", SBX_ERR_INVALID, "the archive");
    }
}

static void a_second_start_does_not_unpack(void **state)
{
    struct fixture *f = *state;
    char first[512], second[512], copy[128];
    struct stat before, after;
    struct tar_writer tar = begin(f);
    end(&tar);
    open_good(f, first);
    stat_in(first, "bin/sh", &before);
    open_good(f, second);
    assert_string_equal(first, second);
    stat_in(second, "bin/sh", &after);
    assert_int_equal(before.st_ino, after.st_ino);
    // Another file with the same contents is the same image.
    snprintf(copy, sizeof(copy), "%s.copy", f->file);
    assert_int_equal(rename(f->file, copy), 0);
    tar = begin(f);
    end(&tar);
    open_good(f, second);
    assert_string_equal(first, second);
    // A changed one is another.
    tar = begin(f);
    tar_put(&tar, &(struct tar_entry)FILE_ENTRY("more"));
    end(&tar);
    open_good(f, second);
    assert_string_not_equal(first, second);
    unlink(copy);
}

static int open_in_child(const struct fixture *f)
{
    struct image image;
    struct sbx_error err;
    struct stat info;
    char path[1024];
    if (image_open(f->file, 0, deadline_in(60000), &image, &err) < 0)
        return 1;
    snprintf(path, sizeof(path), "%s/file-299", image.layers[1].value);
    int there = stat(path, &info) == 0;
    image_deinit(&image);
    return there ? 0 : 2;
}

static void make_large(const struct fixture *f)
{
    struct tar_writer tar = begin(f);
    for (int i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof(name), "file-%d", i);
        tar_put(&tar, &(struct tar_entry){.name = name, .type = '0', .data = name});
    }
    end(&tar);
}

static void many_at_once_unpack_once(void **state)
{
    struct fixture *f = *state;
    pid_t children[20];
    make_large(f);
    for (size_t i = 0; i < 20; i++) {
        children[i] = fork();
        if (children[i] == 0)
            _exit(open_in_child(f));
    }
    for (size_t i = 0; i < 20; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(count_entries(f->images), 2); // the tree and the link of the file
}

static void killed_unpackers_leave_nothing(void **state)
{
    struct fixture *f = *state;
    make_large(f);
    for (unsigned delay = 500; delay < 16500; delay += 2000) {
        pid_t child = fork();
        if (child == 0)
            _exit(open_in_child(f));
        usleep(delay);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        assert_int_equal(open_in_child(f), 0);
        assert_int_equal(count_entries(f->images), 2);
        assert_int_equal(tree_remove(AT_FDCWD, f->cache), 0);
    }
}

// The link that tells of an image: its time is when the image was used last.
static void set_last_use(const struct fixture *f, const char *tree, int days_ago)
{
    const struct timespec used = {.tv_sec = time(NULL) - days_ago * 24 * 3600};
    const struct timespec times[2] = {used, used};
    DIR *dir = opendir(f->images);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char digest[128] = "";
        ssize_t size = readlinkat(dirfd(dir), entry->d_name, digest, sizeof(digest) - 1);
        if (size > 0 && strcmp(strrchr(tree, '/') + 1, digest) == 0)
            utimensat(dirfd(dir), entry->d_name, times, AT_SYMLINK_NOFOLLOW);
    }
    closedir(dir);
}

static void old_images_go(void **state)
{
    struct fixture *f = *state;
    char trees[7][512];
    setenv("SANDBOXES_RUNTIME_DIR", f->base, 1); // where living sandboxes would be
    for (int i = 0; i < 7; i++) {
        char name[32];
        snprintf(name, sizeof(name), "only-in-%d", i);
        struct tar_writer tar = begin(f);
        tar_put(&tar, &(struct tar_entry)FILE_ENTRY(name));
        end(&tar);
        open_good(f, trees[i]);
        // The first was used again yesterday.
        set_last_use(f, trees[i], i == 0 ? 1 : 40 - i);
    }
    struct tar_writer tar = begin(f);
    end(&tar);
    char last[512];
    open_good(f, last); // unpacks, and looks after the old ones
    for (int i = 0; i < 7; i++)
        assert_int_equal(access(trees[i], F_OK), i == 0 || i >= 5 ? 0 : -1);
    assert_int_equal(access(last, F_OK), 0);
    make_large(f);
    open_good(f, last); // and after the links to them, but for the one that goes just now
    assert_int_equal(count_entries(f->images), 4 + 5);
}

static void a_cancelled_call_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct sbx_error err;
    struct sbx_cancel *cancel;
    struct image image;
    make_large(f);
    assert_int_equal(sbx_cancel_new(&cancel, &err), 0);
    sbx_cancel_trigger(cancel);
    struct deadline deadline = {.at_ms = DEADLINE_NEVER, .cancel = cancel};
    assert_int_equal(image_open(f->file, 0, deadline, &image, &err), SBX_ERR_CANCELLED);
    sbx_cancel_free(cancel);
    nothing_left(f, "cancelled");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(all_kinds_are_unpacked),
        TEST(names_of_any_bytes),
        TEST(hostile_archives_are_refused),
        TEST(hostile_pax_headers),
        TEST(nul_in_a_pax_name),
        TEST(names_too_deep_or_long),
        TEST(a_hundred_thousand_entries),
        TEST(too_many_entries),
        TEST(what_is_no_archive),
        TEST(no_root_file_system),
        TEST(compressions_are_understood),
        TEST(bombs_stop_at_the_limit),
        TEST(holes_stay_holes),
        TEST(truncated_compressions),
        TEST(a_second_start_does_not_unpack),
        TEST(many_at_once_unpack_once),
        TEST(killed_unpackers_leave_nothing),
        TEST(old_images_go),
        TEST(a_cancelled_call_leaves_nothing),
    };
    return cmocka_run_group_tests_name("unpack", tests, NULL, NULL);
}
