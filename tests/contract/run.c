// SPDX-License-Identifier: Apache-2.0
// Contract: commands run to their end.
#include "contract.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#define MB (1024 * 1024)

static struct sbx_exec command(const char *line)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    exec.shell = line;
    return exec;
}

static void a_command_s_output_and_success_come_back(void **state)
{
    expect_out(sh(suite.sandbox, "echo hello"), "hello\n");
}

static void exit_codes_come_back(void **state)
{
    assert_int_equal(sh(suite.sandbox, "exit 3")->outcome.exit_code, 3);
    assert_int_equal(sh(suite.sandbox, "exit 255")->outcome.exit_code, 255);
    assert_int_equal(sh(suite.sandbox, "false")->outcome.exit_code, 1);
    assert_int_equal(sh(suite.sandbox, "false; true")->outcome.exit_code, 0);
}

static void an_empty_line_does_nothing_well(void **state)
{
    assert_int_equal(sh(suite.sandbox, "")->outcome.exit_code, 0);
    assert_int_equal(sh(suite.sandbox, " ")->outcome.exit_code, 0);
}

static void a_signal_that_ends_a_command_is_told(void **state)
{
    const struct sbx_result *result = sh(suite.sandbox, "kill -KILL $$");
    assert_int_equal(result->outcome.exit_code, 137);
    assert_int_equal(result->outcome.signal, 9);
    assert_int_equal(sh(suite.sandbox, "kill -TERM $$")->outcome.exit_code, 143);
}

static void stdout_and_stderr_are_apart(void **state)
{
    const struct sbx_result *result = sh(suite.sandbox, "echo out; echo err >&2");
    assert_string_equal(result->out, "out\n");
    assert_string_equal(result->err, "err\n");
}

static void merged_output_keeps_its_order(void **state)
{
    struct sbx_exec exec = command("echo 1; echo 2 >&2; echo 3; echo 4 >&2");
    exec.flags = SBX_EXEC_MERGE;
    expect_out(run(suite.sandbox, &exec), "1\n2\n3\n4\n");
}

static void arguments_arrive_as_they_are(void **state)
{
    const char *argv[] = {"printf", "%s|%s|%s|%s", "a b", "", "'\"$HOME`\\", "line\nend \xc3\xa9"};
    struct sbx_exec exec = SBX_EXEC_INIT;
    exec.argv = argv;
    exec.argc = 6;
    expect_out(run(suite.sandbox, &exec), "a b||'\"$HOME`\\|line\nend \xc3\xa9");
}

static void a_missing_program_is_an_exec_error(void **state)
{
    const char *argv[] = {"no-such-program-anywhere"};
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result;
    exec.argv = argv;
    exec.argc = 1;
    fails(SBX_ERR_EXEC, sbx_run(suite.sandbox, &exec, NULL, &result, &err));
    assert_int_equal(err.sys_errno, ENOENT);
    argv[0] = "/no/such/file";
    fails(SBX_ERR_EXEC, sbx_run(suite.sandbox, &exec, NULL, &result, &err));
    assert_int_equal(err.sys_errno, ENOENT);
}

static void a_program_without_permission_is_an_exec_error(void **state)
{
    ok(sbx_file_write(suite.sandbox, "/tmp/plain", "#!/bin/sh\n", 10, NULL, NULL, &err));
    const char *argv[] = {"/tmp/plain"};
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result;
    exec.argv = argv;
    exec.argc = 1;
    fails(SBX_ERR_EXEC, sbx_run(suite.sandbox, &exec, NULL, &result, &err));
    assert_int_equal(err.sys_errno, EACCES);
}

static void a_script_that_was_written_runs(void **state)
{
    struct sbx_file_options options = SBX_FILE_OPTIONS_INIT;
    options.mode = 0755;
    ok(sbx_file_write(suite.sandbox, "/tmp/script", "#!/bin/sh\necho ran\n", 19, &options, NULL,
                      &err));
    const char *argv[] = {"/tmp/script"};
    struct sbx_exec exec = SBX_EXEC_INIT;
    exec.argv = argv;
    exec.argc = 1;
    expect_out(run(suite.sandbox, &exec), "ran\n");
}

