// SPDX-License-Identifier: Apache-2.0
// Agent: output and input that go through it, terminals, commands in the background.
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

static void send_input(struct link *link, const void *data, size_t size)
{
    struct buf payload = {.data = (char *)(uintptr_t)data, .size = size};
    link_send(link, AGENT_INPUT, &payload);
}

static void start_probe(struct link *link, const char *mode, const char *argument, uint32_t flags)
{
    const char *argv[] = {probe_path(), mode, argument, NULL};
    start_exec(link, &(struct agent_exec){.argv = argv, .argc = 3, .flags = flags});
}

static uint32_t attach(struct link *link, uint32_t pid)
{
    link_send_u32(link, AGENT_ATTACH, pid);
    const struct frame *frame = link_expect(link, AGENT_STARTED);
    struct wire_reader in = wire_reader(frame->payload, frame->size);
    return wire_u32(&in);
}

static void assert_pattern(const struct buf *out, size_t size)
{
    assert_int_equal(out->size, size);
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)out->data[i] != i % 65536 % 251)
            fail_msg("byte %zu is wrong", i);
}

// Processes whose name is `name`, seen from inside.
static int count_named(struct box *box, const char *name)
{
    char line[128], text[64];
    snprintf(line, sizeof(line), "cat /proc/[0-9]*/comm 2>/dev/null | grep -cx '%s'", name);
    run_line(box, line, 0, text, sizeof(text));
    return atoi(text);
}

static void await_none_named(struct box *box, const char *name)
{
    char line[256], text[4096];
    for (int i = 0; i < 200; i++) {
        if (count_named(box, name) == 0)
            return;
        usleep(20000);
    }
    snprintf(
        line, sizeof(line),
        "grep -lx '%s' /proc/[0-9]*/comm | while read f; do d=${f%%/comm}; cat $d/stat $d/wchan; "
        "grep -i sig $d/status; ls -l $d/fd; done",
        name);
    run_line(box, line, 0, text, sizeof(text));
    fail_msg("%s is still there:\n%s", name, text);
}

static void tells_the_streams_apart(void **state)
{
    cleanup_buf struct buf out = BUF_INIT(65536), error = BUF_INIT(65536);
    struct link *link = link_open(*state);
    start_shell(link, "echo one; echo two >&2; echo three", 0);
    collect(link, &out, &error);
    assert_string_equal(buf_text(&out), "one\nthree\n");
    assert_string_equal(buf_text(&error), "two\n");
    out.size = error.size = 0;
    start_shell(link, "echo one; echo two >&2; echo three", SBX_EXEC_MERGE);
    collect(link, &out, &error);
    assert_string_equal(buf_text(&out), "one\ntwo\nthree\n");
    assert_int_equal(error.size, 0);
    link_close(link);
}

static void alternating_streams_keep_their_bytes(void **state)
{
    cleanup_buf struct buf out = BUF_INIT(1 << 20), error = BUF_INIT(1 << 20);
    struct link *link = link_open(*state);
    start_shell(link, "i=0; while [ $i -lt 3000 ]; do echo $i; echo $i >&2; i=$((i+1)); done", 0);
    collect(link, &out, &error);
    assert_int_equal(out.size, error.size);
    assert_memory_equal(out.data, error.data, out.size);
    assert_non_null(strstr(buf_text(&out), "\n2998\n2999\n"));
    link_close(link);
}

static void carries_much_output_to_a_slow_reader(void **state)
{
    const size_t size = 30 * 1000 * 1000;
    cleanup_buf struct buf out = BUF_INIT(size + 1);
    struct link *link = link_open(*state);
    start_probe(link, "flood", "30000000", 0);
    usleep(200000);
    struct ended ended = collect(link, &out, NULL);
    assert_int_equal(ended.code, 0);
    assert_int_equal(ended.flags, 0);
    assert_pattern(&out, size);
    link_close(link);
}

static long agent_kilobytes(struct box *box)
{
    char text[64];
    run_line(box, "awk '/^RssAnon/ {print $2}' /proc/1/status", 0, text, sizeof(text));
    return atol(text);
}

