// SPDX-License-Identifier: Apache-2.0
// Unit: wire/frame.
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "wire/frame.h"

static struct sbx_error err;

struct link {
    int ends[2];
    struct frame_in in; // reads ends[1]
};

static int open_link(void **state)
{
    struct link *link = calloc(1, sizeof(*link));
    if (!link || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link->ends) < 0)
        return -1;
    frame_in_init(&link->in);
    *state = link;
    return 0;
}

static int close_link(void **state)
{
    struct link *link = *state;
    frame_in_deinit(&link->in);
    for (int i = 0; i < 2; i++)
        if (link->ends[i] >= 0)
            close(link->ends[i]);
    free(link);
    return 0;
}

static int receive(struct link *link, struct frame *ret_frame)
{
    return frame_receive(link->ends[1], &link->in, deadline_in(2000), ret_frame, &err);
}

static int send_plain(struct link *link, uint32_t type, const void *data, size_t size)
{
    return frame_send(link->ends[0], type, data, size, NULL, 0, deadline_in(2000), &err);
}

static void frames_arrive_one_by_one(void **state)
{
    struct link *link = *state;
    struct frame frame;
    assert_int_equal(send_plain(link, 7, "abc", 3), 0);
    assert_int_equal(send_plain(link, 8, NULL, 0), 0);
    assert_int_equal(receive(link, &frame), 0);
    assert_int_equal(frame.type, 7);
    assert_int_equal(frame.size, 3);
    assert_memory_equal(frame.payload, "abc", 3);
    assert_int_equal(receive(link, &frame), 0);
    assert_int_equal(frame.type, 8);
    assert_int_equal(frame.size, 0);
    assert_int_equal(frame.fd_count, 0);
}

static void a_frame_may_come_byte_by_byte(void **state)
{
    struct link *link = *state;
    struct frame frame;
    cleanup_buf struct buf bytes = BUF_INIT(4096);
    frame_put(&bytes, 5, 9, "payload", 7);
    assert_int_equal(bytes.size, FRAME_HEADER_SIZE + 7);
    for (size_t i = 0; i < bytes.size; i++) {
        assert_int_equal(frame_next(&link->in, &frame), 0);
        assert_int_equal(write(link->ends[0], bytes.data + i, 1), 1);
        assert_int_equal(frame_fill(link->ends[1], &link->in), 1);
    }
    assert_int_equal(frame_next(&link->in, &frame), 1);
    assert_int_equal(frame.type, 5);
    assert_int_equal(frame.channel, 9);
    assert_memory_equal(frame.payload, "payload", 7);
    assert_int_equal(frame_fill(link->ends[1], &link->in), 0);
    assert_int_equal(frame_next(&link->in, &frame), 0);
}

static void *send_largest(void *argument)
{
    struct link *link = argument;
    char *data = malloc(FRAME_PAYLOAD_MAX);
    struct sbx_error mine;
    memset(data, 'x', FRAME_PAYLOAD_MAX);
    long code =
        frame_send(link->ends[0], 1, data, FRAME_PAYLOAD_MAX, NULL, 0, deadline_in(10000), &mine);
    free(data);
    return (void *)(intptr_t)code;
}

static void the_largest_frame_passes(void **state)
{
    struct link *link = *state;
    struct frame frame;
    pthread_t thread;
    void *code;
    assert_int_equal(pthread_create(&thread, NULL, send_largest, link), 0);
    assert_int_equal(frame_receive(link->ends[1], &link->in, deadline_in(10000), &frame, &err), 0);
    assert_int_equal(frame.size, FRAME_PAYLOAD_MAX);
    assert_int_equal(frame.payload[FRAME_PAYLOAD_MAX - 1], 'x');
    pthread_join(thread, &code);
    assert_null(code);
}

static void a_larger_one_is_refused_on_both_sides(void **state)
{
    struct link *link = *state;
    struct frame frame;
    char *data = calloc(1, FRAME_PAYLOAD_MAX + 1);
    assert_int_equal(send_plain(link, 1, data, FRAME_PAYLOAD_MAX + 1), SBX_ERR_INVALID);
    struct buf out = BUF_INIT(4 * FRAME_PAYLOAD_MAX);
    frame_put(&out, 1, 0, data, FRAME_PAYLOAD_MAX + 1);
    assert_true(out.failed);
    buf_deinit(&out);
    free(data);
    // A size of 0x00100001 in the header, then one of four gigabytes.
    assert_int_equal(write(link->ends[0], "\1\0\20\0\0\0\0\0\0\0\0\0", 12), 12);
    assert_int_equal(receive(link, &frame), SBX_ERR_PROTOCOL);
}