static void the_shell_says_127_for_a_missing_program(void **state)
{
    const struct sbx_result *result = sh(suite.sandbox, "no-such-program-anywhere");
    assert_int_equal(result->outcome.exit_code, 127);
    assert_non_null(strstr(result->err, "not found"));
}

static void variables_reach_the_command(void **state)
{
    const struct sbx_pair env[] = {{"GREETING", "a 'b' \"c\" $d\nnext"}, {"EMPTY", ""}};
    struct sbx_exec exec = command("printf '%s|%s' \"$GREETING\" \"$EMPTY\"");
    exec.env = env;
    exec.env_count = 2;
    expect_out(run(suite.sandbox, &exec), "a 'b' \"c\" $d\nnext|");
}

static void variables_of_the_host_stay_outside(void **state)
{
    setenv("CONTRACT_SECRET", "host", 1);
    assert_null(strstr(sh(suite.sandbox, "env")->out, "CONTRACT_SECRET"));
    assert_non_null(strstr(sh(suite.sandbox, "env")->out, "PATH="));
    assert_non_null(strstr(sh(suite.sandbox, "env")->out, "HOME="));
}

static void a_clean_environment_has_only_what_was_given(void **state)
{
    const struct sbx_pair env[] = {{"ONE", "1"}};
    const char *argv[] = {"env"};
    struct sbx_exec exec = SBX_EXEC_INIT;
    exec.argv = argv;
    exec.argc = 1;
    exec.env = env;
    exec.env_count = 1;
    exec.flags = SBX_EXEC_CLEAN_ENV;
    expect_out(run(suite.sandbox, &exec), "ONE=1\n");
}

static void commands_begin_in_the_home_directory(void **state)
{
    char home[256];
    snprintf(home, sizeof(home), "%s\n", sh(suite.sandbox, "printf '%s' \"$HOME\"")->out);
    expect_out(sh(suite.sandbox, "pwd"), home);
}

static void a_directory_can_be_chosen(void **state)
{
    struct sbx_exec exec = command("pwd");
    exec.cwd = "/tmp";
    expect_out(run(suite.sandbox, &exec), "/tmp\n");
}

static void a_missing_directory_is_an_error(void **state)
{
    struct sbx_exec exec = command("pwd");
    struct sbx_result result;
    exec.cwd = "/no/such/directory";
    fails(SBX_ERR_EXEC, sbx_run(suite.sandbox, &exec, NULL, &result, &err));
    assert_non_null(strstr(err.message, "/no/such/directory"));
}

static void commands_run_as_the_asked_user(void **state)
{
    struct sbx_exec exec = command("id -u");
    exec.user = "user";
    assert_string_not_equal(run(suite.sandbox, &exec)->out, "0\n");
    expect_out(sh(suite.sandbox, "id -un"), "user\n");
    need_other_users();
    exec.user = "root";
    expect_out(run(suite.sandbox, &exec), "0\n");
}

static void an_unknown_user_is_an_error(void **state)
{
    struct sbx_exec exec = command("true");
    struct sbx_result result;
    exec.user = "nosuchuser";
    assert_true(sbx_run(suite.sandbox, &exec, NULL, &result, &err) < 0);
    assert_non_null(strstr(err.message, "nosuchuser"));
}

static void without_input_a_command_finds_its_end(void **state)
{
    expect_out(sh(suite.sandbox, "cat; echo end"), "end\n");
}

static void input_reaches_the_command(void **state)
{
    struct sbx_exec exec = command("cat");
    exec.input = "typed\n";
    exec.input_size = 6;
    expect_out(run(suite.sandbox, &exec), "typed\n");
}

static void large_input_and_output_cross_without_waiting_for_each_other(void **state)
{
    char *data = pattern(8 * MB);
    struct sbx_exec exec = command("cat");
    exec.input = data;
    exec.input_size = 8 * MB;
    const struct sbx_result *result = run(suite.sandbox, &exec);
    assert_int_equal(result->out_size, 8 * MB);
    assert_memory_equal(result->out, data, 8 * MB);
    free(data);
}

static void a_command_need_not_read_its_input(void **state)
{
    char *data = pattern(4 * MB);
    struct sbx_exec exec = command("echo done");
    exec.input = data;
    exec.input_size = 4 * MB;
    expect_out(run(suite.sandbox, &exec), "done\n");
    exec.shell = "head -c 3 >/dev/null; echo read";
    expect_out(run(suite.sandbox, &exec), "read\n");
    free(data);
}