static void a_client_that_does_not_read_costs_little(void **state)
{
    struct link *link = link_open(*state);
    start_shell(link, "exec yes", 0);
    usleep(300000);
    assert_true(agent_kilobytes(*state) < 2000);
    assert_int_equal(count_named(*state, "yes"), 1);
    link_close(link);
    await_none_named(*state, "yes");
}

static void carries_input_both_ways(void **state)
{
    const size_t size = 4 * 1000 * 1000;
    cleanup_free char *data = malloc(size);
    cleanup_buf struct buf out = BUF_INIT(size + 1);
    struct link *link = link_open(*state);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i % 65536 % 251);
    start_shell(link, "exec cat", SBX_EXEC_STDIN);
    // Reads while it writes: cat fills its output before it takes all of its input.
    pid_t writer = fork();
    if (writer == 0) {
        for (size_t at = 0; at < size; at += 100000)
            send_input(link, data + at, 100000);
        link_send(link, AGENT_INPUT_END, NULL);
        _exit(0);
    }
    assert_int_equal(collect(link, &out, NULL).code, 0);
    assert_pattern(&out, size);
    link_close(link);
}

static void input_to_a_deaf_command_waits(void **state)
{
    static char block[200000];
    struct link *link = link_open(*state), *other = link_open(*state);
    uint32_t pid = start_shell(link, "sleep 60 # deaf", SBX_EXEC_STDIN);
    cleanup_buf struct buf payload = BUF_INIT(16);
    int sent = 0;
    for (struct pollfd room = {link->fd, POLLOUT, 0}; poll(&room, 1, 200) == 1 && sent < 100;
         sent++) {
        struct sbx_error error;
        struct deadline soon = deadline_in(500);
        if (frame_send(link->fd, AGENT_INPUT, block, sizeof(block), NULL, 0, soon, &error) < 0)
            break;
    }
    assert_true(sent < 20); // held up, not swallowed
    assert_true(agent_kilobytes(*state) < 3000);
    wire_put_u32(&payload, pid);
    wire_put_u32(&payload, SIGTERM);
    link_send(other, AGENT_SIGNAL_TO, &payload);
    link_expect(other, AGENT_DONE);
    assert_int_equal(collect(link, NULL, NULL).signal, SIGTERM);
    link_close(link);
    link_close(other);
}

static void without_stdin_input_is_empty(void **state)
{
    char text[16];
    assert_int_equal(run_line(*state, "cat; echo end", 0, text, sizeof(text)).code, 0);
    assert_string_equal(text, "end\n");
}

static void a_flooding_child_does_not_hide_the_end(void **state)
{
    struct link *link = link_open(*state);
    start_shell(link, "yes & echo out; exit 3", 0);
    assert_int_equal(collect(link, NULL, NULL).code, 3);
    link_close(link);
    await_none_named(*state, "yes"); // its pipe is gone
}

static void terminals_work(void **state)
{
    cleanup_buf struct buf out = BUF_INIT(65536);
    struct link *link = link_open(*state);
    start_exec(link, &(struct agent_exec){.shell = "tty; test -t 0 -a -t 1 -a -t 2 && stty size; "
                                                   "echo $TERM; echo x >/dev/tty",
                                          .rows = 41,
                                          .cols = 132,
                                          .flags = SBX_EXEC_PTY});
    assert_int_equal(collect(link, &out, NULL).code, 0);
    assert_non_null(strstr(buf_text(&out), "/dev/pts/"));
    assert_non_null(strstr(buf_text(&out), "41 132\r\nxterm\r\nx\r\n"));
    link_close(link);
}

static void await_text(struct link *link, struct buf *out, const char *text)
{
    while (!out->size || !strstr(buf_text(out), text)) {
        const struct frame *frame = link_expect(link, AGENT_OUTPUT);
        buf_add(out, frame->payload + 4, frame->size - 4);
    }
    out->size = 0;
}

