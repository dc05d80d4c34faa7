// SPDX-License-Identifier: Apache-2.0
// Agent: what takes seconds. Many orphans, many commands, deep trees, readers that stall.
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static long agent_kilobytes(struct box *box)
{
    char text[64];
    run_line(box, "awk '/^RssAnon/ {print $2}' /proc/1/status", 0, text, sizeof(text));
    return atol(text);
}

static void start_probe(struct link *link, const char *mode, const char *argument, const char *cwd,
                        uint32_t flags)
{
    const char *argv[] = {probe_path(), mode, argument, NULL};
    start_exec(link, &(struct agent_exec){.argv = argv, .argc = 3, .cwd = cwd, .flags = flags});
}

static void a_storm_of_orphans_costs_nothing(void **state)
{
    struct link *link = link_open(*state);
    long before = agent_kilobytes(*state);
    start_probe(link, "orphans", "100000", NULL, 0);
    assert_int_equal(collect(link, NULL, NULL).code, 0);
    link_close(link);
    assert_true(agent_kilobytes(*state) <= before + 64);
}

// A signal is sent at once; what it ends may take a while on a busy machine.
static void start_when_there_is_room(struct link *link, const char *line)
{
    cleanup_buf struct buf exec = BUF_INIT(4096);
    agent_exec_put(&exec, &(struct agent_exec){.cwd = "", .user = "", .shell = line});
    struct deadline deadline = deadline_in(BOX_PATIENCE_MS);
    for (;;) {
        link_send(link, AGENT_EXEC, &exec);
        const struct frame *frame = link_receive(link);
        assert_non_null(frame);
        if (frame->type == AGENT_STARTED)
            return;
        assert_int_equal(frame->type, AGENT_FAILED);
        if (deadline_poll_ms(deadline) == 0)
            fail_msg("ended commands make no room");
        usleep(10000);
    }
}

static void commands_are_bounded(void **state)
{
    static struct link *links[400];
    struct link *extra = link_open(*state);
    cleanup_buf struct buf exec = BUF_INIT(4096);
    agent_exec_put(
        &exec, &(struct agent_exec){
                   .cwd = "", .user = "", .shell = "exec sleep 600", .flags = SBX_EXEC_BACKGROUND});
    int started = 0;
    for (int round = 0; round < 3; round++) // they go on without their connections
        for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
            links[i] = link_open(*state);
            link_send(links[i], AGENT_EXEC, &exec);
            const struct frame *frame = link_receive(links[i]);
            assert_non_null(frame);
            started += frame->type == AGENT_STARTED;
            link_close(links[i]);
        }
    assert_int_equal(started, 1024);
    link_send(extra, AGENT_EXEC, &exec);
    link_expect_failed(extra, SBX_ERR_QUOTA);
    link_send(extra, AGENT_PROCESSES, NULL);
    uint32_t pids[1100], count = 0;
    while (link_receive(extra)->type == AGENT_PROCESS) {
        struct wire_reader in = wire_reader(extra->frame.payload, extra->frame.size);
        pids[count++] = wire_u32(&in);
    }
    assert_int_equal(count, 1024);
    for (uint32_t i = 0; i < count; i++) {
        cleanup_buf struct buf payload = BUF_INIT(16);
        wire_put_u32(&payload, pids[i]);
        wire_put_u32(&payload, SIGTERM);
        link_send(extra, AGENT_SIGNAL_TO, &payload);
        link_expect(extra, AGENT_DONE);
    }
    start_when_there_is_room(extra, "exit 8"); // finished ones make it
    assert_int_equal(collect(extra, NULL, NULL).code, 8);
    link_close(extra);
}

