// SPDX-License-Identifier: Apache-2.0
// Agent: commands, their surroundings, and how they end.
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

static void assert_output(struct box *box, const char *line, const char *expected)
{
    char text[4096];
    struct ended ended = run_line(box, line, 0, text, sizeof(text));
    assert_string_equal(text, expected);
    assert_int_equal(ended.code, 0);
}

// sys_errno -1: any.
static void exec_failed(struct box *box, const struct agent_exec *exec, int code, int sys_errno)
{
    struct agent_exec full = *exec;
    cleanup_buf struct buf payload = BUF_INIT(4 * 1024 * 1024);
    full.cwd = full.cwd ? full.cwd : "";
    full.user = full.user ? full.user : "";
    full.shell = full.shell ? full.shell : "";
    agent_exec_put(&payload, &full);
    struct link *link = link_open(box);
    link_send(link, AGENT_EXEC, &payload);
    const struct sbx_error *error = link_expect_failed(link, code);
    if (sys_errno >= 0)
        assert_int_equal(error->sys_errno, sys_errno);
    // A refused command leaves the connection usable.
    start_shell(link, "exit 3", 0);
    assert_int_equal(collect(link, NULL, NULL).code, 3);
    link_close(link);
}

static void passes_descriptors_through(void **state)
{
    int in[2], out[2], error[2];
    char text[64] = "";
    struct link *link = link_open(*state);
    cleanup_buf struct buf payload = BUF_INIT(4096);
    const char *argv[] = {"sh", "-c", "cat; echo to-stderr >&2; exit 7", NULL};
    agent_exec_put(&payload, &(struct agent_exec){
                                 .cwd = "", .user = "", .shell = "", .argv = argv, .argc = 3});
    assert_int_equal(fd_pipe(in) | fd_pipe(out) | fd_pipe(error), 0);
    link_send_fds(link, AGENT_EXEC, &payload, (int[3]){in[0], out[1], error[1]});
    close(in[0]);
    close(out[1]);
    close(error[1]);
    assert_int_equal(write(in[1], "hello", 5), 5);
    close(in[1]);
    link_expect(link, AGENT_STARTED);
    struct ended ended = expect_exit(link);
    assert_int_equal(ended.code, 7);
    assert_int_equal(ended.signal, 0);
    assert_true(ended.duration_us > 0);
    assert_int_equal(fd_read_full(out[0], text, sizeof(text)), 5);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(fd_read_full(error[0], text, sizeof(text)), 10);
    close(out[0]);
    close(error[0]);
    link_close(link);
}

// One whose start the host does not wait for: nothing of it comes through here.
static void send_whole(struct link *link, const char *program, const char *argument)
{
    cleanup_buf struct buf payload = BUF_INIT(4096);
    cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const char *argv[] = {program, argument, NULL};
    agent_exec_put(&payload, &(struct agent_exec){.flags = AGENT_EXEC_WHOLE,
                                                  .cwd = "",
                                                  .user = "",
                                                  .shell = "",
                                                  .argv = argv,
                                                  .argc = 2});
    link_send_fds(link, AGENT_EXEC, &payload, (int[3]){null, null, null});
}

static void a_whole_command_keeps_nobody_waiting(void **state)
{
    struct link *link = link_open(*state), *other = link_open(*state);
    start_shell(other, "sleep 0.01; exit 4", 0); // its signal comes while we wait for others
    for (int i = 0; i < 20; i++) {
        send_whole(link, "true", "");
        link_expect(link, AGENT_STARTED);
        assert_int_equal(expect_exit(link).code, 0);
        send_whole(link, "/nothing", "");
        assert_int_equal(link_expect_failed(link, SBX_ERR_EXEC)->sys_errno, ENOENT);
    }
    assert_int_equal(collect(other, NULL, NULL).code, 4);
    send_whole(link, "sleep", "1000");
    start_shell(other, "exit 5", 0);
    assert_int_equal(collect(other, NULL, NULL).code, 5);
    link_expect(link, AGENT_STARTED); // though it has not ended
    link_send_u32(link, AGENT_SIGNAL, SIGKILL);
    assert_int_equal(expect_exit(link).signal, SIGKILL);
    link_close(link);
    link_close(other);
}

