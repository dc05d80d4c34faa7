// SPDX-License-Identifier: Apache-2.0
// Unit: core/manager, guard, retry, breaker: failover, what is repeated and what never, circuits.
#include "unit.h"

#include <errno.h>
#include <unistd.h>

#include "core/operation.h"
#include "faulty.h"

static struct sbx_error err;
static struct sbx_client *client;
static struct faulty a, b, c;
static int64_t now_ms, slept_ms;
static int sleeps;
static struct sbx_cancel *cancel_in_sleep;

static int64_t read_clock(void *payload)
{
    return now_ms;
}

static void sleep_fast(void *payload, int64_t ms)
{
    now_ms += ms;
    slept_ms += ms;
    sleeps++;
    if (cancel_in_sleep)
        sbx_cancel_trigger(cancel_in_sleep);
}

static const struct sbx_clock fast = {read_clock, sleep_fast, NULL};

static int open_client(void **state)
{
    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    memset(&c, 0, sizeof(c));
    memset(&faulty_calls, 0, sizeof(faulty_calls));
    now_ms = slept_ms = sleeps = 0;
    cancel_in_sleep = NULL;
    return sbx_client_open(NULL, &client, &err) || faulty_add(client, "a", &a) ||
           faulty_add(client, "b", &b) || faulty_add(client, "c", &c);
}

static int close_client(void **state)
{
    sbx_client_close(client);
    return 0;
}

static const char *const abc[] = {"a", "b", "c"};

static struct sbx_manager *manager_with(const char *const *names, size_t count,
                                        const struct sbx_retry *retry,
                                        const struct sbx_breaker_options *breaker)
{
    struct sbx_manager_options options = SBX_MANAGER_OPTIONS_INIT;
    struct sbx_manager *manager = NULL;
    options.providers = names;
    options.provider_count = count;
    options.retry = retry;
    options.breaker = breaker;
    options.clock = &fast;
    assert_int_equal(sbx_manager_open(client, &options, &manager, &err), 0);
    return manager;
}

static int create(struct sbx_manager *manager, struct sbx_sandbox **ret_sandbox)
{
    return sbx_manager_create(manager, NULL, NULL, 0, NULL, ret_sandbox, NULL, &err);
}

static void the_first_provider_that_can_is_taken(void **state)
{
    struct sbx_manager *manager = manager_with(abc, 3, NULL, NULL);
    struct sbx_sandbox *sandbox;
    struct sbx_failures failures;
    a.failures = 1000;
    a.error = faulty_error(SBX_ERR_AUTH, 0, 401, 0);
    assert_int_equal(sbx_manager_create(manager, NULL, NULL, 0, NULL, &sandbox, &failures, &err),
                     0);
    assert_string_equal(sbx_sandbox_provider(sandbox), "b");
    assert_int_equal(failures.count, 1);
    assert_string_equal(failures.items[0].provider, "a");
    assert_int_equal(failures.items[0].attempts, 1); // AUTH does not pass by itself
    assert_int_equal(failures.items[0].error.code, SBX_ERR_AUTH);
    assert_int_equal(c.creates, 0);
    sbx_failures_free(&failures);
    sbx_sandbox_free(sandbox);
    sbx_manager_close(manager);
}