static void what_is_very_deep_can_be_removed(void **state)
{
    struct box *box = *state;
    char path[128];
    struct link *link = link_open(box);
    cleanup_buf struct buf user = BUF_INIT(64), payload = BUF_INIT(4096);
    snprintf(path, sizeof(path), "%s/mem", box->dir);
    start_probe(link, "deepen", "100000", path, 0);
    assert_int_equal(collect(link, NULL, NULL).code, 0);
    wire_put_text(&user, "");
    link_send(link, AGENT_FILES, &user);
    snprintf(path, sizeof(path), "%s/mem/d", box->dir);
    wire_put_text(&payload, path);
    wire_put_u32(&payload, 1);
    link_send(link, FILES_REMOVE, &payload);
    link_expect(link, FILES_DONE);
    link_send(link, FILES_REMOVE, &payload);
    link_expect_failed(link, SBX_ERR_NOT_FOUND);
    link_close(link);
}

// A background command waits for a reader that stalls, but not for ever; the reader is told.
static void a_stalled_reader_is_left_behind(void **state)
{
    struct box *box = *state;
    char line[256], text[32];
    cleanup_buf struct buf out = BUF_INIT(32 * 1024 * 1024);
    struct link *stalled = link_open(box), *waiting = link_open(box);
    snprintf(line, sizeof(line), "%s flood 20000000; echo end; : >%s/done", probe_path(), box->dir);
    start_shell(stalled, line, SBX_EXEC_BACKGROUND);
    snprintf(line, sizeof(line), "while [ ! -e %s/done ]; do sleep 0.05; done; echo done",
             box->dir);
    start_shell(waiting, line, 0);
    assert_int_equal(collect(waiting, NULL, NULL).code, 0);
    struct ended ended = collect(stalled, &out, NULL);
    assert_int_equal(ended.flags, SBX_OUTCOME_TRUNCATED);
    assert_true(out.size < 20000000);
    snprintf(text, sizeof(text), "%s", buf_text(&out) + out.size - 4);
    assert_string_equal(text, "end\n");
    link_close(stalled);
    link_close(waiting);
}

// Some that fork, and one that is killed meanwhile.
static void kill_beside_forks(struct box *box)
{
    struct link *forking[4], *killed = link_open(box);
    for (size_t i = 0; i < ARRAY_SIZE(forking); i++) {
        forking[i] = link_open(box);
        start_probe(forking[i], "forks", "8", NULL, 0);
    }
    start_shell(killed, "sleep 600; true", 0);
    for (size_t i = 0; i < ARRAY_SIZE(forking); i++)
        link_expect(forking[i], AGENT_OUTPUT);
    link_send_u32(killed, AGENT_SIGNAL, SIGKILL);
    assert_int_equal(collect(killed, NULL, NULL).signal, SIGKILL);
    for (size_t i = 0; i < ARRAY_SIZE(forking); i++) {
        assert_int_equal(collect(forking[i], NULL, NULL).code, 0);
        link_close(forking[i]);
    }
    link_close(killed);
}

// Among hundreds of processes all of them stop while a command is killed. Nobody else may be left
// so, least of all a child that is just being forked.
static void a_kill_in_a_crowd_leaves_nobody_stopped(void **state)
{
    struct box *box = *state;
    struct link *crowd = link_open(box);
    start_shell(crowd, "i=0; while [ $i -lt 260 ]; do sleep 600 & i=$((i+1)); done; echo up; wait",
                SBX_EXEC_BACKGROUND);
    link_expect(crowd, AGENT_OUTPUT);
    for (int i = 0; i < 5; i++)
        kill_beside_forks(box);
    link_send_u32(crowd, AGENT_SIGNAL, SIGKILL);
    collect(crowd, NULL, NULL);
    link_close(crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_storm_of_orphans_costs_nothing),
        cmocka_unit_test(what_is_very_deep_can_be_removed),
        cmocka_unit_test(a_stalled_reader_is_left_behind),
        cmocka_unit_test(a_kill_in_a_crowd_leaves_nobody_stopped),
        cmocka_unit_test(commands_are_bounded),
    };
    return cmocka_run_group_tests(tests, box_set_up, box_tear_down);
}
