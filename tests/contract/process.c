// SPDX-License-Identifier: Apache-2.0
// Contract: commands that are talked to while they run.
#include "contract.h"

#include <signal.h>
#include <time.h>

static struct sbx_process *start(const char *line, uint32_t flags)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_process *process = NULL;
    exec.shell = line;
    exec.flags = flags;
    ok(sbx_process_start(suite.sandbox, &exec, NULL, &process, &err));
    assert_non_null(process);
    assert_true(sbx_process_pid(process) > 0);
    return process;
}

static void type(struct sbx_process *process, const char *text)
{
    ok(sbx_process_write(process, text, strlen(text), NULL, &err));
}

// Whether the sandbox says that this command runs.
static bool running(uint32_t pid)
{
    struct sbx_process_list list;
    bool found = false;
    ok(sbx_process_list(suite.sandbox, NULL, &list, &err));
    for (size_t i = 0; i < list.count; i++)
        found |= list.items[i].pid == pid && list.items[i].running;
    sbx_process_list_free(&list);
    return found;
}

static bool stops_running(uint32_t pid)
{
    const struct timespec pause = {0, 10000000};
    for (int i = 0; i < 1000; i++) {
        if (!running(pid))
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

static void output_arrives_while_the_command_runs(void **state)
{
    struct sbx_process *process = start("echo ready; cat", SBX_EXEC_STDIN);
    read_until(process, "ready\n");
    type(process, "one\n");
    read_until(process, "one\n");
    type(process, "two\n");
    read_until(process, "two\n");
    ok(sbx_process_close_input(process, &err));
    assert_int_equal(read_to_end(process).exit_code, 0);
    sbx_process_free(process);
}

static void nothing_follows_the_end(void **state)
{
    struct sbx_event event;
    struct sbx_process *process = start("exit 6", 0);
    assert_int_equal(read_to_end(process).exit_code, 6);
    fails(SBX_ERR_CONFLICT, sbx_process_read(process, NULL, &event, &err));
    sbx_process_free(process);
}

static void input_of_a_started_command_is_copied(void **state)
{
    char *data = pattern(100000);
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_process *process;
    exec.shell = "wc -c";
    exec.input = data;
    exec.input_size = 100000;
    ok(sbx_process_start(suite.sandbox, &exec, NULL, &process, &err));
    memset(data, 0, 100000);
    free(data);
    read_until(process, "100000\n");
    assert_int_equal(read_to_end(process).exit_code, 0);
    sbx_process_free(process);
}

static void writing_needs_an_open_input(void **state)
{
    struct sbx_process *process = start("sleep 1000", 0);
    fails(SBX_ERR_INVALID, sbx_process_write(process, "x", 1, NULL, &err));
    fails(SBX_ERR_INVALID, sbx_process_close_input(process, &err));
    sbx_process_free(process);
}

static void writing_to_an_ended_command_fails(void **state)
{
    struct sbx_process *process = start("true", SBX_EXEC_STDIN);
    read_to_end(process);
    int code = 0;
    for (int i = 0; code == 0 && i < 100; i++)
        code = sbx_process_write(process, "x", 1, NULL, &err);
    assert_true(code == SBX_ERR_UNAVAILABLE || code == SBX_ERR_NOT_FOUND ||
                code == SBX_ERR_CONFLICT);
    sbx_process_free(process);
}

static void a_read_can_time_out_and_be_repeated(void **state)
{
    struct sbx_event event;
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_process *process = start("cat", SBX_EXEC_STDIN);
    call.timeout_ms = 50;
    fails(SBX_ERR_TIMEOUT, sbx_process_read(process, &call, &event, &err));
    type(process, "late\n");
    read_until(process, "late\n");
    sbx_process_free(process);
}

// Not by a shell: it may take SIGINT for the command that it is about to start, and then forget it.
static void a_signal_ends_a_command(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGKILL};
    const char *argv[] = {"cat"};
    struct sbx_exec exec = SBX_EXEC_INIT;
    exec.argv = argv;
    exec.argc = 1;
    exec.flags = SBX_EXEC_STDIN;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sbx_process *process;
        ok(sbx_process_start(suite.sandbox, &exec, NULL, &process, &err));
        type(process, "ready\n");
        read_until(process, "ready\n");
        ok(sbx_process_signal(process, signals[i], &err));
        struct sbx_outcome outcome = read_to_end(process);
        assert_int_equal(outcome.exit_code, 128 + signals[i]);
        assert_int_equal(outcome.signal, signals[i]);
        sbx_process_free(process);
    }
}

