// SPDX-License-Identifier: Apache-2.0
// Unit: the small modules of base: clock, cancel, fd, id, log, text.
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include <sandboxes/client.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/log.h"
#include "base/text.h"

static struct sbx_error err;

static void a_deadline_is_never_or_in_the_future(void **state)
{
    struct sbx_call call = SBX_CALL_INIT;
    assert_true(deadline_from_call(NULL).at_ms == DEADLINE_NEVER);
    assert_true(deadline_from_call(&call).at_ms == DEADLINE_NEVER);
    assert_true(deadline_in(INT64_MAX).at_ms == DEADLINE_NEVER);
    call.timeout_ms = 60000;
    struct deadline deadline = deadline_from_call(&call);
    assert_true(deadline.at_ms > clock_boot_ms());
    assert_true(deadline_poll_ms(deadline) > 0 && deadline_poll_ms(deadline) <= 60000);
    assert_int_equal(deadline_poll_ms(deadline_in(0)), -1);
    assert_int_equal(deadline_poll_ms(deadline_min(deadline, 0)), 0);
    assert_true(deadline_min(deadline, DEADLINE_NEVER).at_ms == deadline.at_ms);
}

static void waiting_ends_with_data_time_or_cancel(void **state)
{
    int ends[2];
    short seen = 0;
    struct deadline deadline = deadline_in(20);
    assert_int_equal(fd_pipe(ends), 0);
    assert_int_equal(deadline_wait(deadline, ends[0], POLLIN, NULL, &err), SBX_ERR_TIMEOUT);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(deadline_wait(deadline, ends[0], POLLIN, &seen, &err), 0);
    assert_true(seen & POLLIN);
    deadline = deadline_in(60000);
    assert_int_equal(sbx_cancel_new(&deadline.cancel, &err), 0);
    sbx_cancel_trigger(deadline.cancel);
    assert_int_equal(deadline_wait(deadline, ends[0], POLLIN, NULL, &err), SBX_ERR_CANCELLED);
    sbx_cancel_free(deadline.cancel);
    close(ends[0]);
    close(ends[1]);
}

static void a_cancel_token_stays_triggered(void **state)
{
    struct sbx_cancel *cancel;
    assert_int_equal(sbx_cancel_new(&cancel, &err), 0);
    assert_false(cancel_triggered(cancel));
    for (int i = 0; i < 100000; i++) // more often than its pipe holds
        sbx_cancel_trigger(cancel);
    assert_true(cancel_triggered(cancel));
    assert_true(cancel_triggered(cancel));
    assert_true(fcntl(cancel_fd(cancel), F_GETFD) & FD_CLOEXEC);
    sbx_cancel_free(cancel);
    sbx_cancel_free(NULL);
    assert_false(cancel_triggered(NULL));
    assert_int_equal(cancel_fd(NULL), -1);
}

static void *trigger(void *cancel)
{
    usleep(20000);
    sbx_cancel_trigger(cancel);
    return NULL;
}

static void a_token_wakes_a_waiting_thread(void **state)
{
    struct deadline deadline = deadline_in(60000);
    pthread_t thread;
    assert_int_equal(sbx_cancel_new(&deadline.cancel, &err), 0);
    assert_int_equal(pthread_create(&thread, NULL, trigger, deadline.cancel), 0);
    assert_int_equal(deadline_wait(deadline, -1, 0, NULL, &err), SBX_ERR_CANCELLED);
    pthread_join(thread, NULL);
    sbx_cancel_free(deadline.cancel);
}

