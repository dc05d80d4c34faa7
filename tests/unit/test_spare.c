// SPDX-License-Identifier: Apache-2.0
// Unit: engine/spare with helpers that don't help. As root only: others have no spare networks.
#include "unit.h"

#include <poll.h>
#include <sandboxes/sandbox.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/spare.h"

#define HELPER "/bin/false"

static void skip_without_root(void)
{
    if (geteuid() != 0)
        skip();
}

static void wait_end(int fd)
{
    struct pollfd end = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&end, 1, 10000), 1);
}

static void the_first_launch_starts_no_helper(void **state)
{
    struct spares spares;
    skip_without_root();
    spares_init(&spares);
    assert_int_equal(spares_take(&spares, SBX_NETWORK_NONE, HELPER), -1);
    assert_int_equal(spares.kinds[SPARES_NONE].fd, -1);
    assert_int_equal(spares_take(&spares, SBX_NETWORK_INTERNET, HELPER), -1); // counted by kind
    assert_int_equal(spares.kinds[SPARES_DEVICE].fd, -1);
    spares_deinit(&spares);
}

static void the_network_of_the_host_has_no_spare(void **state)
{
    struct spares spares;
    spares_init(&spares);
    for (int i = 0; i < 3; i++)
        assert_int_equal(spares_take(&spares, SBX_NETWORK_HOST, HELPER), -1);
    for (int kind = 0; kind < SPARES_KINDS; kind++)
        assert_int_equal(spares.kinds[kind].fd, -1);
    spares_deinit(&spares);
}

static void a_helper_that_ends_is_given_up(void **state)
{
    struct spares spares;
    skip_without_root();
    spares_init(&spares);
    assert_int_equal(spares_take(&spares, SBX_NETWORK_NONE, HELPER), -1);
    cleanup_fd int asked = spares_take(&spares, SBX_NETWORK_NONE, HELPER);
    if (spares.kinds[SPARES_NONE].fd >= 0)
        wait_end(spares.kinds[SPARES_NONE].fd);
    if (asked >= 0)
        wait_end(asked); // whoever asks is not kept waiting
    assert_int_equal(spares_take(&spares, SBX_NETWORK_NONE, HELPER), -1);
    assert_true(spares.kinds[SPARES_NONE].given_up);
    spares_refill(&spares, SBX_NETWORK_NONE);
    assert_int_equal(spares.kinds[SPARES_NONE].fd, -1);
    spares_deinit(&spares);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_launch_starts_no_helper),
        cmocka_unit_test(the_network_of_the_host_has_no_spare),
        cmocka_unit_test(a_helper_that_ends_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
