// SPDX-License-Identifier: Apache-2.0
// Unit: core/many, crew: order, bounds, errors one by one, stopping, nothing left behind.
#include "unit.h"

#include <unistd.h>

#include "faulty.h"

#define COUNT 40

static struct sbx_error err;
static struct sbx_client *client;
static struct sbx_manager *manager;
static struct faulty a, b;

static int open_client(void **state)
{
    static const char *const names[] = {"a"};
    struct sbx_manager_options options = SBX_MANAGER_OPTIONS_INIT;
    struct sbx_retry retry = SBX_RETRY_INIT;
    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    memset(&faulty_calls, 0, sizeof(faulty_calls));
    faulty_alive = 0;
    retry.attempts = 1;
    options.retry = &retry;
    options.providers = names;
    options.provider_count = 1;
    return sbx_client_open(NULL, &client, &err) || faulty_add(client, "a", &a) ||
           faulty_add(client, "b", &b) || sbx_manager_open(client, &options, &manager, &err);
}

static int close_client(void **state)
{
    int left = faulty_alive;
    sbx_manager_close(manager);
    sbx_client_close(client);
    return left;
}

// Specifications that differ by a label with their number.
struct numbered {
    struct sbx_spec specs[COUNT];
    struct sbx_pair labels[COUNT];
    char texts[COUNT][8];
};

static void number(struct numbered *numbered)
{
    for (int i = 0; i < COUNT; i++) {
        snprintf(numbered->texts[i], sizeof(numbered->texts[i]), "%d", i);
        numbered->labels[i] = (struct sbx_pair){"number", numbered->texts[i]};
        numbered->specs[i] = (struct sbx_spec)SBX_SPEC_INIT;
        numbered->specs[i].labels = &numbered->labels[i];
        numbered->specs[i].label_count = 1;
    }
}