static void one_error_names_each_provider_and_why(void **state)
{
    struct sbx_manager *manager = manager_with(abc, 3, NULL, NULL);
    struct sbx_sandbox *sandbox = NULL;
    struct sbx_failures failures;
    a.failures = b.failures = c.failures = 1000;
    a.error = faulty_error(SBX_ERR_UNAVAILABLE, ECONNREFUSED, 0, 0);
    b.error = faulty_error(SBX_ERR_QUOTA, 0, 0, 0);
    c.error = faulty_error(SBX_ERR_UNSUPPORTED, 0, 0, 0);
    assert_int_equal(sbx_manager_create(manager, NULL, NULL, 0, NULL, &sandbox, &failures, &err),
                     SBX_ERR_QUOTA);
    assert_null(sandbox);
    assert_int_equal(err.code, SBX_ERR_QUOTA);
    assert_string_equal(err.remedy, "mend QUOTA");
    assert_non_null(strstr(err.message, "a: after 3 attempts: made to fail with UNAVAILABLE"));
    assert_non_null(strstr(err.message, "b: made to fail with QUOTA"));
    assert_non_null(strstr(err.message, "c: made to fail with UNSUPPORTED"));
    assert_int_equal(failures.count, 3);
    assert_int_equal(failures.items[0].attempts, 3);
    assert_int_equal(failures.items[2].error.code, SBX_ERR_UNSUPPORTED);
    sbx_failures_free(&failures);
    sbx_manager_close(manager);
}

static void long_messages_share_the_room_and_stay_utf8(void **state)
{
    struct sbx_manager *manager = manager_with(abc, 3, NULL, NULL);
    struct sbx_sandbox *sandbox;
    a.failures = b.failures = c.failures = 1000;
    a.error = b.error = c.error = faulty_error(SBX_ERR_AUTH, 0, 0, 0);
    for (size_t i = 0; i + 3 < sizeof(a.error.message); i += 2)
        memcpy(a.error.message + i, "\xc3\xa4", 3);
    memcpy(b.error.message, a.error.message, sizeof(b.error.message));
    assert_int_equal(create(manager, &sandbox), SBX_ERR_AUTH);
    assert_non_null(strstr(err.message, "; b: "));
    assert_non_null(strstr(err.message, "; c: made to fail"));
    assert_true(strlen(err.message) < sizeof(err.message));
    for (const char *p = strstr(err.message, "a: ") + 3; *p != ';'; p += 2)
        assert_memory_equal(p, "\xc3\xa4", 2);
    sbx_manager_close(manager);
}

static void the_order_is_the_call_s_then_the_spec_s_then_the_manager_s(void **state)
{
    struct sbx_manager *manager = manager_with(abc, 2, NULL, NULL);
    static const char *const order[] = {"c", "c", "a"}, *const unknown[] = {"a", "absent"};
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_sandbox *sandbox;
    spec.provider = "b";
    assert_int_equal(sbx_manager_create(manager, &spec, NULL, 0, NULL, &sandbox, NULL, &err), 0);
    assert_string_equal(sbx_sandbox_provider(sandbox), "b");
    sbx_sandbox_free(sandbox);
    c.failures = 1;
    c.error = faulty_error(SBX_ERR_DENIED, 0, 0, 0);
    assert_int_equal(sbx_manager_create(manager, &spec, order, 3, NULL, &sandbox, NULL, &err), 0);
    assert_string_equal(sbx_sandbox_provider(sandbox), "a");
    assert_int_equal(c.creates, 1); // named twice, tried once
    sbx_sandbox_free(sandbox);
    int before = a.creates;
    assert_int_equal(sbx_manager_create(manager, &spec, unknown, 2, NULL, &sandbox, NULL, &err),
                     SBX_ERR_NOT_FOUND);
    assert_int_equal(a.creates, before);
    sbx_manager_close(manager);
    assert_int_equal(sbx_client_set_default(client, "c", &err), 0);
    manager = manager_with(NULL, 0, NULL, NULL);
    assert_int_equal(create(manager, &sandbox), 0);
    assert_string_equal(sbx_sandbox_provider(sandbox), "c");
    sbx_sandbox_free(sandbox);
    sbx_manager_close(manager);
}