static void serves_many_commands_on_one_connection(void **state)
{
    struct link *link = link_open(*state);
    for (uint32_t i = 0; i < 50; i++) {
        char line[32];
        snprintf(line, sizeof(line), "exit %u", i);
        start_shell(link, line, 0);
        assert_int_equal(collect(link, NULL, NULL).code, i);
    }
    link_close(link);
}

static void gives_a_clean_process(void **state)
{
    char line[256];
    // Session and group of its own, no other descriptor, nothing blocked or ignored.
    assert_output(*state, "set -- $(cat /proc/self/stat); [ $6 = $$ ] && echo leader", "leader\n");
    snprintf(line, sizeof(line), "exec %s descriptors", probe_path());
    assert_output(*state, line, "0 1 2 ");
    assert_output(*state, "cat /proc/self/status | grep -E '^Sig(Blk|Ign|Cgt)' | cut -f2 | sort -u",
                  "0000000000000000\n");
    assert_output(*state, "umask", "0022\n");
}

static void builds_the_environment(void **state)
{
    struct sbx_pair env[] = {{"TWICE", "exec"}, {"EMPTY", ""}};
    char text[4096];
    assert_output(*state, "echo $FROM_BOX $TWICE $USER $LOGNAME $HOME $SHELL | cut -d' ' -f1-5",
                  "yes box root root /root\n");
    struct link *link = link_open(*state);
    cleanup_buf struct buf out = BUF_INIT(65536);
    start_exec(link, &(struct agent_exec){.shell = "echo $FROM_BOX-$TWICE-${EMPTY-unset}-$PWD",
                                          .cwd = "/tmp",
                                          .env = env,
                                          .env_count = 2});
    collect(link, &out, NULL);
    assert_string_equal(buf_text(&out), "yes-exec--/tmp\n");
    out.size = 0;
    const char *print[] = {"env", NULL};
    start_exec(link, &(struct agent_exec){.argv = print,
                                          .argc = 1,
                                          .cwd = "/",
                                          .flags = SBX_EXEC_CLEAN_ENV,
                                          .env = env,
                                          .env_count = 1});
    collect(link, &out, NULL);
    snprintf(text, sizeof(text), "%s", buf_text(&out));
    assert_string_equal(text, "TWICE=exec\n");
    link_close(link);
}

static void searches_the_commands_own_path(void **state)
{
    struct box *box = *state;
    struct sbx_pair env = {"PATH", box->dir};
    const char *argv[] = {"own-program", NULL};
    char path[128];
    snprintf(path, sizeof(path), "%s/own-program", box->dir);
    FILE *file = fopen(path, "w");
    fputs("#!/bin/sh\nexit 42\n", file);
    fclose(file);
    chmod(path, 0755);
    struct link *link = link_open(box);
    struct agent_exec exec = {.argv = argv, .argc = 1, .env = &env, .env_count = 1};
    start_exec(link, &exec);
    assert_int_equal(collect(link, NULL, NULL).code, 42);
    chmod(path, 0644);
    exec_failed(box, &exec, SBX_ERR_EXEC, EACCES);
    link_close(link);
}

static void says_why_a_program_does_not_start(void **state)
{
    struct box *box = *state;
    char path[128];
    const char *missing[] = {"no-such-program", NULL}, *deep[] = {"/no/such/program", NULL};
    const char *format[] = {path, NULL}, *empty[] = {"", NULL};
    snprintf(path, sizeof(path), "%s/format", box->dir);
    FILE *file = fopen(path, "w");
    fputs("neither a script nor a program\n", file);
    fclose(file);
    chmod(path, 0755);
    exec_failed(box, &(struct agent_exec){.argv = missing, .argc = 1}, SBX_ERR_EXEC, ENOENT);
    exec_failed(box, &(struct agent_exec){.argv = deep, .argc = 1}, SBX_ERR_EXEC, ENOENT);
    exec_failed(box, &(struct agent_exec){.argv = empty, .argc = 1}, SBX_ERR_EXEC, ENOENT);
    exec_failed(box, &(struct agent_exec){.argv = format, .argc = 1}, SBX_ERR_EXEC, ENOEXEC);
    exec_failed(box, &(struct agent_exec){.shell = "true", .cwd = "/no/such"}, SBX_ERR_EXEC,
                ENOENT);
    exec_failed(box, &(struct agent_exec){.shell = "true", .user = "nobody-knows"},
                SBX_ERR_NOT_FOUND, 0);
    struct sbx_pair bad = {"A=B", "x"};
    exec_failed(box, &(struct agent_exec){.shell = "true", .env = &bad, .env_count = 1},
                SBX_ERR_INVALID, 0);
}