static void garbage_is_a_protocol_error_or_a_frame_never_more(void **state)
{
    struct link *link = *state;
    struct frame frame;
    char garbage[64];
    memset(garbage, 0xff, sizeof(garbage));
    assert_int_equal(write(link->ends[0], garbage, sizeof(garbage)), (ssize_t)sizeof(garbage));
    assert_int_equal(receive(link, &frame), SBX_ERR_PROTOCOL);
}

static void a_peer_that_leaves_in_a_frame_is_unavailable(void **state)
{
    struct link *link = *state;
    struct frame frame;
    cleanup_buf struct buf bytes = BUF_INIT(4096);
    frame_put(&bytes, 5, 0, "payload", 7);
    assert_int_equal(write(link->ends[0], bytes.data, bytes.size - 1), (ssize_t)bytes.size - 1);
    close(link->ends[0]);
    link->ends[0] = -1;
    assert_int_equal(receive(link, &frame), SBX_ERR_UNAVAILABLE);
}

static void sending_to_a_peer_that_left_is_unavailable_without_a_signal(void **state)
{
    struct link *link = *state;
    close(link->ends[1]);
    link->ends[1] = -1;
    assert_int_equal(send_plain(link, 1, "x", 1), SBX_ERR_UNAVAILABLE);
}

static void a_silent_peer_and_a_full_one_time_out(void **state)
{
    struct link *link = *state;
    struct frame frame;
    char *data = calloc(1, FRAME_PAYLOAD_MAX);
    assert_int_equal(frame_receive(link->ends[1], &link->in, deadline_in(30), &frame, &err),
                     SBX_ERR_TIMEOUT);
    int code = 0;
    for (int i = 0; code == 0 && i < 64; i++)
        code =
            frame_send(link->ends[0], 1, data, FRAME_PAYLOAD_MAX, NULL, 0, deadline_in(30), &err);
    assert_int_equal(code, SBX_ERR_TIMEOUT);
    free(data);
}

static bool same_file(int a, int b)
{
    assert_int_equal(write(a, "?", 1), 1);
    char c = 0;
    return read(b, &c, 1) == 1 && c == '?';
}

static void descriptors_travel_with_their_frame(void **state)
{
    struct link *link = *state;
    struct frame frame;
    int ends[2];
    assert_int_equal(fd_pipe(ends), 0);
    assert_int_equal(frame_send(link->ends[0], 3, "x", 1, &ends[1], 1, deadline_in(2000), &err), 0);
    assert_int_equal(receive(link, &frame), 0);
    assert_int_equal(frame.fd_count, 1);
    assert_int_not_equal(frame.fds[0], ends[1]);
    assert_true(fcntl(frame.fds[0], F_GETFD) & FD_CLOEXEC);
    assert_true(same_file(frame.fds[0], ends[0]));
    close(frame.fds[0]);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(
        frame_send(link->ends[0], 3, "x", 1, ends, FRAME_FDS_MAX + 1, deadline_in(10), &err),
        SBX_ERR_INVALID);
}

static int lowest_free_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
}

static void descriptors_that_nobody_takes_are_closed(void **state)
{
    struct link *link = *state;
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC), before = lowest_free_fd();
    const int fds[4] = {zero, zero, zero, zero};
    // More than a connection keeps: a peer can't pile them up.
    for (int i = 0; i < 3; i++)
        assert_int_equal(frame_send(link->ends[0], 1, "x", 1, fds, 4, deadline_in(2000), &err), 0);
    while (frame_fill(link->ends[1], &link->in) > 0)
        ;
    assert_true(link->in.fd_count <= FRAME_FDS_MAX);
    frame_in_deinit(&link->in);
    frame_in_init(&link->in);
    assert_int_equal(lowest_free_fd(), before);
    close(zero);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_link, close_link)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(frames_arrive_one_by_one),
        CASE(a_frame_may_come_byte_by_byte),
        CASE(the_largest_frame_passes),
        CASE(a_larger_one_is_refused_on_both_sides),
        CASE(garbage_is_a_protocol_error_or_a_frame_never_more),
        CASE(a_peer_that_leaves_in_a_frame_is_unavailable),
        CASE(sending_to_a_peer_that_left_is_unavailable_without_a_signal),
        CASE(a_silent_peer_and_a_full_one_time_out),
        CASE(descriptors_travel_with_their_frame),
        CASE(descriptors_that_nobody_takes_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