static void freeing_a_handle_kills_its_command(void **state)
{
    struct sbx_process *process = start("echo ready; sleep 1000", 0);
    uint32_t pid = sbx_process_pid(process);
    read_until(process, "ready\n");
    assert_true(running(pid));
    sbx_process_free(process);
    assert_true(stops_running(pid));
}

static void a_cancelled_run_leaves_no_command(void **state)
{
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result;
    struct sbx_process_list list;
    exec.shell = "sleep 1234";
    call.timeout_ms = 100;
    fails(SBX_ERR_TIMEOUT, sbx_run(suite.sandbox, &exec, &call, &result, &err));
    uint32_t pid = 0;
    ok(sbx_process_list(suite.sandbox, NULL, &list, &err));
    for (size_t i = 0; i < list.count; i++)
        if (strstr(list.items[i].command, "sleep 1234") && list.items[i].running)
            pid = list.items[i].pid;
    sbx_process_list_free(&list);
    assert_true(pid == 0 || stops_running(pid));
}

static void running_commands_are_listed(void **state)
{
    struct sbx_process *process = start("sleep 1000", 0);
    struct sbx_process_list list;
    bool found = false;
    ok(sbx_process_list(suite.sandbox, NULL, &list, &err));
    for (size_t i = 0; i < list.count; i++) {
        const struct sbx_process_info *info = &list.items[i];
        if (info->pid != sbx_process_pid(process))
            continue;
        found = true;
        assert_int_equal(info->running, 1);
        assert_non_null(strstr(info->command, "sleep 1000"));
        assert_true(info->started_ms / 1000 >= time(NULL) - 100 &&
                    info->started_ms / 1000 <= time(NULL) + 100);
    }
    assert_true(found);
    sbx_process_list_free(&list);
    sbx_process_list_free(&list);
    sbx_process_free(process);
}

static struct sbx_process *attach(uint32_t pid)
{
    struct sbx_process *process = NULL;
    ok(sbx_process_attach(suite.sandbox, pid, NULL, &process, &err));
    assert_int_equal(sbx_process_pid(process), pid);
    return process;
}

static void a_background_command_outlives_its_handle(void **state)
{
    struct sbx_process *process =
        start("echo kept; sleep 0.2; echo later; exit 9", SBX_EXEC_BACKGROUND);
    uint32_t pid = sbx_process_pid(process);
    sbx_process_free(process);
    process = attach(pid);
    read_until(process, "kept\nlater\n");
    assert_int_equal(read_to_end(process).exit_code, 9);
    sbx_process_free(process);
}

static void the_output_of_an_ended_background_command_is_kept(void **state)
{
    struct sbx_process *process = start("echo kept; echo err >&2; exit 3", SBX_EXEC_BACKGROUND);
    uint32_t pid = sbx_process_pid(process);
    assert_int_equal(read_to_end(process).exit_code, 3);
    sbx_process_free(process);
    for (int i = 0; i < 2; i++) {
        process = attach(pid);
        read_until(process, "kept\n");
        assert_int_equal(read_to_end(process).exit_code, 3);
        sbx_process_free(process);
    }
}

static void a_background_command_gets_its_input(void **state)
{
    char *data = pattern(50000);
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_process *process;
    exec.shell = "wc -c";
    exec.input = data;
    exec.input_size = 50000;
    exec.flags = SBX_EXEC_BACKGROUND;
    ok(sbx_process_start(suite.sandbox, &exec, NULL, &process, &err));
    read_until(process, "50000\n");
    read_to_end(process);
    sbx_process_free(process);
    free(data);
}

static void a_background_command_can_be_signalled_after_attach(void **state)
{
    struct sbx_process *process = start("echo ready; sleep 1000", SBX_EXEC_BACKGROUND);
    uint32_t pid = sbx_process_pid(process);
    sbx_process_free(process);
    process = attach(pid);
    read_until(process, "ready\n");
    ok(sbx_process_signal(process, SIGTERM, &err));
    assert_int_equal(read_to_end(process).exit_code, 143);
    sbx_process_free(process);
}

static void the_log_of_a_background_command_is_bounded(void **state)
{
    struct sbx_process *process =
        start("head -c 4000000 /dev/zero; echo; echo last", SBX_EXEC_BACKGROUND);
    uint32_t pid = sbx_process_pid(process);
    assert_int_equal(read_to_end(process).exit_code, 0);
    sbx_process_free(process);
    process = attach(pid);
    struct sbx_event event = {0};
    size_t kept = 0;
    char end[6] = "";
    while (event.kind != SBX_EVENT_EXIT) {
        ok(sbx_process_read(process, NULL, &event, &err));
        kept += event.size;
        if (event.kind == SBX_EVENT_OUTPUT && event.size >= 5)
            memcpy(end, (const char *)event.data + event.size - 5, 5);
    }
    assert_true(kept > 1000 && kept <= 2 * 1024 * 1024);
    assert_string_equal(end, "last\n");
    sbx_process_free(process);
}

