// SPDX-License-Identifier: Apache-2.0
/*
 * Unit: jail/cgroup with version 2, on a tree of files that follows the rules of cgroups(7): a
 * group has the controllers that the one above passes on, and a group with processes passes on
 * none.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "scratch.h"

#define MOUNT_POINT "/sys/fs/cgroup"

static const char *tree;                // where MOUNT_POINT is
static const char *self_group = "0::/"; // our /proc/self/cgroup

static const char *find(const char *path, char space[512])
{
    size_t length = strlen(MOUNT_POINT);
    if (strncmp(path, MOUNT_POINT, length) != 0)
        return path;
    snprintf(space, 512, "%s%s", tree, path + length);
    return space;
}

static void put(const char *directory, const char *file, const char *text)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", directory, file);
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    fputs(text, stream);
    fclose(stream);
}

static void make_files(const char *path, const char *controllers)
{
    static const struct {
        const char *controller, *file, *text;
    } files[] = {{"memory", "memory.max", "max\n"},
                 {"memory", "memory.high", "max\n"},
                 {"memory", "memory.swap.max", "max\n"},
                 {"pids", "pids.max", "max\n"},
                 {"cpu", "cpu.max", "max 100000\n"}};
    put(path, "cgroup.controllers", controllers);
    put(path, "cgroup.subtree_control", "");
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (text_has_word(controllers, strlen(controllers), files[i].controller))
            put(path, files[i].file, files[i].text);
}

static ssize_t fake_read(int dir_fd, const char *path, char *buffer, size_t size)
{
    char space[512];
    if (strcmp(path, "/proc/self/cgroup") != 0)
        return fd_read_file(dir_fd, find(path, space), buffer, size);
    return snprintf(buffer, size, "%s\n", self_group);
}

static int fake_mkdir(const char *path, mode_t mode)
{
    char space[512], above[512], passed[256] = "";
    const char *there = find(path, space);
    if (mkdir(there, mode) < 0)
        return -1;
    snprintf(above, sizeof(above), "%.*s/cgroup.subtree_control",
             (int)(strrchr(there, '/') - there), there);
    (void)fd_read_file(AT_FDCWD, above, passed, sizeof(passed));
    make_files(there, passed);
    return 0;
}

static int pass_on(const char *path, const char *word)
{
    char directory[512], file[600], text[256] = "", passed[256] = "";
    snprintf(directory, sizeof(directory), "%.*s", (int)(strrchr(path, '/') - path), path);
    snprintf(file, sizeof(file), "%s/processes", directory);
    errno = EBUSY;
    if (access(file, F_OK) == 0)
        return -1;
    snprintf(file, sizeof(file), "%s/cgroup.controllers", directory);
    (void)fd_read_file(AT_FDCWD, file, text, sizeof(text));
    errno = ENOENT;
    if (!text_has_word(text, strlen(text), word))
        return -1;
    (void)fd_read_file(AT_FDCWD, path, passed, sizeof(passed));
    if (passed[0])
        snprintf(text, sizeof(text), "%.200s %.20s", passed, word);
    put(directory, "cgroup.subtree_control", passed[0] ? text : word);
    return 0;
}

static int fake_write(int dir_fd, const char *path, const char *text)
{
    char space[512];
    const char *there = find(path, space);
    if (strstr(there, "/cgroup.subtree_control"))
        return pass_on(there, text + 1);
    int fd = openat(dir_fd, there, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int rc = fd_write_full(fd, text, strlen(text)) < 0 ? -1 : 0;
    close(fd);
    return rc;
}

static int fake_open(const char *path, int flags)
{
    char space[512];
    return open(find(path, space), flags);
}

#define mkdir fake_mkdir
#define fd_read_file fake_read
#define fd_write_file fake_write
#define open(path, flags) fake_open(path, flags)
#include "../../src/jail/cgroup.c" // NOLINT(bugprone-suspicious-include): its calls are ours
#undef mkdir
#undef open
#undef fd_read_file
#undef fd_write_file

int jail_fail(struct sbx_error *err, const char *stage, const char *format, ...)
{
    (void)stage;
    (void)format;
    return err_set(err, SBX_ERR_SETUP, "no limit");
}

static void group(const char *path, const char *controllers, bool processes)
{
    char directory[512];
    snprintf(directory, sizeof(directory), "%s%s", tree, path);
    assert_true(mkdir(directory, 0755) == 0 || errno == EEXIST);
    make_files(directory, controllers);
    if (processes)
        put(directory, "processes", "");
}

static void limit(const char *path, const char *file, const char *text)
{
    char directory[512];
    snprintf(directory, sizeof(directory), "%s%s", tree, path);
    put(directory, file, text);
}

static void expect(const char *path, const char *file, const char *text)
{
    char name[600], found[64] = "";
    snprintf(name, sizeof(name), "%s%s/%s", tree, path, file);
    (void)fd_read_file(AT_FDCWD, name, found, sizeof(found));
    found[strcspn(found, "\n")] = '\0';
    assert_string_equal(found, text);
}

// Makes the groups of a sandbox ID of our process in `self`; the path of its group.
static int make(const char *self, uint64_t memory, uint32_t cpu, bool asked, char ret_path[256])
{
    struct jail jail = {.spec = {.id = "ID",
                                 .machine = "",
                                 .memory_bytes = memory,
                                 .max_pids = 10,
                                 .cpu_millis = cpu,
                                 .flags = asked ? BOX_LIMITS_ASKED : 0}};
    struct cgroup cgroup;
    struct sbx_error err;
    self_group = self;
    jail.dir_fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cgroup_init(&cgroup);
    cgroup.unified = true;
    int code = cgroup_create(&cgroup, &jail, &err);
    size_t skip = strlen(MOUNT_POINT);
    const char *path = cgroup.paths[CGROUP_MEMORY].text;
    snprintf(ret_path, 256, "%s", path[0] ? path + skip : "");
    if (cgroup.v2)
        close(cgroup.fds[CGROUP_MEMORY]);
    close(jail.dir_fd);
    return code;
}

static int begin(void **state)
{
    int code = scratch_setup(state);
    tree = *state;
    return code;
}

static void below_our_own_group(void **state)
{
    char path[256];
    (void)state;
    group("", "memory pids cpu", false);
    assert_int_equal(make("0::/", 1000, 500, true, path), 0);
    assert_string_equal(path, "/sandboxes/ID");
    expect(path, "memory.max", "1000");
    expect(path, "memory.swap.max", "0");
    expect(path, "pids.max", "11");
    expect(path, "cpu.max", "50000 100000");
}

static void beside_a_group_that_has_processes(void **state)
{
    char path[256];
    (void)state;
    group("", "memory pids cpu", false);
    group("/svc", "memory pids cpu", true);
    assert_int_equal(make("0::/svc", 1000, 0, false, path), 0);
    assert_string_equal(path, "/sandboxes/ID");
    expect("/sandboxes", "memory.max", "max");
}

static void limits_of_groups_that_are_passed_over_hold(void **state)
{
    char path[256];
    (void)state;
    group("", "memory pids cpu", false);
    group("/a.slice", "memory pids cpu", true);
    limit("/a.slice", "cpu.max", "50000 100000\n");
    limit("/a.slice", "memory.max", "9000\n");
    group("/a.slice/b.service", "memory pids cpu", true);
    limit("/a.slice/b.service", "memory.max", "5000\n");
    limit("/a.slice/b.service", "memory.swap.max", "0\n");
    limit("/a.slice/b.service", "cpu.max", "30000 50000\n");
    assert_int_equal(make("0::/a.slice/b.service", 1000, 0, true, path), 0);
    assert_string_equal(path, "/sandboxes-a.slice-b.service/ID");
    expect("/sandboxes-a.slice-b.service", "memory.max", "5000");
    expect("/sandboxes-a.slice-b.service", "memory.high", "max");
    expect("/sandboxes-a.slice-b.service", "memory.swap.max", "0");
    expect("/sandboxes-a.slice-b.service", "cpu.max", "50000 100000");
    expect(path, "memory.max", "1000");
}

static void limits_of_a_group_without_the_controller_hold(void **state)
{
    char path[256];
    (void)state;
    group("", "memory pids cpu", false);
    group("/svc", "memory pids", false);
    limit("/svc", "memory.max", "5000\n");
    assert_int_equal(make("0::/svc", 1000, 500, true, path), 0);
    assert_string_equal(path, "/sandboxes-svc/ID");
    expect("/sandboxes-svc", "memory.max", "5000");
    expect(path, "cpu.max", "50000 100000");
}

static void what_was_asked_for_is_never_dropped(void **state)
{
    char path[256];
    (void)state;
    group("", "pids", false);
    assert_int_equal(make("0::/", 1000, 0, true, path), SBX_ERR_SETUP);
    assert_int_equal(make("0::/", 0, 500, false, path), SBX_ERR_SETUP); // is never a default
    assert_int_equal(make("0::/", 1000, 0, false, path), 0);
    expect(path, "pids.max", "11");
}

// Then they stay in our own group, whose limits hold.
static void without_a_group_for_the_limits_around_there_is_none(void **state)
{
    char path[256];
    (void)state;
    group("", "pids", true);
    group("/svc", "memory pids", true);
    limit("/svc", "memory.max", "5000\n");
    assert_int_equal(make("0::/svc", 1000, 0, false, path), 0);
    assert_string_equal(path, "");
    assert_int_equal(make("0::/svc", 1000, 0, true, path), SBX_ERR_SETUP);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(below_our_own_group),
        TEST(beside_a_group_that_has_processes),
        TEST(limits_of_groups_that_are_passed_over_hold),
        TEST(limits_of_a_group_without_the_controller_hold),
        TEST(what_was_asked_for_is_never_dropped),
        TEST(without_a_group_for_the_limits_around_there_is_none),
    };
    return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