static void terminals_take_keys_and_resizes(void **state)
{
    cleanup_buf struct buf out = BUF_INIT(65536), size = BUF_INIT(16);
    struct link *link = link_open(*state);
    start_probe(link, "keys", "", SBX_EXEC_PTY);
    await_text(link, &out, "ready");
    send_input(link, "abc\n", 4);
    await_text(link, &out, "got-abc");
    wire_put_u32(&size, 30);
    wire_put_u32(&size, 99);
    link_send(link, AGENT_RESIZE, &size);
    await_text(link, &out, "30 99");
    send_input(link, "\003", 1);
    await_text(link, &out, "interrupted");
    link_send(link, AGENT_INPUT_END, NULL);
    await_text(link, &out, "ended");
    assert_int_equal(collect(link, NULL, NULL).code, 0);
    link_close(link);
}

static void a_terminal_delivers_its_last_words(void **state)
{
    for (int i = 0; i < 20; i++) {
        char text[128];
        run_line(*state, "head -c 3000 /dev/zero | tr '\\0' x; echo last-words", SBX_EXEC_PTY, text,
                 sizeof(text));
        cleanup_buf struct buf out = BUF_INIT(65536);
        struct link *link = link_open(*state);
        start_shell(link, "head -c 3000 /dev/zero | tr '\\0' x; echo last-words", SBX_EXEC_PTY);
        collect(link, &out, NULL);
        assert_non_null(strstr(buf_text(&out), "last-words"));
        link_close(link);
    }
}

static void closing_a_terminal_kills(void **state)
{
    struct link *link = link_open(*state);
    start_shell(link, "echo up; exec tail -f /dev/null", SBX_EXEC_PTY);
    link_expect(link, AGENT_OUTPUT);
    link_close(link);
    await_none_named(*state, "tail");
}

static void background_survives_and_replays(void **state)
{
    struct box *box = *state;
    cleanup_buf struct buf out = BUF_INIT(65536), again = BUF_INIT(65536);
    char line[256];
    struct link *link = link_open(box);
    snprintf(line, sizeof(line),
             "echo first; while [ ! -e %s/go ]; do sleep 0.02; done; echo second; exit 4",
             box->dir);
    uint32_t pid = start_shell(link, line, SBX_EXEC_BACKGROUND);
    link_expect(link, AGENT_OUTPUT);
    link_close(link);
    // Two of them join, and get what was before and what follows.
    struct link *one = link_open(box), *two = link_open(box);
    assert_int_equal(attach(one, pid), pid);
    attach(two, pid);
    snprintf(line, sizeof(line), "touch %s/go", box->dir);
    run_line(box, line, 0, (char[8]){0}, 8);
    assert_int_equal(collect(one, &out, NULL).code, 4);
    assert_int_equal(collect(two, &again, NULL).code, 4);
    assert_string_equal(buf_text(&out), "first\nsecond\n");
    assert_string_equal(buf_text(&again), "first\nsecond\n");
    // And once more after its end.
    attach(one, pid);
    out.size = 0;
    struct ended ended = collect(one, &out, NULL);
    assert_int_equal(ended.code, 4);
    assert_int_equal(ended.flags, 0);
    assert_string_equal(buf_text(&out), "first\nsecond\n");
    link_close(one);
    link_close(two);
}

static void background_keeps_the_newest_output(void **state)
{
    cleanup_buf struct buf out = BUF_INIT(8 * 1024 * 1024);
    struct link *link = link_open(*state);
    uint32_t pid =
        start_shell(link, "head -c 3000000 /dev/zero; echo the-end", SBX_EXEC_BACKGROUND);
    collect(link, NULL, NULL);
    attach(link, pid);
    struct ended ended = collect(link, &out, NULL);
    assert_int_equal(ended.flags, SBX_OUTCOME_TRUNCATED);
    assert_int_equal(out.size, AGENT_LOG_MAX);
    assert_string_equal(buf_text(&out) + out.size - 8, "the-end\n");
    link_close(link);
}

static void background_runs_on_without_readers(void **state)
{
    struct box *box = *state;
    char line[256], text[32];
    struct link *link = link_open(box);
    snprintf(line, sizeof(line), "head -c 20000000 /dev/zero; echo $? >%s/status", box->dir);
    start_shell(link, line, SBX_EXEC_BACKGROUND);
    link_close(link);
    snprintf(line, sizeof(line), "while [ ! -s %s/status ]; do sleep 0.02; done; cat %s/status",
             box->dir, box->dir);
    run_line(box, line, 0, text, sizeof(text));
    assert_string_equal(text, "0\n");
}