static void destroy_all(struct sbx_made *made, size_t count)
{
    struct sbx_sandbox *sandboxes[COUNT];
    struct sbx_error errors[COUNT];
    for (size_t i = 0; i < count; i++)
        sandboxes[i] = made[i].sandbox;
    assert_int_equal(sbx_destroy_many(sandboxes, count, NULL, NULL, errors, &err), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(errors[i].code, 0);
}

static void results_come_in_the_order_of_the_specifications(void **state)
{
    static struct numbered numbered;
    static struct sbx_made made[COUNT];
    struct sbx_many options = SBX_MANY_INIT;
    options.parallel = 7;
    a.create_ms = 2;
    number(&numbered);
    assert_int_equal(
        sbx_create_many(manager, numbered.specs, COUNT, COUNT, &options, NULL, made, &err), 0);
    assert_in_range(a.widest, 2, 7);
    for (int i = 0; i < COUNT; i++) {
        struct sbx_info info = SBX_INFO_INIT;
        assert_int_equal(made[i].err.code, 0);
        assert_int_equal(sbx_sandbox_info(made[i].sandbox, NULL, &info, &err), 0);
        assert_string_equal(info.labels[0].value, numbered.texts[i]);
    }
    destroy_all(made, COUNT);
}

static void each_failure_stays_with_its_item(void **state)
{
    static struct numbered numbered;
    static struct sbx_made made[COUNT];
    number(&numbered);
    b.failures = 1000;
    b.error = faulty_error(SBX_ERR_AUTH, 0, 401, 0);
    for (int i = 0; i < COUNT; i += 3)
        numbered.specs[i + (i < COUNT - 1)].provider = "b";
    int failed = 0;
    assert_int_equal(sbx_create_many(manager, numbered.specs, COUNT, COUNT, NULL, NULL, made, &err),
                     SBX_ERR_AUTH);
    for (int i = 0; i < COUNT; i++) {
        bool bad = numbered.specs[i].provider != NULL;
        assert_int_equal(made[i].err.code, bad ? SBX_ERR_AUTH : 0);
        assert_int_equal(made[i].sandbox == NULL, bad);
        failed += bad;
    }
    char text[64];
    snprintf(text, sizeof(text), "%d of %d failed, number 1: ", failed, COUNT);
    assert_non_null(strstr(err.message, text));
    destroy_all(made, COUNT); // NULL entries are fine
}

static void all_or_nothing_leaves_nothing(void **state)
{
    static struct sbx_made made[COUNT];
    struct sbx_many options = SBX_MANY_INIT;
    struct sbx_spec spec = SBX_SPEC_INIT;
    options.flags = SBX_MANY_ALL_OR_NOTHING;
    options.parallel = 4;
    spec.provider = "a";
    a.create_ms = 1;
    a.failures = 1;
    a.error = faulty_error(SBX_ERR_QUOTA, 0, 0, 0);
    assert_int_equal(sbx_create_many(manager, &spec, 1, COUNT, &options, NULL, made, &err),
                     SBX_ERR_QUOTA);
    assert_int_equal(faulty_alive, 0);
    assert_true(a.creates < COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_null(made[i].sandbox);
        assert_int_not_equal(made[i].err.code, 0);
    }
}

static void *trigger_soon(void *cancel)
{
    while (a.creates < 10)
        usleep(200);
    sbx_cancel_trigger(cancel);
    return NULL;
}

static void cancelling_stops_the_rest_and_leaves_nothing(void **state)
{
    static struct sbx_made made[COUNT];
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_many options = SBX_MANY_INIT;
    pthread_t thread;
    options.parallel = 2;
    a.create_ms = 10;
    assert_int_equal(sbx_cancel_new(&call.cancel, &err), 0);
    pthread_create(&thread, NULL, trigger_soon, call.cancel);
    assert_int_equal(sbx_create_many(manager, &spec, 1, COUNT, &options, &call, made, &err),
                     SBX_ERR_CANCELLED);
    pthread_join(thread, NULL);
    assert_true(a.creates < COUNT);
    assert_int_equal(faulty_alive, 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(made[i].err.code, SBX_ERR_CANCELLED);
    sbx_cancel_free(call.cancel);
}

static void a_deadline_stops_the_rest_too(void **state)
{
    static struct sbx_made made[COUNT];
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_many options = SBX_MANY_INIT;
    options.parallel = 2;
    call.timeout_ms = 50;
    a.create_ms = 20;
    assert_int_equal(sbx_create_many(manager, &spec, 1, COUNT, &options, &call, made, &err),
                     SBX_ERR_TIMEOUT);
    assert_int_equal(faulty_alive, 0);
    assert_true(a.creates < COUNT);
}

static void commands_run_in_sandboxes_of_their_own(void **state)
{
    static struct sbx_job jobs[COUNT];
    static struct sbx_ran ran[COUNT];
    static struct sbx_exec execs[COUNT];
    static char lines[COUNT][32];
    struct sbx_many options = SBX_MANY_INIT;
    options.parallel = 5;
    for (int i = 0; i < COUNT; i++) {
        snprintf(lines[i], sizeof(lines[i]), "echo %d; exit %d", i, i % 3);
        execs[i] = (struct sbx_exec)SBX_EXEC_INIT;
        execs[i].shell = lines[i];
        jobs[i] = (struct sbx_job){.exec = &execs[i]};
    }
    assert_int_equal(sbx_run_many(manager, jobs, COUNT, &options, NULL, ran, &err), 0);
    assert_int_equal(a.creates, COUNT);
    assert_int_equal(faulty_alive, 0);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(ran[i].err.code, 0);
        assert_int_equal(atoi(ran[i].result.out), i);
        assert_int_equal(ran[i].result.outcome.exit_code, i % 3);
    }
    sbx_ran_deinit(ran, COUNT);
}

static void commands_run_in_the_sandbox_given_or_in_a_pool_s(void **state)
{
    struct sbx_pool_options pool_options = SBX_POOL_OPTIONS_INIT;
    struct sbx_many options = SBX_MANY_INIT;
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_sandbox *own;
    struct sbx_job jobs[10];
    struct sbx_ran ran[10];
    assert_int_equal(sbx_manager_create(manager, NULL, NULL, 0, NULL, &own, NULL, &err), 0);
    exec.shell = "echo x";
    for (int i = 0; i < 10; i++)
        jobs[i] = (struct sbx_job){.sandbox = i % 2 ? own : NULL, .exec = &exec};
    pool_options.flags = SBX_POOL_REUSE;
    pool_options.max_total = 2;
    assert_int_equal(sbx_pool_open(manager, &pool_options, &options.pool, &err), 0);
    assert_int_equal(sbx_run_many(manager, jobs, 10, &options, NULL, ran, &err), 0);
    sbx_ran_deinit(ran, 10);
    assert_in_range(a.creates, 2, 3); // the given one, and the pool's
    sbx_pool_close(options.pool);
    assert_int_equal(sbx_destroy_many(&own, 1, NULL, NULL, NULL, &err), 0);
}

static void what_is_gone_counts_as_destroyed(void **state)
{
    struct sbx_sandbox *sandboxes[3] = {NULL};
    struct sbx_error errors[3];
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            sbx_manager_create(manager, NULL, NULL, 0, NULL, &sandboxes[i], NULL, &err), 0);
    assert_int_equal(sbx_sandbox_destroy(sandboxes[0], NULL, &err), 0);
    faulty_calls.destroy_failures = 1;
    faulty_calls.destroy_loses = true;
    faulty_calls.error = faulty_error(SBX_ERR_DENIED, 0, 0, 0);
    struct sbx_many options = SBX_MANY_INIT;
    options.parallel = 1;
    // The first call fails as told, though its sandbox is gone.
    assert_int_equal(sbx_destroy_many(sandboxes, 3, &options, NULL, errors, &err), SBX_ERR_DENIED);
    assert_int_equal(errors[0].code, SBX_ERR_DENIED);
    assert_int_equal(errors[1].code, 0);
    assert_int_equal(errors[2].code, 0);
}