static void a_creation_that_may_have_happened_is_not_repeated(void **state)
{
    struct sbx_manager *manager = manager_with(abc, 1, NULL, NULL);
    struct sbx_sandbox *sandbox;
    const struct {
        struct sbx_error error;
        int creates; // attempts of three
    } rows[] = {
        {faulty_error(SBX_ERR_UNAVAILABLE, 0, 0, 0), 1}, // the answer was lost
        {faulty_error(SBX_ERR_UNAVAILABLE, ECONNRESET, 0, 0), 1},
        {faulty_error(SBX_ERR_TIMEOUT, 0, 0, 0), 1},
        {faulty_error(SBX_ERR_PROTOCOL, 0, 502, 0), 1},
        {faulty_error(SBX_ERR_UNAVAILABLE, ECONNREFUSED, 0, 0), 3},
        {faulty_error(SBX_ERR_UNAVAILABLE, 0, 503, 0), 3},
        {faulty_error(SBX_ERR_QUOTA, 0, 429, 0), 3},
        {faulty_error(SBX_ERR_QUOTA, 0, 0, 20), 3},
        {faulty_error(SBX_ERR_QUOTA, 0, 0, 0), 1}, // full, not busy
        {faulty_error(SBX_ERR_AUTH, 0, 401, 0), 1},
        {faulty_error(SBX_ERR_INVALID, 0, 0, 0), 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sbx_breaker_reset(sbx_manager_breaker(manager, "a"));
        a.creates = 0;
        a.failures = 1000;
        a.error = rows[i].error;
        a.lose = rows[i].creates == 1;
        assert_int_equal(create(manager, &sandbox), rows[i].error.code);
        assert_int_equal(a.creates, rows[i].creates);
    }
    sbx_manager_close(manager);
}

static void waits_grow_and_retry_after_is_the_least(void **state)
{
    struct sbx_retry retry = SBX_RETRY_INIT;
    retry.flags = SBX_RETRY_NO_JITTER;
    retry.first_ms = 100;
    retry.most_ms = 1000;
    const int64_t want[] = {100, 200, 400, 800, 1000, 1000};
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(sbx_retry_delay(&retry, i + 2, 0, 12345), want[i]);
    assert_int_equal(sbx_retry_delay(&retry, 1000, 0, 0), 1000);
    assert_int_equal(sbx_retry_delay(&retry, 2, 5000, 0), 5000);
    retry.flags = 0;
    retry.jitter_percent = 20;
    int64_t least = 1000, most = 0;
    for (uint64_t random = 0; random < 1000; random++) {
        int64_t delay = sbx_retry_delay(&retry, 2, 0, random * 7919);
        least = delay < least ? delay : least;
        most = delay > most ? delay : most;
    }
    assert_int_equal(least, 80);
    assert_int_equal(most, 100);
}

static int64_t total_wait(uint64_t seed)
{
    struct sbx_retry retry = SBX_RETRY_INIT;
    struct sbx_sandbox *sandbox;
    retry.attempts = 6;
    retry.seed = seed;
    struct sbx_manager *manager = manager_with(abc, 1, &retry, NULL);
    slept_ms = sleeps = 0;
    a.failures = 4;
    a.error = faulty_error(SBX_ERR_UNAVAILABLE, ECONNREFUSED, 0, 0);
    assert_int_equal(create(manager, &sandbox), 0);
    assert_int_equal(sleeps, 4);
    sbx_sandbox_free(sandbox);
    sbx_manager_close(manager);
    return slept_ms;
}

static void the_same_seed_waits_the_same(void **state)
{
    int64_t first = total_wait(42);
    assert_int_equal(total_wait(42), first);
    assert_int_not_equal(total_wait(43), first);
    assert_in_range(first, (500 + 1000 + 2000 + 4000) / 2, 500 + 1000 + 2000 + 4000);
}

static void a_budget_ends_the_attempts(void **state)
{
    struct sbx_retry retry = SBX_RETRY_INIT;
    struct sbx_breaker_options breaker = SBX_BREAKER_OPTIONS_INIT;
    struct sbx_sandbox *sandbox;
    retry.attempts = 100;
    retry.budget_ms = 10000;
    breaker.failures = 1000;
    retry.flags = SBX_RETRY_NO_JITTER;
    struct sbx_manager *manager = manager_with(abc, 1, &retry, &breaker);
    a.failures = 1000;
    a.error = faulty_error(SBX_ERR_UNAVAILABLE, ECONNREFUSED, 0, 0);
    assert_int_equal(create(manager, &sandbox), SBX_ERR_UNAVAILABLE);
    assert_int_equal(slept_ms, 500 + 1000 + 2000 + 4000); // the next would be 8000
    assert_int_equal(a.creates, 5);
    a.error.retry_after_ms = 60000; // asks for more than there is: not waited for in vain
    slept_ms = 0;
    assert_int_equal(create(manager, &sandbox), SBX_ERR_UNAVAILABLE);
    assert_int_equal(slept_ms, 0);
    sbx_manager_close(manager);
}

static void the_call_s_deadline_ends_the_attempts(void **state)
{
    struct sbx_manager *manager = manager_with(abc, 2, NULL, NULL);
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_sandbox *sandbox;
    call.timeout_ms = 300; // less than the first wait may be
    a.failures = 1000;
    a.error = faulty_error(SBX_ERR_UNAVAILABLE, ECONNREFUSED, 0, 400);
    assert_int_equal(sbx_manager_create(manager, NULL, NULL, 0, &call, &sandbox, NULL, &err), 0);
    assert_string_equal(sbx_sandbox_provider(sandbox), "b"); // the rest of the time is b's
    assert_int_equal(a.creates, 1);
    sbx_sandbox_free(sandbox);
    sbx_manager_close(manager);
}

static void an_attempt_can_have_less_time_than_the_call(void **state)
{
    struct sbx_retry retry = SBX_RETRY_INIT;
    struct sbx_sandbox *sandbox;
    struct sbx_failures failures;
    retry.attempt_ms = 20;
    struct sbx_manager *manager = manager_with(abc, 2, &retry, NULL);
    a.create_ms = 60000;
    assert_int_equal(sbx_manager_create(manager, NULL, NULL, 0, NULL, &sandbox, &failures, &err),
                     0);
    assert_string_equal(sbx_sandbox_provider(sandbox), "b");
    assert_int_equal(failures.items[0].error.code, SBX_ERR_TIMEOUT);
    sbx_failures_free(&failures);
    sbx_sandbox_free(sandbox);
    sbx_manager_close(manager);
}

static void cancelling_ends_a_wait_and_everything_after_it(void **state)
{
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_sandbox *sandbox;
    assert_int_equal(sbx_cancel_new(&call.cancel, &err), 0);
    struct sbx_manager *manager = manager_with(abc, 2, NULL, NULL);
    cancel_in_sleep = call.cancel;
    a.failures = 1000;
    a.error = faulty_error(SBX_ERR_UNAVAILABLE, ECONNREFUSED, 0, 0);
    assert_int_equal(sbx_manager_create(manager, NULL, NULL, 0, &call, &sandbox, NULL, &err),
                     SBX_ERR_CANCELLED);
    assert_non_null(strstr(err.message, "made to fail"));
    assert_int_equal(a.creates, 1);
    assert_int_equal(b.creates, 0);
    sbx_manager_close(manager);
    sbx_cancel_free(call.cancel);
}

static void *trigger_soon(void *cancel)
{
    usleep(30000);
    sbx_cancel_trigger(cancel);
    return NULL;
}

static void cancelling_ends_a_real_wait(void **state)
{
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_sandbox *sandbox;
    struct sbx_manager *manager;
    pthread_t thread;
    assert_int_equal(sbx_cancel_new(&call.cancel, &err), 0);
    assert_int_equal(sbx_client_set_default(client, "a", &err), 0);
    assert_int_equal(sbx_manager_open(client, NULL, &manager, &err), 0);
    a.failures = 1000;
    a.error = faulty_error(SBX_ERR_UNAVAILABLE, ECONNREFUSED, 0, 3600 * 1000);
    pthread_create(&thread, NULL, trigger_soon, call.cancel);
    assert_int_equal(sbx_manager_create(manager, NULL, NULL, 0, &call, &sandbox, NULL, &err),
                     SBX_ERR_CANCELLED);
    pthread_join(thread, NULL);
    sbx_manager_close(manager);
    sbx_cancel_free(call.cancel);
}

static void calls_on_a_sandbox_are_repeated_by_their_kind(void **state)
{
    struct sbx_manager *manager = manager_with(abc, 1, NULL, NULL);
    struct sbx_sandbox *sandbox;
    struct sbx_info info = SBX_INFO_INIT;
    char *data;
    assert_int_equal(create(manager, &sandbox), 0);
    faulty_calls.error = faulty_error(SBX_ERR_UNAVAILABLE, ECONNRESET, 0, 0);
    faulty_calls.info_failures = faulty_calls.read_failures = 2;
    assert_int_equal(sbx_sandbox_info(sandbox, NULL, &info, &err), 0);
    assert_int_equal(faulty_calls.infos, 3);
    assert_int_equal(sbx_file_write(sandbox, "/tmp/f", "x", 1, NULL, NULL, &err), 0);
    assert_int_equal(sbx_file_read(sandbox, "/tmp/f", NULL, NULL, &data, NULL, &err), 0);
    sbx_free(data);
    assert_int_equal(faulty_calls.reads, 3);
    faulty_calls.write_failures = 1; // mkdir might have made it
    assert_int_equal(sbx_file_mkdir(sandbox, "/tmp/x", NULL, NULL, &err), SBX_ERR_UNAVAILABLE);
    assert_int_equal(faulty_calls.writes, 1);
    faulty_calls.destroy_failures = 1; // destroyed, but the answer is lost
    faulty_calls.destroy_loses = true;
    assert_int_equal(sbx_sandbox_destroy(sandbox, NULL, &err), 0);
    assert_int_equal(faulty_calls.destroys, 2);
    assert_int_equal(sbx_sandbox_destroy(sandbox, NULL, &err), SBX_ERR_NOT_FOUND);
    sbx_sandbox_free(sandbox);
    sbx_manager_close(manager);
}

static void a_sandbox_of_the_client_s_own_is_not_looked_after_until_adopted(void **state)
{
    struct sbx_manager *manager = manager_with(abc, 1, NULL, NULL);
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_sandbox *sandbox;
    struct sbx_info info = SBX_INFO_INIT;
    spec.provider = "a";
    assert_int_equal(sbx_sandbox_create(client, &spec, NULL, &sandbox, &err), 0);
    faulty_calls.error = faulty_error(SBX_ERR_UNAVAILABLE, 0, 0, 0);
    faulty_calls.info_failures = 1;
    assert_int_equal(sbx_sandbox_info(sandbox, NULL, &info, &err), SBX_ERR_UNAVAILABLE);
    assert_int_equal(sbx_manager_adopt(manager, sandbox, &err), 0);
    faulty_calls.info_failures = 1;
    assert_int_equal(sbx_sandbox_info(sandbox, NULL, &info, &err), 0);
    sbx_sandbox_free(sandbox);
    sbx_manager_close(manager);
}

static uint32_t state_of(struct sbx_breaker *breaker)
{
    struct sbx_breaker_status status = SBX_BREAKER_STATUS_INIT;
    sbx_breaker_status(breaker, &status);
    return status.state;
}

static void a_breaker_opens_tries_and_closes(void **state)
{
    struct sbx_breaker_options options = SBX_BREAKER_OPTIONS_INIT;
    struct sbx_breaker *breaker;
    uint64_t pass, probe;
    options.failures = 3;
    options.successes = 2;
    options.open_ms = 1000;
    options.name = "e2b";
    options.clock = &fast;
    assert_int_equal(sbx_breaker_new(&options, &breaker, &err), 0);
    const int32_t codes[] = {SBX_ERR_UNAVAILABLE, SBX_ERR_TIMEOUT, SBX_OK,
                             SBX_ERR_PROTOCOL,    SBX_ERR_IO,      SBX_ERR_CANCELLED,
                             SBX_ERR_UNAVAILABLE};
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(state_of(breaker), SBX_BREAKER_CLOSED);
        assert_int_equal(sbx_breaker_enter(breaker, &pass, &err), 0);
        sbx_breaker_leave(breaker, pass, codes[i]);
    }
    assert_int_equal(state_of(breaker), SBX_BREAKER_OPEN);
    now_ms += 400;
    assert_int_equal(sbx_breaker_enter(breaker, &pass, &err), SBX_ERR_UNAVAILABLE);
    assert_int_equal(err.retry_after_ms, 600);
    assert_non_null(strstr(err.message, "e2b"));
    now_ms += 600;
    assert_int_equal(sbx_breaker_enter(breaker, &probe, &err), 0);
    assert_int_equal(sbx_breaker_enter(breaker, &pass, &err), SBX_ERR_UNAVAILABLE); // one probe
    sbx_breaker_leave(breaker, probe, SBX_OK);
    assert_int_equal(state_of(breaker), SBX_BREAKER_HALF_OPEN);
    assert_int_equal(sbx_breaker_enter(breaker, &probe, &err), 0);
    sbx_breaker_leave(breaker, probe, SBX_ERR_NOT_FOUND); // it answers
    assert_int_equal(state_of(breaker), SBX_BREAKER_CLOSED);
    sbx_breaker_free(breaker);
}

