// SPDX-License-Identifier: Apache-2.0
// Unit: core/run, core/feed: what the blocking calls do when a provider's parts fail.
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <sandboxes/sandboxes.h>

#include "base/error.h"

extern const struct sbx_provider_ops provider_fake;

static struct sbx_error err;
static const char input[100000] = "input";

static int write_fails(void *process, const void *data, size_t size, const struct sbx_call *call,
                       struct sbx_error *error)
{
    return err_sys(error, 0, EIO, "cannot deliver");
}

static int write_is_unwanted(void *process, const void *data, size_t size,
                             const struct sbx_call *call, struct sbx_error *error)
{
    return err_set(error, SBX_ERR_UNAVAILABLE, "the command has closed its input");
}

static int fails_in_silence(void *box, const struct sbx_call *call, struct sbx_metrics *ret_metrics,
                            struct sbx_error *error)
{
    return SBX_ERR_PROTOCOL;
}

struct world {
    struct sbx_client *client;
    struct sbx_sandbox *sandbox;
};

static struct world open_world(const struct sbx_provider_ops *ops)
{
    struct world world = {0};
    struct sbx_client_options options = SBX_CLIENT_OPTIONS_INIT;
    struct sbx_spec spec = SBX_SPEC_INIT;
    options.provider = "fake";
    spec.provider = "odd";
    assert_int_equal(sbx_client_open(&options, &world.client, &err), 0);
    assert_int_equal(sbx_client_add_provider(world.client, ops, &err), 0);
    assert_int_equal(sbx_sandbox_create(world.client, &spec, NULL, &world.sandbox, &err), 0);
    return world;
}

static void close_world(struct world *world)
{
    sbx_sandbox_free(world->sandbox);
    sbx_client_close(world->client);
}

static struct sbx_provider_ops odd_ops(void)
{
    struct sbx_provider_ops ops = provider_fake;
    ops.name = "odd";
    return ops;
}

static int run_with_input(struct sbx_sandbox *sandbox, const char *line, size_t size,
                          struct sbx_result *ret_result)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    exec.shell = line;
    exec.input = input;
    exec.input_size = size;
    return sbx_run(sandbox, &exec, NULL, ret_result, &err);
}

static void a_command_never_takes_a_part_of_its_input_for_all(void **state)
{
    struct sbx_provider_ops ops = odd_ops();
    struct sbx_result result;
    static const size_t sizes[] = {10, sizeof(input)}; // written at once, and by a thread
    ops.process_write = write_fails;
    struct world world = open_world(&ops);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(run_with_input(world.sandbox, "cat", sizes[i], &result), SBX_ERR_IO);
        assert_string_equal(err.origin, "odd");
        assert_non_null(strstr(err.message, "cannot deliver"));
    }
    close_world(&world);
}

static void input_that_a_command_does_not_want_is_no_error(void **state)
{
    struct sbx_provider_ops ops = odd_ops();
    struct sbx_result result;
    static const size_t sizes[] = {10, sizeof(input)};
    ops.process_write = write_is_unwanted;
    struct world world = open_world(&ops);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(run_with_input(world.sandbox, "echo done", sizes[i], &result), 0);
        assert_string_equal(result.out, "done\n");
        sbx_result_deinit(&result);
    }
    close_world(&world);
}

static void a_provider_without_input_says_so(void **state)
{
    struct sbx_provider_ops ops = odd_ops();
    struct sbx_result result;
    ops.capabilities &= ~(uint32_t)SBX_CAP_STDIN;
    struct world world = open_world(&ops);
    assert_int_equal(run_with_input(world.sandbox, "cat", 10, &result), SBX_ERR_UNSUPPORTED);
    assert_int_equal(run_with_input(world.sandbox, "cat", 0, &result), 0);
    sbx_result_deinit(&result);
    close_world(&world);
}

static void a_failure_without_words_gets_some(void **state)
{
    struct sbx_provider_ops ops = odd_ops();
    struct sbx_metrics metrics = SBX_METRICS_INIT;
    ops.metrics = fails_in_silence;
    struct world world = open_world(&ops);
    memset(&err, 0, sizeof(err));
    assert_int_equal(sbx_sandbox_metrics(world.sandbox, NULL, &metrics, &err), SBX_ERR_PROTOCOL);
    assert_int_equal(err.code, SBX_ERR_PROTOCOL);
    assert_true(err.message[0] && err.remedy[0]);
    assert_string_equal(err.origin, "odd");
    close_world(&world);
}

static int count_calls(void *payload, int stream, const void *data, size_t size)
{
    (*(int *)payload)++;
    return 0;
}

static volatile sig_atomic_t handled_by_main;
static pthread_t main_thread;

static void note_thread(int signal)
{
    handled_by_main = pthread_equal(pthread_self(), main_thread) != 0;
}

// The program's handlers must not find themselves on a thread of the library's.
static void signals_go_to_the_program_s_threads(void **state)
{
    struct sbx_provider_ops ops = odd_ops();
    struct world world = open_world(&ops);
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_process *process;
    struct sigaction action = {.sa_handler = note_thread}, before;
    sigset_t usr1, mask;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    main_thread = pthread_self();
    sigaction(SIGUSR1, &action, &before);
    exec.shell = "sleep 1000";
    exec.input = input;
    exec.input_size = sizeof(input);
    assert_int_equal(sbx_process_start(world.sandbox, &exec, NULL, &process, &err), 0);
    // With the main thread deaf, a thread of ours that listens would take it.
    pthread_sigmask(SIG_BLOCK, &usr1, &mask);
    kill(getpid(), SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    assert_true(handled_by_main);
    sbx_process_free(process);
    sigaction(SIGUSR1, &before, NULL);
    close_world(&world);
}

static void an_output_limit_of_one_byte_keeps_one_byte(void **state)
{
    struct sbx_provider_ops ops = odd_ops();
    struct world world = open_world(&ops);
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result;
    struct sbx_outcome outcome;
    int calls = 0;
    exec.shell = "echo out; echo err >&2";
    exec.output_limit = 1;
    assert_int_equal(sbx_run(world.sandbox, &exec, NULL, &result, &err), 0);
    assert_string_equal(result.out, "o");
    assert_string_equal(result.err, "e");
    assert_int_equal(result.outcome.flags, SBX_OUTCOME_TRUNCATED);
    sbx_result_deinit(&result);
    exec.output_limit = UINT64_MAX;
    assert_int_equal(sbx_run(world.sandbox, &exec, NULL, &result, &err), 0);
    assert_string_equal(result.out, "out\n");
    sbx_result_deinit(&result);
    assert_int_equal(
        sbx_stream_run(world.sandbox, &exec, count_calls, &calls, NULL, &outcome, &err), 0);
    assert_int_equal(calls, 2);
    close_world(&world);
}

int main(void)
{
    setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_never_takes_a_part_of_its_input_for_all),
        cmocka_unit_test(input_that_a_command_does_not_want_is_no_error),
        cmocka_unit_test(a_provider_without_input_says_so),
        cmocka_unit_test(a_failure_without_words_gets_some),
        cmocka_unit_test(signals_go_to_the_program_s_threads),
        cmocka_unit_test(an_output_limit_of_one_byte_keeps_one_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