static void pipes_close_on_exec(void **state)
{
    int ends[2];
    assert_int_equal(fd_pipe(ends), 0);
    for (int i = 0; i < 2; i++)
        assert_true(fcntl(ends[i], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(fd_set_nonblock(ends[0], true), 0);
    assert_true(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    assert_int_equal(fd_set_nonblock(ends[0], false), 0);
    assert_false(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    close(ends[0]);
    close(ends[1]);
}

static void whole_reads_stop_at_the_end(void **state)
{
    int ends[2];
    char data[8] = "";
    assert_int_equal(fd_pipe(ends), 0);
    assert_int_equal(fd_write_full(ends[1], "abcde", 5), 0);
    close(ends[1]);
    assert_int_equal(fd_read_full(ends[0], data, 3), 3);
    assert_int_equal(fd_read_full(ends[0], data, 8), 2);
    assert_memory_equal(data, "de", 2);
    close(ends[0]);
    assert_int_equal(fd_read_full(ends[0], data, 1), -1);
    assert_int_equal(errno, EBADF);
}

static void a_small_file_is_read_whole_or_not_at_all(void **state)
{
    char path[] = "/tmp/test-fd-XXXXXX", data[6];
    int fd = mkstemp(path);
    assert_int_equal(fd_write_full(fd, "12345", 5), 0);
    close(fd);
    assert_int_equal(fd_read_file(AT_FDCWD, path, data, 6), 5);
    assert_string_equal(data, "12345");
    assert_int_equal(fd_read_file(AT_FDCWD, path, data, 5), -1);
    assert_int_equal(errno, EFBIG);
    assert_int_equal(fd_write_file(AT_FDCWD, path, "ab"), 0);
    assert_int_equal(fd_read_file(AT_FDCWD, path, data, 6), 5);
    assert_string_equal(data, "ab345");
    unlink(path);
    assert_int_equal(fd_read_file(AT_FDCWD, path, data, 6), -1);
    assert_int_equal(fd_write_file(AT_FDCWD, path, "ab"), -1);
}

static void ids_are_valid_and_differ(void **state)
{
    char ids[64][ID_SIZE];
    for (int i = 0; i < 64; i++) {
        assert_int_equal(id_new(ids[i]), 0);
        assert_int_equal(strlen(ids[i]), ID_SIZE - 1);
        assert_true(id_valid(ids[i]));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(ids[i], ids[k]);
    }
    static const char *const bad[] = {
        "",   "-a",  "A",   "a/b",
        "..", "a b", "a\n", "0123456789012345678901234567890123456789012345678901234567890123"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(id_valid(bad[i]));
    assert_true(id_valid("a-0"));
}

static char logged[256];

static void note(void *payload, int level, const char *origin, const char *text)
{
    snprintf(logged, sizeof(logged), "%s %d %s %s", (const char *)payload, level, origin, text);
}

static void log_lines_reach_the_sink_on_one_line(void **state)
{
    log_warn("x", "nobody %d", 1);
    assert_string_equal(logged, "");
    char payload[] = "p";
    sbx_log_set(note, payload);
    errno = ENOENT;
    log_warn("x", "two\nlines %s", "\r");
    assert_int_equal(errno, ENOENT);
    assert_string_equal(logged, "p 1 x two lines  ");
    sbx_log_set(NULL, NULL);
    assert_false(log_enabled());
}

static void text_is_compared_with_its_alphabet(void **state)
{
    assert_true(text_of("abc", "abc", 3));
    assert_false(text_of("abc", "abc", 2));
    assert_false(text_of("", "abc", 3));
    assert_false(text_of("abd", "abc", 3));
    assert_true(text_has_control("a\x1f", 2));
    assert_true(text_has_control("\x7f", 1));
    assert_false(text_has_control("\xc3\xa9 ", 3));
    assert_true(text_equal(NULL, NULL) && text_equal("a", "a"));
    assert_false(text_equal("a", NULL) || text_equal("a", "b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_is_never_or_in_the_future),
        cmocka_unit_test(waiting_ends_with_data_time_or_cancel),
        cmocka_unit_test(a_cancel_token_stays_triggered),
        cmocka_unit_test(a_token_wakes_a_waiting_thread),
        cmocka_unit_test(pipes_close_on_exec),
        cmocka_unit_test(whole_reads_stop_at_the_end),
        cmocka_unit_test(a_small_file_is_read_whole_or_not_at_all),
        cmocka_unit_test(ids_are_valid_and_differ),
        cmocka_unit_test(log_lines_reach_the_sink_on_one_line),
        cmocka_unit_test(text_is_compared_with_its_alphabet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