static void who_entered_before_the_breaker_opened_says_nothing_about_it(void **state)
{
    struct sbx_breaker_options options = SBX_BREAKER_OPTIONS_INIT;
    struct sbx_breaker *breaker;
    uint64_t late, pass, probe;
    options.failures = 1;
    options.open_ms = 1000;
    options.clock = &fast;
    assert_int_equal(sbx_breaker_new(&options, &breaker, &err), 0);
    assert_int_equal(sbx_breaker_enter(breaker, &late, &err), 0);
    assert_int_equal(sbx_breaker_enter(breaker, &pass, &err), 0);
    sbx_breaker_leave(breaker, pass, SBX_ERR_UNAVAILABLE);
    now_ms += 1000;
    assert_int_equal(sbx_breaker_enter(breaker, &probe, &err), 0);
    sbx_breaker_leave(breaker, late, SBX_OK); // takes no probe's place, closes nothing
    assert_int_equal(state_of(breaker), SBX_BREAKER_HALF_OPEN);
    assert_int_equal(sbx_breaker_enter(breaker, &pass, &err), SBX_ERR_UNAVAILABLE);
    sbx_breaker_leave(breaker, probe, SBX_ERR_UNAVAILABLE);
    assert_int_equal(state_of(breaker), SBX_BREAKER_OPEN);
    sbx_breaker_reset(breaker);
    assert_int_equal(sbx_breaker_enter(breaker, &pass, &err), 0);
    sbx_breaker_free(breaker);
}

