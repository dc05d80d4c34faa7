// SPDX-License-Identifier: Apache-2.0
// What accelerates guests: whatever stands where KVM should be is seen through, once, and told
// once.
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <sandboxes/client.h>

#include "engine/accel.h"
#include "scratch.h"

static int told;
static char last[256];

static void hear(void *payload, int level, const char *origin, const char *text)
{
    (void)payload;
    if (level == 1 && strcmp(origin, "microvm") == 0) {
        told++;
        snprintf(last, sizeof(last), "%s", text);
    }
}

static void use(const char *device, const char *cache)
{
    setenv("SANDBOXES_MICROVM_KVM", device, 1);
    setenv("SANDBOXES_CACHE_DIR", cache, 1);
    unsetenv("SANDBOXES_MICROVM_ACCEL");
    told = 0;
    sbx_log_set(hear, NULL);
}

// A file, a pipe that nobody reads, a device that is another, and nothing at all.
static void what_is_not_kvm_is_not_used(void **state)
{
    const char *base = *state;
    char file[128], pipe[128], missing[128], cache[128];
    snprintf(file, sizeof(file), "%s/file", base);
    snprintf(pipe, sizeof(pipe), "%s/pipe", base);
    snprintf(missing, sizeof(missing), "%s/missing", base);
    fclose(fopen(file, "w"));
    assert_int_equal(mkfifo(pipe, 0600), 0);
    const struct {
        const char *device, *why;
    } cases[] = {{file, "is not KVM"},
                 {pipe, "is not KVM"},
                 {"/dev/null", "is not KVM"},
                 {missing, "is not there"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(cache, sizeof(cache), "%s/cache%zu", base, i);
        use(cases[i].device, cache);
        assert_false(accel_is_kvm());
        assert_int_equal(told, 1);
        assert_non_null(strstr(last, cases[i].device));
        assert_non_null(strstr(last, cases[i].why));
    }
}

static void it_is_tried_once(void **state)
{
    char cache[128], device[128];
    snprintf(cache, sizeof(cache), "%s/once", (char *)*state);
    snprintf(device, sizeof(device), "%s/later", (char *)*state);
    use("/dev/null", cache);
    assert_false(accel_is_kvm());
    assert_false(accel_is_kvm());
    assert_int_equal(told, 1);
    use(device, cache); // another device is another question
    assert_false(accel_is_kvm());
    assert_int_equal(told, 1);
}

// Whether this machine's own works is its own affair; the answers have to agree. Asked by a thread
// that no signal reaches, as the library's are: else one that interprets would count for half a
// minute.
static void the_real_one_is_judged(void **state)
{
    char cache[128];
    sigset_t all, before;
    sigfillset(&all);
    assert_int_equal(sigprocmask(SIG_SETMASK, &all, &before), 0);
    snprintf(cache, sizeof(cache), "%s/real", (char *)*state);
    use("", cache);
    int failed = accel_try();
    assert_true(failed >= 0);
    assert_true(accel_is_kvm() == (failed == 0));
    assert_int_equal(told, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
}

static void it_can_be_chosen(void **state)
{
    use("/dev/null", *state);
    setenv("SANDBOXES_MICROVM_ACCEL", "kvm", 1);
    assert_true(accel_is_kvm());
    setenv("SANDBOXES_MICROVM_ACCEL", "tcg", 1);
    assert_false(accel_is_kvm());
    assert_int_equal(told, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_kvm_is_not_used),
        cmocka_unit_test(it_is_tried_once),
        cmocka_unit_test(the_real_one_is_judged),
        cmocka_unit_test(it_can_be_chosen),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