static void wrong_arguments_begin_nothing(void **state)
{
    struct sbx_spec specs[2] = {SBX_SPEC_INIT, SBX_SPEC_INIT};
    struct sbx_made made[2];
    struct sbx_job job = {.exec = NULL};
    struct sbx_ran ran;
    specs[1].user = "not a user";
    assert_int_equal(sbx_create_many(manager, specs, 2, 2, NULL, NULL, made, &err),
                     SBX_ERR_INVALID);
    assert_non_null(strstr(err.message, "specs[1]"));
    assert_int_equal(sbx_create_many(manager, specs, 2, 3, NULL, NULL, made, &err),
                     SBX_ERR_INVALID);
    assert_int_equal(sbx_run_many(manager, &job, 1, NULL, NULL, &ran, &err), SBX_ERR_INVALID);
    assert_int_equal(sbx_run_many(manager, NULL, 0, NULL, NULL, NULL, &err), 0);
    assert_int_equal(sbx_create_many(manager, specs, 1, 0, NULL, NULL, NULL, &err), 0);
    assert_int_equal(a.creates, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_client, close_client)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(results_come_in_the_order_of_the_specifications),
        CASE(each_failure_stays_with_its_item),
        CASE(all_or_nothing_leaves_nothing),
        CASE(cancelling_stops_the_rest_and_leaves_nothing),
        CASE(a_deadline_stops_the_rest_too),
        CASE(commands_run_in_sandboxes_of_their_own),
        CASE(commands_run_in_the_sandbox_given_or_in_a_pool_s),
        CASE(what_is_gone_counts_as_destroyed),
        CASE(wrong_arguments_begin_nothing),
    };
    unsetenv("SANDBOXES_PROVIDER");
    setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