static void an_open_breaker_leads_straight_to_the_next_provider(void **state)
{
    struct sbx_breaker_options breaker = SBX_BREAKER_OPTIONS_INIT;
    struct sbx_sandbox *sandbox;
    struct sbx_failures failures;
    breaker.failures = 3;
    breaker.open_ms = 10000;
    struct sbx_manager *manager = manager_with(abc, 2, NULL, &breaker);
    a.failures = 3;
    a.error = faulty_error(SBX_ERR_UNAVAILABLE, ECONNREFUSED, 0, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(create(manager, &sandbox), 0);
        assert_string_equal(sbx_sandbox_provider(sandbox), "b");
        sbx_sandbox_free(sandbox);
    }
    assert_int_equal(a.creates, 3);
    assert_int_equal(state_of(sbx_manager_breaker(manager, "a")), SBX_BREAKER_OPEN);
    now_ms += 10000;
    assert_int_equal(sbx_manager_create(manager, NULL, NULL, 0, NULL, &sandbox, &failures, &err),
                     0);
    assert_string_equal(sbx_sandbox_provider(sandbox), "a");
    assert_int_equal(failures.count, 0);
    assert_int_equal(state_of(sbx_manager_breaker(manager, "a")), SBX_BREAKER_CLOSED);
    sbx_failures_free(&failures);
    sbx_sandbox_free(sandbox);
    sbx_manager_close(manager);
}

