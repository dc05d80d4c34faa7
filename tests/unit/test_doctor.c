// SPDX-License-Identifier: Apache-2.0
// The doctor: each check says something, nothing is left, and each stage's failure has its remedy.
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/doctor.h"
#include "engine/remedy.h"

static void read_mounts(char *text, size_t size)
{
    int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t got = fd_read_full(fd, text, size - 1);
    assert_true(got > 0);
    text[got] = '\0';
    close(fd);
}

static int count_fds(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void every_check_says_what_and_how(void **state)
{
    struct doctor_check checks[DOCTOR_CHECKS_MAX];
    struct sbx_error err;
    size_t count = 0;
    (void)state;
    assert_int_equal(doctor_run(checks, DOCTOR_CHECKS_MAX, &count, &err), 0);
    assert_true(count >= 10);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(checks[i].name);
        assert_true(checks[i].level >= DOCTOR_OK && checks[i].level <= DOCTOR_MISSING);
        assert_true(checks[i].what[0] != '\0');
        // What can't be tried for want of another thing has that one's remedy.
        if (checks[i].level != DOCTOR_OK && strncmp(checks[i].what, "not tried", 9) != 0)
            assert_true(checks[i].remedy[0] != '\0');
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(checks[i].name, checks[k].name);
    }
}

static void nothing_is_left(void **state)
{
    static char before[1 << 18], after[1 << 18];
    struct doctor_check checks[DOCTOR_CHECKS_MAX];
    struct sbx_error err;
    size_t count;
    (void)state;
    read_mounts(before, sizeof(before));
    int fds = count_fds();
    assert_int_equal(doctor_run(checks, DOCTOR_CHECKS_MAX, &count, &err), 0);
    read_mounts(after, sizeof(after));
    assert_string_equal(before, after);
    assert_int_equal(count_fds(), fds);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); // no child, dead or alive
    assert_int_equal(errno, ECHILD);
}

static void capacity_is_kept(void **state)
{
    struct doctor_check checks[3] = {{.name = NULL}, {.name = NULL}, {.name = "untouched"}};
    struct sbx_error err;
    size_t count = 9;
    (void)state;
    assert_int_equal(doctor_run(checks, 2, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_string_equal(checks[2].name, "untouched");
    assert_int_equal(doctor_run(checks, 0, &count, &err), SBX_ERR_INVALID);
}

static void failed_stages_are_explained(void **state)
{
    static const struct {
        const char *stage;
        int sys_errno;
        const char *hint;
    } rows[] = {
        {"user namespace", ENOSPC, "sudo sysctl -w user.max_user_namespaces="},
        {"overlay", ENODEV, "modprobe overlay"},
        {"overlay", EINVAL, "SANDBOXES_CACHE_DIR"},
        {"proc", EPERM, "proc"},
        {"mount", EPERM, ""},
        {"cgroup", EACCES, "cgroup"},
        {"network namespace", ENOSPC, "user.max_net_namespaces"},
        {"tmpfs", ENOSPC, "disk"},
        {"pivot_root", EINVAL, "switch_root"},
        {"idmapped mount", EINVAL, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sbx_error err = {.code = SBX_ERR_SETUP, .message = "m", .remedy = "general"};
        int rc = doctor_explain(rows[i].sys_errno, rows[i].stage, &err);
        assert_int_equal(rc, SBX_ERR_SETUP);
        assert_string_not_equal(err.remedy, "general");
        if (!strstr(err.remedy, rows[i].hint))
            fail_msg("%s: %s", rows[i].stage, err.remedy);
        assert_string_equal(err.message, "m");
    }
}

static void unknown_stages_keep_their_remedy(void **state)
{
    struct sbx_error err = {.code = SBX_ERR_SETUP, .remedy = "general"};
    (void)state;
    assert_int_equal(doctor_explain(EIO, "no such stage", &err), SBX_ERR_SETUP);
    assert_string_equal(err.remedy, "general");
    assert_int_equal(doctor_explain(EIO, "", NULL), SBX_ERR_BUG);
}

static char base[] = "/tmp/test-doctor-XXXXXX";

// A profile for ".../bin/../libexec/..." would be attached to nothing.
static void profiles_name_the_true_path(void **state)
{
    char roundabout[64], program[128], path[4096];
    (void)state;
    snprintf(roundabout, sizeof(roundabout), "%s/../%s", base, strrchr(base, '/') + 1);
    snprintf(program, sizeof(program), "%s/sandboxes-jail", base);
    int fd = open(program, O_CREAT | O_CLOEXEC | O_WRONLY, 0755);
    assert_true(fd >= 0);
    close(fd);
    setenv("SANDBOXES_LIBEXEC", roundabout, 1);
    remedy_jail_program(path, sizeof(path));
    unsetenv("SANDBOXES_LIBEXEC");
    unlink(program);
    assert_string_equal(path, program);
}

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(base))
        return -1;
    return setenv("SANDBOXES_CACHE_DIR", base, 1) || setenv("SANDBOXES_RUNTIME_DIR", base, 1);
}

static int teardown(void **state)
{
    char kept[sizeof(base) + 16]; // what it found of KVM: accel.h
    (void)state;
    snprintf(kept, sizeof(kept), "%s/accelerator", base);
    unlink(kept);
    return rmdir(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_check_says_what_and_how),
        cmocka_unit_test(nothing_is_left),
        cmocka_unit_test(capacity_is_kept),
        cmocka_unit_test(failed_stages_are_explained),
        cmocka_unit_test(unknown_stages_keep_their_remedy),
        cmocka_unit_test(profiles_name_the_true_path),
    };
    return cmocka_run_group_tests_name("doctor", tests, setup, teardown);
}
