// SPDX-License-Identifier: Apache-2.0
// Unit: engine/monitor_client and engine/leash against a scripted monitor.
#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "engine/leash.h"
#include "engine/monitor_client.h"
#include "scratch.h"
#include "wire/agent_msg.h"

// Answers each request with the same bytes; without any it stays silent until the client is gone.
struct monitor {
    const void *answer;
    size_t size;
    atomic_bool close_at_once;
    int listen_fd, dir_fd, stop[2];
    pthread_t thread;
};

static void serve(struct monitor *monitor, int fd)
{
    char request[256];
    if (recv(fd, request, sizeof(request), 0) <= 0 || monitor->close_at_once)
        return;
    if (monitor->size)
        (void)send(fd, monitor->answer, monitor->size, MSG_NOSIGNAL);
    (void)recv(fd, request, sizeof(request), 0);
}

static void *run(void *argument)
{
    struct monitor *monitor = argument;
    struct pollfd fds[2] = {{.fd = monitor->listen_fd, .events = POLLIN},
                            {.fd = monitor->stop[0], .events = POLLIN}};
    while (poll(fds, 2, -1) >= 0 && !fds[1].revents) {
        int fd = accept4(monitor->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        serve(monitor, fd);
        close(fd);
    }
    return NULL;
}

static void start(struct monitor *monitor, const char *directory)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/control", directory);
    monitor->dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    monitor->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(monitor->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(monitor->listen_fd, 8), 0);
    assert_int_equal(pipe(monitor->stop), 0);
    assert_int_equal(pthread_create(&monitor->thread, NULL, run, monitor), 0);
}

static void stop(struct monitor *monitor)
{
    (void)!write(monitor->stop[1], "", 1);
    pthread_join(monitor->thread, NULL);
    close(monitor->listen_fd);
    unlinkat(monitor->dir_fd, "control", 0);
    close(monitor->dir_fd);
    close(monitor->stop[0]);
    close(monitor->stop[1]);
}

#define BYTES(text) text, sizeof(text) - 1

static void no_lie_of_the_monitor_is_believed(void **state)
{
    static const struct {
        const void *answer;
        size_t size;
        int code;
    } rows[] = {
        {BYTES("\42\0\0\0\220\37\0\0"), 0},
        {BYTES("\42\0\0\0\0\0\0\0"), SBX_ERR_PROTOCOL},     // port 0
        {BYTES("\42\0\0\0\0\0\1\0"), SBX_ERR_PROTOCOL},     // port 65536
        {BYTES("\42\0\0\0\220\37"), SBX_ERR_PROTOCOL},      // cut
        {BYTES("\42\0\0\0\220\37\0\0x"), SBX_ERR_PROTOCOL}, // surplus
        {BYTES("\40\0\0\0"), SBX_ERR_PROTOCOL},             // OK instead
        {BYTES("\42"), SBX_ERR_PROTOCOL},
        {BYTES("\41\0\0\0"), SBX_ERR_PROTOCOL}, // a failure without one
        {BYTES("hello, world"), SBX_ERR_PROTOCOL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct monitor monitor = {.answer = rows[i].answer, .size = rows[i].size};
        struct sbx_error err;
        uint16_t port = 0;
        start(&monitor, *state);
        int code = monitor_expose(monitor.dir_fd, (struct sbx_port){80, 0}, deadline_in(5000),
                                  &port, &err);
        if (code != rows[i].code)
            fail_msg("row %zu: %s", i, sbx_code_name(code));
        assert_int_equal(port, code == 0 ? 8080 : 0);
        stop(&monitor);
    }
}

static void the_monitors_failure_is_passed_on(void **state)
{
    cleanup_buf struct buf answer = BUF_INIT(4096);
    struct sbx_error failure = {.code = SBX_ERR_CONFLICT, .message = "taken", .remedy = "choose"};
    struct sbx_error err;
    struct monitor_metrics metrics;
    wire_put_u32(&answer, MONITOR_FAILED);
    agent_failed_put(&answer, &failure);
    struct monitor monitor = {.answer = answer.data, .size = answer.size};
    start(&monitor, *state);
    assert_int_equal(monitor_measure(monitor.dir_fd, deadline_in(5000), &metrics, &err),
                     SBX_ERR_CONFLICT);
    assert_string_equal(err.message, "taken");
    assert_int_equal(monitor_pause(monitor.dir_fd, true, deadline_in(5000), &err),
                     SBX_ERR_CONFLICT);
    assert_int_equal(monitor_set_ttl(monitor.dir_fd, 5, deadline_in(5000), &err), SBX_ERR_CONFLICT);
    stop(&monitor);
}

static void silence_and_absence_are_told_apart(void **state)
{
    struct sbx_error err;
    struct monitor_metrics metrics;
    struct monitor monitor = {0};
    start(&monitor, *state);
    assert_int_equal(monitor_measure(monitor.dir_fd, deadline_in(20), &metrics, &err),
                     SBX_ERR_TIMEOUT);
    assert_int_equal(monitor_destroy(monitor.dir_fd, deadline_in(20), &err), SBX_ERR_TIMEOUT);
    monitor.close_at_once = true;
    assert_int_equal(monitor_measure(monitor.dir_fd, deadline_in(5000), &metrics, &err),
                     SBX_ERR_UNAVAILABLE);
    assert_int_equal(monitor_destroy(monitor.dir_fd, deadline_in(5000), &err), 0);
    int dir_fd = dup(monitor.dir_fd);
    stop(&monitor);
    assert_int_equal(monitor_destroy(dir_fd, deadline_in(5000), &err), SBX_ERR_NOT_FOUND);
    close(dir_fd);
}

static void leashes_of_ended_sandboxes_do_not_pile_up(void **state)
{
    struct leashes leashes;
    struct sbx_error err;
    int kept[2];
    leashes_init(&leashes);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, kept), 0);
    assert_int_equal(leashes_add(&leashes, "sb-kept", kept[0], &err), 0);
    for (int i = 0; i < 1000; i++) {
        int ends[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        assert_int_equal(leashes_add(&leashes, "sb-ended", ends[0], &err), 0);
        close(ends[1]);
    }
    assert_true(leashes.count < 64);
    struct pollfd end = {.fd = kept[1], .events = POLLIN};
    assert_int_equal(poll(&end, 1, 0), 0);
    leashes_remove(&leashes, "sb-kept");
    assert_int_equal(poll(&end, 1, 0), 1); // its end is seen at once
    close(kept[1]);
    leashes_deinit(&leashes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_lie_of_the_monitor_is_believed),
        cmocka_unit_test(the_monitors_failure_is_passed_on),
        cmocka_unit_test(silence_and_absence_are_told_apart),
        cmocka_unit_test(leashes_of_ended_sandboxes_do_not_pile_up),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