static void wrong_policies_are_refused(void **state)
{
    struct sbx_manager_options options = SBX_MANAGER_OPTIONS_INIT;
    struct sbx_manager *manager;
    struct sbx_retry retry = SBX_RETRY_INIT;
    static const char *const unknown[] = {"absent"};
    retry.factor_percent = 50;
    options.retry = &retry;
    assert_int_equal(sbx_manager_open(client, &options, &manager, &err), SBX_ERR_INVALID);
    options.retry = NULL;
    options.providers = unknown;
    options.provider_count = 1;
    assert_int_equal(sbx_manager_open(client, &options, &manager, &err), SBX_ERR_NOT_FOUND);
    assert_int_equal(sbx_manager_open(NULL, NULL, &manager, &err), SBX_ERR_INVALID);
    assert_null(sbx_manager_breaker(NULL, "a"));
    sbx_manager_close(NULL);
}

static void every_operation_has_its_rule(void **state)
{
    struct sbx_error lost = faulty_error(SBX_ERR_UNAVAILABLE, 0, 0, 0),
                     refused = faulty_error(SBX_ERR_UNAVAILABLE, ECONNREFUSED, 0, 0);
    static const enum operation same[] = {
        OPERATION_INFO,       OPERATION_DESTROY,      OPERATION_SET_TTL,        OPERATION_METRICS,
        OPERATION_SNAPSHOT,   OPERATION_PROCESS_LIST, OPERATION_FILE_WRITE,     OPERATION_FILE_READ,
        OPERATION_FILE_STAT,  OPERATION_FILE_LIST,    OPERATION_PROCESS_ATTACH, OPERATION_WATCH,
        OPERATION_SET_NETWORK};
    for (int i = 0; i < OPERATION_COUNT; i++) {
        bool is_same = false;
        for (size_t k = 0; k < sizeof(same) / sizeof(same[0]); k++)
            is_same = is_same || same[k] == (enum operation)i;
        assert_int_equal(operation_repeats(i, lost.code, &lost), is_same);
        assert_true(operation_repeats(i, refused.code, &refused));
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_client, close_client)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_first_provider_that_can_is_taken),
        CASE(one_error_names_each_provider_and_why),
        CASE(long_messages_share_the_room_and_stay_utf8),
        CASE(the_order_is_the_call_s_then_the_spec_s_then_the_manager_s),
        CASE(a_creation_that_may_have_happened_is_not_repeated),
        CASE(waits_grow_and_retry_after_is_the_least),
        CASE(the_same_seed_waits_the_same),
        CASE(a_budget_ends_the_attempts),
        CASE(the_call_s_deadline_ends_the_attempts),
        CASE(an_attempt_can_have_less_time_than_the_call),
        CASE(cancelling_ends_a_wait_and_everything_after_it),
        CASE(cancelling_ends_a_real_wait),
        CASE(calls_on_a_sandbox_are_repeated_by_their_kind),
        CASE(a_sandbox_of_the_client_s_own_is_not_looked_after_until_adopted),
        CASE(a_breaker_opens_tries_and_closes),
        CASE(who_entered_before_the_breaker_opened_says_nothing_about_it),
        CASE(an_open_breaker_leads_straight_to_the_next_provider),
        CASE(wrong_policies_are_refused),
        CASE(every_operation_has_its_rule),
    };
    unsetenv("SANDBOXES_PROVIDER");
    setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