static void every_byte_passes_through(void **state)
{
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    struct sbx_exec exec = command("cat");
    exec.input = all;
    exec.input_size = sizeof(all);
    const struct sbx_result *result = run(suite.sandbox, &exec);
    assert_int_equal(result->out_size, sizeof(all));
    assert_memory_equal(result->out, all, sizeof(all));
}

static void output_without_input_may_be_binary(void **state)
{
    const struct sbx_result *result = sh(suite.sandbox, "printf 'a\\000\\377b'");
    assert_int_equal(result->out_size, 4);
    assert_memory_equal(result->out, "a\0\377b", 5);
}

static void megabytes_of_output_arrive_whole(void **state)
{
    const struct sbx_result *result = sh(suite.sandbox, "head -c 8388608 /dev/zero");
    assert_int_equal(result->out_size, 8 * MB);
    for (size_t i = 0; i < result->out_size; i += 4095)
        assert_int_equal(result->out[i], 0);
}

static void output_past_the_limit_is_cut_and_told(void **state)
{
    struct sbx_exec exec = command("head -c 300000 /dev/zero; echo err >&2; exit 4");
    exec.output_limit = 1000;
    const struct sbx_result *result = run(suite.sandbox, &exec);
    assert_int_equal(result->out_size, 1000);
    assert_int_equal(result->outcome.flags, SBX_OUTCOME_TRUNCATED);
    assert_int_equal(result->outcome.exit_code, 4);
    exec.shell = "head -c 1000 /dev/zero";
    assert_int_equal(run(suite.sandbox, &exec)->outcome.flags, 0);
}

static void a_command_s_own_time_limit_ends_it_with_124(void **state)
{
    struct sbx_exec exec = command("echo begun; sleep 1000");
    exec.timeout_ms = 150;
    const struct sbx_result *result = run(suite.sandbox, &exec);
    assert_string_equal(result->out, "begun\n");
    assert_int_equal(result->outcome.exit_code, 124);
    assert_true(result->outcome.flags & SBX_OUTCOME_TIMED_OUT);
}

static void a_command_s_duration_is_measured(void **state)
{
    const struct sbx_result *result = sh(suite.sandbox, "sleep 0.1");
    assert_true(result->outcome.duration_us >= 100000);
}

static void a_call_s_deadline_is_an_error(void **state)
{
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_exec exec = command("sleep 1000");
    struct sbx_result result;
    call.timeout_ms = 150;
    fails(SBX_ERR_TIMEOUT, sbx_run(suite.sandbox, &exec, &call, &result, &err));
    expect_out(sh(suite.sandbox, "echo usable"), "usable\n");
}

static void *trigger_later(void *cancel)
{
    const struct timespec pause = {0, 100000000};
    nanosleep(&pause, NULL);
    sbx_cancel_trigger(cancel);
    return NULL;
}

static void a_cancelled_call_ends_with_its_command(void **state)
{
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_exec exec = command("sleep 1000");
    struct sbx_result result;
    pthread_t thread;
    ok(sbx_cancel_new(&call.cancel, &err));
    assert_int_equal(pthread_create(&thread, NULL, trigger_later, call.cancel), 0);
    fails(SBX_ERR_CANCELLED, sbx_run(suite.sandbox, &exec, &call, &result, &err));
    pthread_join(thread, NULL);
    fails(SBX_ERR_CANCELLED, sbx_run(suite.sandbox, &exec, &call, &result, &err));
    sbx_cancel_free(call.cancel);
    expect_out(sh(suite.sandbox, "echo usable"), "usable\n");
}

struct seen {
    char text[256];
    size_t calls;
    size_t stop_after;
};

static int note(void *payload, int stream, const void *data, size_t size)
{
    struct seen *seen = payload;
    size_t used = strlen(seen->text);
    snprintf(seen->text + used, sizeof(seen->text) - used, "%d:%.*s", stream, (int)size,
             (const char *)data);
    return ++seen->calls == seen->stop_after;
}