static void attaching_needs_a_background_command(void **state)
{
    struct link *link = link_open(*state), *other = link_open(*state);
    link_send_u32(link, AGENT_ATTACH, 99999);
    link_expect_failed(link, SBX_ERR_NOT_FOUND);
    uint32_t pid = start_shell(other, "exec sleep 60", 0);
    link_send_u32(link, AGENT_ATTACH, pid);
    link_expect_failed(link, SBX_ERR_CONFLICT);
    link_close(link);
    link_close(other);
}

struct listed {
    uint32_t pid, flags, running, code;
    char command[300];
};

static size_t list_processes(struct link *link, struct listed *ret_list, size_t most)
{
    size_t count = 0;
    link_send(link, AGENT_PROCESSES, NULL);
    for (;;) {
        const struct frame *frame = link_receive(link);
        assert_non_null(frame);
        if (frame->type == AGENT_DONE)
            return count;
        assert_int_equal(frame->type, AGENT_PROCESS);
        assert_true(count < most);
        struct wire_reader in = wire_reader(frame->payload, frame->size);
        struct listed *item = &ret_list[count++];
        item->pid = wire_u32(&in);
        item->flags = wire_u32(&in);
        item->running = wire_u32(&in);
        item->code = wire_u32(&in);
        assert_true(wire_u64(&in) > 1600000000000);
        snprintf(item->command, sizeof(item->command), "%s", wire_text(&in));
        assert_true(wire_end(&in));
    }
}

static void lists_commands(void **state)
{
    struct listed list[128];
    struct link *link = link_open(*state), *running = link_open(*state);
    uint32_t kept = start_shell(link, "exit 9 # kept", SBX_EXEC_BACKGROUND);
    collect(link, NULL, NULL);
    uint32_t pid = start_shell(running, "sleep 60 # living", 0);
    size_t count = list_processes(link, list, ARRAY_SIZE(list));
    assert_true(count >= 2);
    const struct listed *last = &list[count - 1], *before = &list[count - 2];
    assert_int_equal(last->pid, pid);
    assert_true(last->running);
    assert_string_equal(last->command, "sleep 60 # living");
    assert_int_equal(before->pid, kept);
    assert_false(before->running);
    assert_int_equal(before->code, 9);
    assert_int_equal(before->flags, SBX_EXEC_BACKGROUND);
    link_close(link);
    link_close(running);
}

static void forgets_the_oldest_finished(void **state)
{
    struct listed list[128];
    struct link *link = link_open(*state);
    for (int i = 0; i < 80; i++) {
        start_shell(link, "exit 0", SBX_EXEC_BACKGROUND);
        collect(link, NULL, NULL);
    }
    size_t finished = 0, count = list_processes(link, list, ARRAY_SIZE(list));
    for (size_t i = 0; i < count; i++)
        finished += !list[i].running;
    assert_int_equal(finished, 64);
    link_close(link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_streams_apart),
        cmocka_unit_test(alternating_streams_keep_their_bytes),
        cmocka_unit_test(carries_much_output_to_a_slow_reader),
        cmocka_unit_test(a_client_that_does_not_read_costs_little),
        cmocka_unit_test(carries_input_both_ways),
        cmocka_unit_test(input_to_a_deaf_command_waits),
        cmocka_unit_test(without_stdin_input_is_empty),
        cmocka_unit_test(a_flooding_child_does_not_hide_the_end),
        cmocka_unit_test(terminals_work),
        cmocka_unit_test(terminals_take_keys_and_resizes),
        cmocka_unit_test(a_terminal_delivers_its_last_words),
        cmocka_unit_test(closing_a_terminal_kills),
        cmocka_unit_test(background_survives_and_replays),
        cmocka_unit_test(background_keeps_the_newest_output),
        cmocka_unit_test(background_runs_on_without_readers),
        cmocka_unit_test(attaching_needs_a_background_command),
        cmocka_unit_test(lists_commands),
        cmocka_unit_test(forgets_the_oldest_finished),
    };
    return cmocka_run_group_tests(tests, box_set_up, box_tear_down);
}