static void refuses_arguments_that_are_too_long(void **state)
{
    cleanup_free char *large = malloc(200000);
    memset(large, 'x', 199999);
    large[199999] = '\0';
    const char *argv[] = {"true", large, NULL};
    exec_failed(*state, &(struct agent_exec){.argv = argv, .argc = 2}, SBX_ERR_EXEC, E2BIG);
}

static void changes_the_user_or_says_that_it_can_not(void **state)
{
    struct agent_exec exec = {.shell = "id -u; id -g; grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' "
                                       "/proc/self/status | cut -f2 | sort -u",
                              .user = "4242"};
    if (getuid() != 0) {
        exec_failed(*state, &exec, SBX_ERR_UNSUPPORTED, -1);
        return;
    }
    cleanup_buf struct buf out = BUF_INIT(4096);
    struct link *link = link_open(*state);
    start_exec(link, &exec);
    collect(link, &out, NULL);
    assert_string_equal(buf_text(&out), "4242\n4242\n0000000000000000\n");
    link_close(link);
}

static void reports_signals(void **state)
{
    char text[16];
    struct ended ended = run_line(*state, "kill -SEGV $$", 0, text, sizeof(text));
    assert_int_equal(ended.code, 128 + SIGSEGV);
    assert_int_equal(ended.signal, SIGSEGV);
}

static void sends_signals_to_the_group(void **state)
{
    struct link *link = link_open(*state);
    start_shell(link, "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done", 0);
    link_expect(link, AGENT_OUTPUT);
    link_send_u32(link, AGENT_SIGNAL, SIGTERM);
    assert_int_equal(collect(link, NULL, NULL).code, 5);
    // Too late is no error.
    link_send_u32(link, AGENT_SIGNAL, SIGTERM);
    start_shell(link, "exit 6", 0);
    assert_int_equal(collect(link, NULL, NULL).code, 6);
    link_close(link);
}

static void a_stop_is_no_end(void **state)
{
    struct link *link = link_open(*state);
    const char *argv[] = {probe_path(), "traceme", NULL};
    start_exec(link, &(struct agent_exec){.argv = argv, .argc = 2});
    link_expect(link, AGENT_OUTPUT);
    // It is stopped under our eyes now; only the kill ends it.
    struct link *other = link_open(*state);
    start_shell(other, "sleep 0.2", 0);
    collect(other, NULL, NULL);
    link_close(other);
    link_send_u32(link, AGENT_SIGNAL, SIGKILL);
    assert_int_equal(collect(link, NULL, NULL).signal, SIGKILL);
    link_close(link);
}

static void ends_with_the_main_process(void **state)
{
    char text[64];
    struct ended ended = run_line(*state, "sleep 60 & echo done", 0, text, sizeof(text));
    assert_string_equal(text, "done\n");
    assert_int_equal(ended.code, 0);
    assert_true(ended.duration_us < 30000000);
    run_line(*state, "pkill -KILL -x sleep", 0, text, sizeof(text));
}

// Processes whose command line holds the marker, without whoever looks.
static int count_marked(struct box *box, const char *marker)
{
    char line[256], text[64];
    snprintf(line, sizeof(line),
             "grep -lz -e '%.1s[%.1s]%s' /proc/[0-9]*/cmdline 2>/dev/null | wc -l", marker,
             marker + 1, marker + 2);
    run_line(box, line, 0, text, sizeof(text));
    return atoi(text);
}

#define TREE(marker)                                                                               \
    "sh -c 'sleep 90 " marker " || sleep 90; : " marker "' & setsid sh -c 'sleep 91; : " marker    \
    "' & (setsid sh -c '(setsid sh -c \"sleep 92; : " marker                                       \
    "\" &)' &); sleep 0.2; echo up; wait; : "

static void a_timeout_kills_the_whole_tree(void **state)
{
    struct link *link = link_open(*state);
    start_exec(link, &(struct agent_exec){.shell = TREE("timed-tree"), .timeout_ms = 700});
    link_expect(link, AGENT_OUTPUT);
    assert_true(count_marked(*state, "timed-tree") >= 3);
    struct ended ended = collect(link, NULL, NULL);
    assert_int_equal(ended.code, 124);
    assert_int_equal(ended.flags, SBX_OUTCOME_TIMED_OUT);
    assert_int_equal(count_marked(*state, "timed-tree"), 0);
    link_close(link);
}