static void an_unknown_command_can_not_be_attached(void **state)
{
    struct sbx_process *process;
    fails(SBX_ERR_NOT_FOUND, sbx_process_attach(suite.sandbox, 4000000, NULL, &process, &err));
}

static void a_terminal_has_the_asked_size_and_can_be_resized(void **state)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_process *process;
    exec.shell = "stty size; head -c 1 >/dev/null; stty size";
    exec.flags = SBX_EXEC_PTY;
    exec.rows = 40;
    exec.cols = 100;
    ok(sbx_process_start(suite.sandbox, &exec, NULL, &process, &err));
    read_until(process, "40 100\r\n");
    ok(sbx_process_resize(process, 50, 132, &err));
    type(process, "\n");
    read_until(process, "50 132\r\n");
    assert_int_equal(read_to_end(process).exit_code, 0);
    sbx_process_free(process);
}

static void a_terminal_s_default_size_is_24_by_80(void **state)
{
    struct sbx_process *process = start("stty size", SBX_EXEC_PTY);
    read_until(process, "24 80\r\n");
    read_to_end(process);
    sbx_process_free(process);
}

static void control_c_interrupts_on_a_terminal(void **state)
{
    const char *argv[] = {"sleep", "1000"};
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_process *process;
    exec.argv = argv;
    exec.argc = 2;
    exec.flags = SBX_EXEC_PTY;
    ok(sbx_process_start(suite.sandbox, &exec, NULL, &process, &err));
    type(process, "\003");
    struct sbx_outcome outcome = read_to_end(process);
    assert_int_equal(outcome.signal, SIGINT);
    assert_int_equal(outcome.exit_code, 130);
    sbx_process_free(process);
}

static void a_terminal_echoes_and_ends_with_control_d(void **state)
{
    struct sbx_process *process = start("cat", SBX_EXEC_PTY);
    type(process, "typed\n");
    read_until(process, "typed\r\ntyped\r\n");
    type(process, "\004");
    assert_int_equal(read_to_end(process).exit_code, 0);
    sbx_process_free(process);
}

static void only_a_terminal_can_be_resized(void **state)
{
    struct sbx_process *process = start("sleep 1000", 0);
    fails(SBX_ERR_INVALID, sbx_process_resize(process, 10, 10, &err));
    sbx_process_free(process);
}

const struct contract_case process_cases[] = {
    CASE(output_arrives_while_the_command_runs, SBX_CAP_STDIN | SBX_CAP_STREAMING),
    CASE(nothing_follows_the_end, 0),
    CASE(input_of_a_started_command_is_copied, SBX_CAP_STDIN),
    CASE(writing_needs_an_open_input, 0),
    CASE(writing_to_an_ended_command_fails, SBX_CAP_STDIN),
    CASE(a_read_can_time_out_and_be_repeated, SBX_CAP_STDIN),
    CASE(a_signal_ends_a_command, SBX_CAP_SIGNAL | SBX_CAP_STDIN),
    CASE(freeing_a_handle_kills_its_command, SBX_CAP_BACKGROUND),
    CASE(a_cancelled_run_leaves_no_command, SBX_CAP_BACKGROUND),
    CASE(running_commands_are_listed, SBX_CAP_BACKGROUND),
    CASE(a_background_command_outlives_its_handle, SBX_CAP_BACKGROUND | SBX_CAP_REPLAY),
    CASE(the_output_of_an_ended_background_command_is_kept, SBX_CAP_BACKGROUND | SBX_CAP_REPLAY),
    CASE(a_background_command_gets_its_input, SBX_CAP_BACKGROUND | SBX_CAP_STDIN),
    CASE(a_background_command_can_be_signalled_after_attach,
         SBX_CAP_BACKGROUND | SBX_CAP_SIGNAL | SBX_CAP_REPLAY),
    CASE(the_log_of_a_background_command_is_bounded, SBX_CAP_BACKGROUND | SBX_CAP_REPLAY),
    CASE(an_unknown_command_can_not_be_attached, SBX_CAP_BACKGROUND),
    CASE(a_terminal_has_the_asked_size_and_can_be_resized, SBX_CAP_PTY),
    CASE(a_terminal_s_default_size_is_24_by_80, SBX_CAP_PTY),
    CASE(control_c_interrupts_on_a_terminal, SBX_CAP_PTY),
    CASE(a_terminal_echoes_and_ends_with_control_d, SBX_CAP_PTY),
    CASE(only_a_terminal_can_be_resized, SBX_CAP_PTY),
    {0},
};