static void a_callback_receives_output_in_order(void **state)
{
    struct sbx_exec exec =
        command("echo one; sleep 0.05; echo two >&2; sleep 0.05; echo three; exit 5");
    struct sbx_outcome outcome;
    struct seen seen = {0};
    ok(sbx_stream_run(suite.sandbox, &exec, note, &seen, NULL, &outcome, &err));
    assert_string_equal(seen.text, "1:one\n2:two\n1:three\n");
    assert_int_equal(outcome.exit_code, 5);
}

static void a_callback_can_stop_the_command(void **state)
{
    struct sbx_exec exec = command("echo one; sleep 1000");
    struct sbx_outcome outcome = {.exit_code = 77};
    struct seen seen = {.stop_after = 1};
    fails(SBX_ERR_CANCELLED,
          sbx_stream_run(suite.sandbox, &exec, note, &seen, NULL, &outcome, &err));
    assert_string_equal(seen.text, "1:one\n");
    assert_int_equal(outcome.exit_code, 77);
}

static void *run_echo(void *number)
{
    char line[64];
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result = {0};
    struct sbx_error mine;
    snprintf(line, sizeof(line), "sleep 0.05; echo %d", *(int *)number);
    exec.shell = line;
    bool same = sbx_run(suite.sandbox, &exec, NULL, &result, &mine) == 0 &&
                atoi(result.out) == *(int *)number;
    sbx_result_deinit(&result);
    return same ? number : NULL;
}

static void commands_of_several_threads_do_not_mix(void **state)
{
    pthread_t threads[8];
    int numbers[8];
    for (int i = 0; i < 8; i++) {
        numbers[i] = 1000 + i;
        assert_int_equal(pthread_create(&threads[i], NULL, run_echo, &numbers[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_non_null(result);
    }
}

const struct contract_case run_cases[] = {
    CASE(a_command_s_output_and_success_come_back, 0),
    CASE(exit_codes_come_back, 0),
    CASE(an_empty_line_does_nothing_well, 0),
    CASE(a_signal_that_ends_a_command_is_told, SBX_CAP_SIGNAL),
    CASE(stdout_and_stderr_are_apart, SBX_CAP_STDERR),
    CASE(merged_output_keeps_its_order, 0),
    CASE(arguments_arrive_as_they_are, 0),
    CASE(a_missing_program_is_an_exec_error, 0),
    CASE(a_program_without_permission_is_an_exec_error, SBX_CAP_FILES),
    CASE(a_script_that_was_written_runs, SBX_CAP_FILES),
    CASE(the_shell_says_127_for_a_missing_program, SBX_CAP_STDERR),
    CASE(variables_reach_the_command, 0),
    CASE(variables_of_the_host_stay_outside, 0),
    CASE(a_clean_environment_has_only_what_was_given, 0),
    CASE(commands_begin_in_the_home_directory, 0),
    CASE(a_directory_can_be_chosen, 0),
    CASE(a_missing_directory_is_an_error, 0),
    CASE(commands_run_as_the_asked_user, SBX_CAP_USERS),
    CASE(an_unknown_user_is_an_error, SBX_CAP_USERS),
    CASE(without_input_a_command_finds_its_end, 0),
    CASE(input_reaches_the_command, SBX_CAP_STDIN),
    CASE(large_input_and_output_cross_without_waiting_for_each_other, SBX_CAP_STDIN),
    CASE(a_command_need_not_read_its_input, SBX_CAP_STDIN),
    CASE(every_byte_passes_through, SBX_CAP_STDIN),
    CASE(output_without_input_may_be_binary, 0),
    CASE(megabytes_of_output_arrive_whole, 0),
    CASE(output_past_the_limit_is_cut_and_told, 0),
    CASE(a_command_s_own_time_limit_ends_it_with_124, 0),
    CASE(a_command_s_duration_is_measured, 0),
    CASE(a_call_s_deadline_is_an_error, 0),
    CASE(a_cancelled_call_ends_with_its_command, 0),
    CASE(a_callback_receives_output_in_order, SBX_CAP_STREAMING | SBX_CAP_STDERR),
    CASE(a_callback_can_stop_the_command, SBX_CAP_STREAMING),
    CASE(commands_of_several_threads_do_not_mix, 0),
    {0},
};