static void a_vanished_client_takes_its_command_along(void **state)
{
    struct link *link = link_open(*state);
    start_shell(link, TREE("lost-tree"), 0);
    link_expect(link, AGENT_OUTPUT);
    assert_true(count_marked(*state, "lost-tree") >= 3);
    link_close(link);
    int left = -1;
    for (int i = 0; i < 100 && left != 0; i++) {
        left = count_marked(*state, "lost-tree");
        usleep(20000);
    }
    assert_int_equal(left, 0);
}

static void other_commands_survive_a_kill(void **state)
{
    struct link *link = link_open(*state), *other = link_open(*state);
    start_shell(link, TREE("killed-tree"), 0);
    start_shell(other, TREE("spared-tree"), 0);
    link_expect(link, AGENT_OUTPUT);
    link_expect(other, AGENT_OUTPUT);
    link_send_u32(link, AGENT_SIGNAL, SIGKILL);
    assert_int_equal(collect(link, NULL, NULL).code, 137);
    assert_int_equal(count_marked(*state, "killed-tree"), 0);
    assert_true(count_marked(*state, "spared-tree") >= 3);
    link_close(link);
    link_close(other);
}

static uint32_t count_processes(struct link *link)
{
    struct agent_usage usage;
    link_send(link, AGENT_USAGE, &(struct buf){0});
    const struct frame *frame = link_expect(link, AGENT_USED);
    assert_int_equal(agent_usage_get(frame->payload, frame->size, &usage), 0);
    return usage.pids;
}

static void nobody_is_told_of_an_unseen_command(void **state)
{
    const struct agent_config config = {.user = "root", .workdir = "/", .machine = ""};
    struct box *box = box_start(&config);
    struct link *link = link_open(box), *other = link_open(box);
    uint32_t pid = start_shell(link, "exec cat", SBX_EXEC_STDIN | AGENT_EXEC_UNSEEN);
    assert_int_equal(count_processes(other), 0);
    link_send(other, AGENT_PROCESSES, &(struct buf){0});
    link_expect(other, AGENT_DONE);
    link_send_u32(other, AGENT_ATTACH, pid);
    link_expect_failed(other, SBX_ERR_NOT_FOUND);
    link_send(link, AGENT_INPUT_END, &(struct buf){0});
    assert_int_equal(expect_exit(link).code, 0);
    link_close(link);
    link_close(other);
    box_stop(box);
}

static void warms_what_commands_need(void **state)
{
    const char *argv[] = {AGENT_WARM_PROGRAM, AGENT_WARM_ARGUMENT, NULL};
    struct agent_exec exec = {.argv = argv, .argc = 2, .cwd = "", .user = "", .shell = ""};
    struct link *link = link_open(*state);
    cleanup_buf struct buf out = BUF_INIT(64);
    start_exec(link, &exec);
    assert_int_equal(collect(link, &out, NULL).code, 0);
    assert_int_equal(out.size, 1);
    link_close(link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_descriptors_through),
        cmocka_unit_test(a_whole_command_keeps_nobody_waiting),
        cmocka_unit_test(serves_many_commands_on_one_connection),
        cmocka_unit_test(gives_a_clean_process),
        cmocka_unit_test(builds_the_environment),
        cmocka_unit_test(searches_the_commands_own_path),
        cmocka_unit_test(says_why_a_program_does_not_start),
        cmocka_unit_test(refuses_arguments_that_are_too_long),
        cmocka_unit_test(changes_the_user_or_says_that_it_can_not),
        cmocka_unit_test(reports_signals),
        cmocka_unit_test(sends_signals_to_the_group),
        cmocka_unit_test(a_stop_is_no_end),
        cmocka_unit_test(ends_with_the_main_process),
        cmocka_unit_test(a_timeout_kills_the_whole_tree),
        cmocka_unit_test(a_vanished_client_takes_its_command_along),
        cmocka_unit_test(other_commands_survive_a_kill),
        cmocka_unit_test(nobody_is_told_of_an_unseen_command),
        cmocka_unit_test(warms_what_commands_need),
    };
    return cmocka_run_group_tests(tests, box_set_up, box_tear_down);
}
