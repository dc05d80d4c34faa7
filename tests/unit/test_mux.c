// SPDX-License-Identifier: Apache-2.0
// Streams over one, and peers that talk nonsense.
#include "unit.h"

#include <sys/socket.h>
#include <unistd.h>

#include "wire/frame.h"
#include "wire/mux.h"

static int inner = -1; // what the far end connects streams to

static int open_inner(void *user)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    inner = ends[0];
    return ends[1];
}

static bool message(void *user, uint32_t type, const void *payload, size_t size)
{
    (*(int *)user)++;
    return type == MUX_USER;
}

struct two {
    struct mux near, far;
    int messages;
};

static void begin(struct two *two)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    mux_init(&two->near, ends[0]);
    mux_init(&two->far, ends[1]);
    two->messages = 0;
    two->near.user = two->far.user = &two->messages;
    two->near.message = two->far.message = message;
    two->far.open = open_inner;
}

static void turn(struct two *two, int times)
{
    for (int i = 0; i < times; i++) {
        assert_int_equal(mux_turn(&two->near, NULL, 0, 0), 0);
        assert_int_equal(mux_turn(&two->far, NULL, 0, 0), 0);
    }
}

static void a_stream_carries_bytes_and_its_end(void **state)
{
    static struct two two;
    static char sent[3 * MUX_WINDOW], got[sizeof(sent)];
    int ends[2];
    size_t in = 0, out = 0;
    begin(&two);
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (char)(i * 31 >> 3);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    mux_add(&two.near, ends[1]);
    turn(&two, 2);
    assert_true(inner >= 0);
    for (int i = 0; i < 100000 && out < sizeof(sent); i++) {
        ssize_t size = in < sizeof(sent) ? write(ends[0], sent + in, sizeof(sent) - in) : 0;
        in += size > 0 ? (size_t)size : 0;
        turn(&two, 1);
        size = recv(inner, got + out, sizeof(got) - out, MSG_DONTWAIT);
        out += size > 0 ? (size_t)size : 0;
    }
    assert_memory_equal(sent, got, sizeof(sent));
    close(ends[0]);
    turn(&two, 3);
    assert_int_equal(recv(inner, got, 1, MSG_DONTWAIT), 0);
    close(inner);
    turn(&two, 3);
    assert_int_equal(two.near.count, 0);
    assert_int_equal(two.far.count, 0);
    mux_deinit(&two.near);
    mux_deinit(&two.far);
}

// What a reader that has stopped makes us keep is a window at most.
static void a_slow_reader_is_waited_for(void **state)
{
    static struct two two;
    static char data[MUX_DATA_MAX];
    int ends[2];
    size_t in = 0;
    begin(&two);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    mux_add(&two.near, ends[1]);
    for (int i = 0; i < 1000; i++) {
        ssize_t size = write(ends[0], data, sizeof(data));
        in += size > 0 ? (size_t)size : 0;
        turn(&two, 1);
    }
    assert_true(in < 2 * 1024 * 1024);
    assert_true(two.far.streams[0]->out.size <= MUX_WINDOW);
    close(ends[0]);
    close(inner);
    mux_deinit(&two.near);
    mux_deinit(&two.far);
}

// Frames that no honest guest sends; each ends it.
static void nonsense_ends_the_guest(void **state)
{
    static const struct {
        uint32_t size, type, channel;
    } rows[] = {
        {0xffffffff, MUX_DATA, 1}, // longer than any frame
        {0, MUX_OPEN, 7},          // only we open
        {0, MUX_DATA, 0},          // of no stream
        {0, MUX_USER + 1, 0},      // a message that is refused
        {0, MUX_USER, 3},          // a message on a stream
        {0, MUX_CREDIT, 1},        // credit that was never asked for, on a living stream
        {MUX_DATA_MAX + 1, MUX_DATA, 1},
    };
    static char frame[FRAME_HEADER_SIZE + MUX_DATA_MAX + 1];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static struct mux mux;
        int ends[2], stream[2], messages = 0;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, stream), 0);
        mux_init(&mux, ends[0]);
        mux.user = &messages;
        mux.message = message;
        mux_add(&mux, stream[1]);
        frame_header((uint8_t *)frame, rows[i].size, rows[i].type, rows[i].channel);
        size_t size = rows[i].size < sizeof(frame) ? rows[i].size : 0;
        assert_int_equal(write(ends[1], frame, FRAME_HEADER_SIZE + size), FRAME_HEADER_SIZE + size);
        assert_int_equal(mux_turn(&mux, NULL, 0, 0), -1);
        close(ends[1]);
        close(stream[0]);
        mux_deinit(&mux);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_carries_bytes_and_its_end),
        cmocka_unit_test(a_slow_reader_is_waited_for),
        cmocka_unit_test(nonsense_ends_the_guest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
