// SPDX-License-Identifier: Apache-2.0
// Unit: core/pool: warm sandboxes, who gets which, waiting, age, death, closing, many users at
// once.
#include "unit.h"

#include <sys/wait.h>
#include <unistd.h>

#include "core/spec_copy.h"
#include "core/spec_key.h"
#include "faulty.h"

static struct sbx_error err;
static struct sbx_client *client;
static struct sbx_manager *manager;
static struct faulty a, b;
static atomic_llong now_ms;

static int64_t read_clock(void *payload)
{
    return now_ms;
}

static const struct sbx_clock slow = {read_clock, NULL, NULL};

static int open_client(void **state)
{
    static const char *const names[] = {"a"};
    struct sbx_manager_options options = SBX_MANAGER_OPTIONS_INIT;
    struct sbx_retry retry = SBX_RETRY_INIT;
    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    memset(&faulty_calls, 0, sizeof(faulty_calls));
    faulty_alive = 0;
    now_ms = 1000;
    retry.attempts = 1;
    options.retry = &retry;
    options.providers = names;
    options.provider_count = 1;
    return sbx_client_open(NULL, &client, &err) || faulty_add(client, "a", &a) ||
           faulty_add(client, "b", &b) || sbx_manager_open(client, &options, &manager, &err);
}

// Whatever a test did, nothing is left at the providers once its pool is closed.
static int close_client(void **state)
{
    int left = faulty_alive;
    sbx_manager_close(manager);
    sbx_client_close(client);
    return left;
}

static struct sbx_pool *open_pool(const struct sbx_pool_options *options)
{
    struct sbx_pool *pool = NULL;
    assert_int_equal(sbx_pool_open(manager, options, &pool, &err), 0);
    return pool;
}

static struct sbx_pool_stats stats_of(struct sbx_pool *pool)
{
    struct sbx_pool_stats stats = SBX_POOL_STATS_INIT;
    sbx_pool_stats(pool, &stats);
    return stats;
}

static struct sbx_sandbox *acquire(struct sbx_pool *pool)
{
    struct sbx_sandbox *sandbox = NULL;
    int code = sbx_pool_acquire(pool, NULL, NULL, &sandbox, &err);
    if (code < 0)
        fail_msg("%s", err.message);
    return sandbox;
}

static void release(struct sbx_pool *pool, struct sbx_sandbox *sandbox)
{
    assert_int_equal(sbx_pool_release(pool, sandbox, 0, &err), 0);
}

static void wait_until(struct sbx_pool *pool, uint32_t idle, uint32_t ending)
{
    for (int i = 0; i < 5000; i++) {
        struct sbx_pool_stats stats = stats_of(pool);
        if (stats.idle == idle && stats.ending == ending && stats.creating == 0)
            return;
        usleep(1000);
    }
    fail_msg("the pool never had %u idle and %u ending sandboxes", idle, ending);
}

static void warm_ones_are_there_before_they_are_wanted(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    options.min_idle = 3;
    struct sbx_pool *pool = open_pool(&options);
    assert_int_equal(sbx_pool_warm(pool, NULL, &err), 0);
    assert_int_equal(stats_of(pool).idle, 3);
    struct sbx_sandbox *sandbox = acquire(pool);
    assert_int_equal(stats_of(pool).hits, 1);
    assert_int_equal(stats_of(pool).misses, 0);
    assert_int_equal(sbx_pool_warm(pool, NULL, &err), 0); // another takes its place
    assert_int_equal(stats_of(pool).idle, 3);
    assert_int_equal(stats_of(pool).busy, 1);
    release(pool, sandbox);
    wait_until(pool, 3, 0); // a used one is not handed out again
    assert_int_equal(stats_of(pool).destroyed, 1);
    sbx_pool_close(pool);
}

static void warm_ones_are_made_side_by_side(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    options.min_idle = options.parallel = 8;
    a.create_ms = 30;
    struct sbx_pool *pool = open_pool(&options);
    assert_int_equal(sbx_pool_warm(pool, NULL, &err), 0);
    assert_true(a.widest > 1);
    assert_true(a.widest <= 8);
    sbx_pool_close(pool);
}

struct asker {
    struct sbx_pool *pool;
    struct sbx_call call;
    int code, order;
    pthread_t thread;
};
static atomic_int served;

static void *ask(void *argument)
{
    struct asker *asker = argument;
    struct sbx_error own;
    struct sbx_sandbox *sandbox;
    asker->code = sbx_pool_acquire(asker->pool, NULL, &asker->call, &sandbox, &own);
    asker->order = ++served;
    if (asker->code == 0)
        sbx_pool_release(asker->pool, sandbox, 0, &own);
    return NULL;
}

// Ten that take 100 ms each take 100 ms together: each begins before any of them has ended.
static void new_ones_are_made_side_by_side_by_their_callers(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    struct asker askers[10];
    struct sbx_pool *pool = open_pool(&options);
    a.meet = 10;
    for (int i = 0; i < 10; i++) {
        askers[i] = (struct asker){.pool = pool, .call = SBX_CALL_INIT};
        pthread_create(&askers[i].thread, NULL, ask, &askers[i]);
    }
    for (int i = 0; i < 10; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_int_equal(askers[i].code, 0);
    }
    assert_int_equal(a.widest, 10);
    assert_int_equal(stats_of(pool).misses, 10);
    sbx_pool_close(pool);
}

static void used_ones_come_back_only_if_asked_for(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    options.flags = SBX_POOL_REUSE;
    struct sbx_pool *pool = open_pool(&options);
    struct sbx_sandbox *first = acquire(pool);
    assert_int_equal(sbx_file_write(first, "/tmp/mark", "x", 1, NULL, NULL, &err), 0);
    release(pool, first);
    struct sbx_sandbox *again = acquire(pool);
    assert_ptr_equal(again, first);
    char *data;
    assert_int_equal(sbx_file_read(again, "/tmp/mark", NULL, NULL, &data, NULL, &err), 0);
    sbx_free(data);
    assert_int_equal(stats_of(pool).reused, 1);
    assert_int_equal(sbx_pool_release(pool, again, 1, &err), 0); // discarded
    wait_until(pool, 0, 0);
    assert_int_equal(faulty_alive, 0);
    assert_int_equal(sbx_pool_release(pool, again, 0, &err), SBX_ERR_NOT_FOUND);
    sbx_pool_close(pool);
}

static void more_than_max_idle_do_not_stay(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    options.flags = SBX_POOL_REUSE;
    options.max_idle = 1;
    struct sbx_pool *pool = open_pool(&options);
    struct sbx_sandbox *one = acquire(pool), *two = acquire(pool);
    release(pool, one);
    release(pool, two);
    wait_until(pool, 1, 0);
    assert_int_equal(stats_of(pool).evicted, 1);
    sbx_pool_close(pool);
}

static void only_what_fits_is_handed_out(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    struct sbx_pair labels[] = {{"b", "2"}, {"a", "1"}}, turned[] = {{"a", "1"}, {"b", "2"}};
    struct sbx_spec spec = SBX_SPEC_INIT, other = SBX_SPEC_INIT;
    struct sbx_sandbox *first, *next;
    spec.labels = labels;
    spec.label_count = 2;
    options.flags = SBX_POOL_REUSE;
    struct sbx_pool *pool = open_pool(&options);
    assert_int_equal(sbx_pool_acquire(pool, &spec, NULL, &first, &err), 0);
    release(pool, first);
    other = spec;
    other.labels = turned; // the order of labels means nothing
    assert_int_equal(sbx_pool_acquire(pool, &other, NULL, &next, &err), 0);
    assert_ptr_equal(next, first);
    release(pool, next);
    other.label_count = 1;
    assert_int_equal(sbx_pool_acquire(pool, &other, NULL, &next, &err), 0);
    assert_ptr_not_equal(next, first);
    release(pool, next);
    other = spec;
    other.provider = "b";
    assert_int_equal(sbx_pool_acquire(pool, &other, NULL, &next, &err), 0);
    assert_string_equal(sbx_sandbox_provider(next), "b");
    release(pool, next);
    sbx_pool_close(pool);
}

static void each_field_of_a_specification_makes_a_difference(void **state)
{
    static const char *const allow[] = {"example.com", "example.org"};
    const struct sbx_pair pairs[] = {{"A", "1"}, {"B", "2"}};
    const struct sbx_mount mounts[] = {{"/a", "/b", 0}, {"/c", "/d", SBX_MOUNT_WRITABLE}};
    const struct sbx_port ports[] = {{80, 0}, {81, 8081}};
    const char *name = "a";
    const struct names names = {1, &name};
    struct sbx_spec base = SBX_SPEC_INIT, rows[24];
    size_t count = 0;
    base.allow = allow;
    base.env = base.labels = pairs;
    base.mounts = mounts;
    base.ports = ports;
#define ROW(field, value) rows[count] = base, rows[count++].field = (value)
    ROW(image, "x"), ROW(image, ""), ROW(user, "x"), ROW(workdir, "/x"), ROW(hostname, "x");
    ROW(gpu, "x"), ROW(memory_bytes, 1), ROW(disk_bytes, 1), ROW(cpu_millis, 1);
    ROW(max_pids, 1), ROW(max_open_files, 1), ROW(ttl_ms, 1), ROW(network, 1);
    ROW(allow_count, 1), ROW(allow_count, 2), ROW(env_count, 1), ROW(env_count, 2);
    ROW(label_count, 1), ROW(mount_count, 1), ROW(mount_count, 2), ROW(port_count, 1);
    ROW(port_count, 2), ROW(lifetime, 0);
    uint8_t keys[24][SHA256_SIZE];
    for (size_t i = 0; i < count; i++) {
        struct spec_copy copy;
        uint8_t key[SHA256_SIZE];
        assert_int_equal(spec_key(&rows[i], &names, keys[i], &err), 0);
        assert_int_equal(spec_copy_init(&rows[i], &copy, &err), 0);
        assert_int_equal(spec_key(&copy.spec, &names, key, &err), 0);
        assert_memory_equal(key, keys[i], SHA256_SIZE);
        spec_copy_deinit(&copy);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(keys[k], keys[i], SHA256_SIZE);
    }
}

static void a_full_pool_makes_room_by_ending_what_does_not_fit(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    struct sbx_pair label = {"kind", "other"};
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_sandbox *sandbox;
    spec.labels = &label;
    spec.label_count = 1;
    options.flags = SBX_POOL_REUSE;
    options.max_total = 1;
    struct sbx_pool *pool = open_pool(&options);
    release(pool, acquire(pool));
    assert_int_equal(sbx_pool_acquire(pool, &spec, NULL, &sandbox, &err), 0);
    assert_int_equal(faulty_alive, 1);
    assert_int_equal(stats_of(pool).evicted, 1);
    release(pool, sandbox);
    sbx_pool_close(pool);
}

static void waiting_ends_with_the_deadline(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_sandbox *sandbox;
    options.max_total = 1;
    struct sbx_pool *pool = open_pool(&options);
    struct sbx_sandbox *only = acquire(pool);
    call.timeout_ms = 20;
    assert_int_equal(sbx_pool_acquire(pool, NULL, &call, &sandbox, &err), SBX_ERR_QUOTA);
    assert_non_null(strstr(err.message, "pool limit reached: 1 sandboxes"));
    assert_int_equal(stats_of(pool).timeouts, 1);
    assert_int_equal(stats_of(pool).waiting, 0);
    release(pool, only);
    sbx_pool_close(pool);
    options.wait_ms = 20;
    pool = open_pool(&options);
    only = acquire(pool);
    assert_int_equal(sbx_pool_acquire(pool, NULL, NULL, &sandbox, &err), SBX_ERR_QUOTA);
    release(pool, only);
    sbx_pool_close(pool);
}

// Starts them one by one: each waits before the next comes.
static void start_askers(struct sbx_pool *pool, struct asker *askers, uint32_t count)
{
    served = 0;
    for (uint32_t i = 0; i < count; i++) {
        askers[i] = (struct asker){.pool = pool, .call = SBX_CALL_INIT};
        pthread_create(&askers[i].thread, NULL, ask, &askers[i]);
        while (stats_of(pool).waiting < i + 1)
            usleep(500);
    }
}

static void who_came_first_is_served_first(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    struct asker askers[8];
    for (int reuse = 0; reuse < 2; reuse++) {
        options.flags = reuse ? SBX_POOL_REUSE : 0;
        options.max_total = 1;
        struct sbx_pool *pool = open_pool(&options);
        struct sbx_sandbox *only = acquire(pool);
        start_askers(pool, askers, 8);
        release(pool, only);
        for (int i = 0; i < 8; i++) {
            pthread_join(askers[i].thread, NULL);
            assert_int_equal(askers[i].code, 0);
            assert_int_equal(askers[i].order, i + 1);
        }
        assert_int_equal(a.widest, 1);
        sbx_pool_close(pool);
    }
}

static void cancelling_ends_the_wait_and_takes_nothing(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    struct asker asker = {.call = SBX_CALL_INIT};
    options.max_total = 1;
    struct sbx_pool *pool = open_pool(&options);
    struct sbx_sandbox *only = acquire(pool);
    asker.pool = pool;
    assert_int_equal(sbx_cancel_new(&asker.call.cancel, &err), 0);
    pthread_create(&asker.thread, NULL, ask, &asker);
    while (stats_of(pool).waiting == 0)
        usleep(500);
    sbx_cancel_trigger(asker.call.cancel);
    pthread_join(asker.thread, NULL);
    assert_int_equal(asker.code, SBX_ERR_CANCELLED);
    assert_int_equal(stats_of(pool).waiting, 0);
    release(pool, only);
    release(pool, acquire(pool));
    sbx_pool_close(pool);
    sbx_cancel_free(asker.call.cancel);
}

static void old_and_idle_ones_end(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    options.flags = SBX_POOL_REUSE;
    options.clock = &slow;
    options.ttl_ms = 1000;
    options.idle_ms = 400;
    struct sbx_pool *pool = open_pool(&options);
    struct sbx_sandbox *first = acquire(pool);
    now_ms += 300;
    release(pool, first);
    now_ms += 399;
    assert_ptr_equal(acquire(pool), first);
    release(pool, first);
    now_ms += 301; // 1000 after it was made, though not idle for long
    assert_int_equal(stats_of(pool).idle, 0);
    assert_int_equal(stats_of(pool).expired, 1);
    struct sbx_sandbox *second = acquire(pool);
    release(pool, second);
    now_ms += 400;
    assert_int_equal(stats_of(pool).expired, 2);
    wait_until(pool, 0, 0);
    sbx_pool_close(pool);
}

static void age_is_seen_without_anyone_asking(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    options.flags = SBX_POOL_REUSE;
    options.idle_ms = 30;
    struct sbx_pool *pool = open_pool(&options);
    release(pool, acquire(pool));
    for (int i = 0; i < 5000 && faulty_alive > 0; i++)
        usleep(1000);
    assert_int_equal(faulty_alive, 0);
    sbx_pool_close(pool);
}

static void a_dead_one_is_replaced(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    options.min_idle = 1;
    options.max_total = 1;
    struct sbx_pool *pool = open_pool(&options);
    assert_int_equal(sbx_pool_warm(pool, NULL, &err), 0);
    faulty_calls.info_failures = 1;
    faulty_calls.error = faulty_error(SBX_ERR_NOT_FOUND, 0, 0, 0);
    struct sbx_sandbox *sandbox = acquire(pool);
    assert_int_equal(stats_of(pool).dead, 1);
    assert_int_equal(stats_of(pool).busy, 1);
    struct sbx_info info = SBX_INFO_INIT;
    assert_int_equal(sbx_sandbox_info(sandbox, NULL, &info, &err), 0);
    release(pool, sandbox);
    sbx_pool_close(pool);
    options.flags = SBX_POOL_TRUST;
    pool = open_pool(&options);
    assert_int_equal(sbx_pool_warm(pool, NULL, &err), 0);
    int before = faulty_calls.infos;
    release(pool, acquire(pool));
    assert_int_equal(faulty_calls.infos, before);
    sbx_pool_close(pool);
}

static void a_failed_creation_gives_its_place_back(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    struct sbx_sandbox *sandbox;
    options.max_total = 1;
    struct sbx_pool *pool = open_pool(&options);
    a.failures = 1;
    a.error = faulty_error(SBX_ERR_AUTH, 0, 0, 0);
    assert_int_equal(sbx_pool_acquire(pool, NULL, NULL, &sandbox, &err), SBX_ERR_AUTH);
    assert_int_equal(stats_of(pool).failures, 1);
    release(pool, acquire(pool));
    sbx_pool_close(pool);
}

static void refilling_waits_after_a_failure(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    options.min_idle = 1;
    options.parallel = 1;
    options.clock = &slow;
    a.failures = 2;
    a.error = faulty_error(SBX_ERR_UNAVAILABLE, 0, 0, 0);
    struct sbx_pool *pool = open_pool(&options);
    while (stats_of(pool).failures == 0)
        usleep(500);
    usleep(20000);
    assert_int_equal(a.creates, 1); // time stands still: not tried again
    assert_int_equal(sbx_pool_warm(pool, NULL, &err), SBX_ERR_UNAVAILABLE); // but when asked to
    assert_int_equal(a.creates, 2);
    now_ms += 60000;
    assert_int_equal(sbx_pool_warm(pool, NULL, &err), 0);
    assert_int_equal(stats_of(pool).idle, 1);
    sbx_pool_close(pool);
}

static int prepare(void *payload, struct sbx_sandbox *sandbox, const struct sbx_call *call,
                   struct sbx_error *error)
{
    int *failures = payload;
    if (*failures > 0 && (*failures)--) {
        *error = faulty_error(SBX_ERR_IO, 0, 0, 0);
        return error->code;
    }
    return sbx_file_write(sandbox, "/tmp/prepared", "", 0, NULL, call, error);
}

static void fresh_ones_are_prepared(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    struct sbx_sandbox *sandbox;
    int failures = 1;
    char *data;
    options.prepare = prepare;
    options.payload = &failures;
    struct sbx_pool *pool = open_pool(&options);
    assert_int_equal(sbx_pool_acquire(pool, NULL, NULL, &sandbox, &err), SBX_ERR_IO);
    assert_int_equal(faulty_alive, 0);
    sandbox = acquire(pool);
    assert_int_equal(sbx_file_read(sandbox, "/tmp/prepared", NULL, NULL, &data, NULL, &err), 0);
    sbx_free(data);
    release(pool, sandbox);
    sbx_pool_close(pool);
}

static void closing_ends_everything(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    struct asker askers[4];
    options.max_total = 2;
    struct sbx_pool *pool = open_pool(&options);
    acquire(pool); // never released
    acquire(pool);
    start_askers(pool, askers, 4);
    sbx_pool_close(pool);
    for (int i = 0; i < 4; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_int_equal(askers[i].code, SBX_ERR_CONFLICT);
    }
    assert_int_equal(faulty_alive, 0);
}

static void closing_does_not_wait_for_slow_creations(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    options.min_idle = 4;
    a.create_ms = 3600 * 1000;
    struct sbx_pool *pool = open_pool(&options);
    while (a.making == 0)
        usleep(500);
    sbx_pool_close(pool);
    assert_int_equal(a.making, 0);
}

static void clearing_renews_the_warm_ones(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    options.min_idle = 2;
    struct sbx_pool *pool = open_pool(&options);
    assert_int_equal(sbx_pool_warm(pool, NULL, &err), 0);
    sbx_pool_clear(pool);
    wait_until(pool, 2, 0);
    assert_int_equal(stats_of(pool).created, 4);
    assert_int_equal(stats_of(pool).destroyed, 2);
    sbx_pool_close(pool);
}

static void a_forked_child_leaves_the_pool_alone(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    struct sbx_pool *pool = open_pool(&options);
    struct sbx_sandbox *sandbox = acquire(pool);
    pid_t child = fork();
    if (child == 0) {
        struct sbx_sandbox *other;
        int code = sbx_pool_acquire(pool, NULL, NULL, &other, &err);
        int again = sbx_pool_release(pool, sandbox, 0, &err);
        sbx_pool_close(pool);
        _exit(code == SBX_ERR_CONFLICT && again == SBX_ERR_CONFLICT ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    release(pool, sandbox);
    sbx_pool_close(pool);
}

static void wrong_options_are_refused(void **state)
{
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    struct sbx_pool *pool;
    struct sbx_spec spec = SBX_SPEC_INIT;
    options.min_idle = 11; // of 10
    assert_int_equal(sbx_pool_open(manager, &options, &pool, &err), SBX_ERR_INVALID);
    options.min_idle = 0;
    options.flags = 1 << 7;
    assert_int_equal(sbx_pool_open(manager, &options, &pool, &err), SBX_ERR_INVALID);
    options.flags = 0;
    spec.provider = "absent";
    options.spec = &spec;
    assert_int_equal(sbx_pool_open(manager, &options, &pool, &err), SBX_ERR_NOT_FOUND);
    spec.provider = NULL;
    spec.user = "not a user";
    assert_int_equal(sbx_pool_open(manager, &options, &pool, &err), SBX_ERR_INVALID);
    sbx_pool_close(NULL);
}

#define USERS 64
#define ROUNDS 60

struct user {
    struct sbx_pool *pool;
    unsigned number;
    int failed;
    pthread_t thread;
};

// Sandboxes of the fake are told apart by address while they are handed out.
static bool enter_alone(struct sbx_sandbox *sandbox)
{
    static struct sbx_sandbox *_Atomic holders[USERS];
    for (size_t i = 0; i < USERS; i++)
        if (atomic_load(&holders[i]) == sandbox)
            return false;
    for (size_t i = 0; i < USERS; i++) {
        struct sbx_sandbox *none = NULL;
        if (atomic_compare_exchange_strong(&holders[i], &none, sandbox)) {
            usleep(10);
            atomic_store(&holders[i], NULL);
            return true;
        }
    }
    return false;
}

static void *use(void *argument)
{
    struct user *user = argument;
    struct sbx_error own;
    for (unsigned i = 0; i < ROUNDS && !user->failed; i++) {
        char value[8];
        struct sbx_pair label = {"kind", value};
        struct sbx_spec spec = SBX_SPEC_INIT;
        struct sbx_sandbox *sandbox;
        snprintf(value, sizeof(value), "%u", (user->number + i) % 3);
        spec.labels = &label;
        spec.label_count = 1;
        bool kind = (user->number + i) % 4 != 0;
        if (sbx_pool_acquire(user->pool, kind ? &spec : NULL, NULL, &sandbox, &own) < 0) {
            user->failed = own.code;
            break;
        }
        if (!enter_alone(sandbox))
            user->failed = 1;
        if (sbx_pool_release(user->pool, sandbox, (user->number ^ i) % 5 == 0, &own) < 0)
            user->failed = 2;
    }
    return NULL;
}

static void many_users_never_share_a_sandbox(void **state)
{
    static struct user users[USERS];
    for (int reuse = 0; reuse < 2; reuse++) {
        struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
        options.flags = reuse ? SBX_POOL_REUSE : 0;
        options.max_total = 7;
        options.min_idle = 2;
        struct sbx_pool *pool = open_pool(&options);
        for (unsigned i = 0; i < USERS; i++) {
            users[i] = (struct user){.pool = pool, .number = i};
            pthread_create(&users[i].thread, NULL, use, &users[i]);
        }
        for (unsigned i = 0; i < USERS; i++) {
            pthread_join(users[i].thread, NULL);
            assert_int_equal(users[i].failed, 0);
        }
        struct sbx_pool_stats stats = stats_of(pool);
        assert_int_equal(stats.hits + stats.misses, USERS * ROUNDS);
        assert_int_equal(stats.busy, 0);
        assert_int_equal(stats.waiting, 0);
        assert_in_range(stats.idle + stats.creating + stats.ending, 0, 7);
        sbx_pool_close(pool);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_client, close_client)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(warm_ones_are_there_before_they_are_wanted),
        CASE(warm_ones_are_made_side_by_side),
        CASE(new_ones_are_made_side_by_side_by_their_callers),
        CASE(used_ones_come_back_only_if_asked_for),
        CASE(more_than_max_idle_do_not_stay),
        CASE(only_what_fits_is_handed_out),
        CASE(each_field_of_a_specification_makes_a_difference),
        CASE(a_full_pool_makes_room_by_ending_what_does_not_fit),
        CASE(waiting_ends_with_the_deadline),
        CASE(who_came_first_is_served_first),
        CASE(cancelling_ends_the_wait_and_takes_nothing),
        CASE(old_and_idle_ones_end),
        CASE(age_is_seen_without_anyone_asking),
        CASE(a_dead_one_is_replaced),
        CASE(a_failed_creation_gives_its_place_back),
        CASE(refilling_waits_after_a_failure),
        CASE(fresh_ones_are_prepared),
        CASE(closing_ends_everything),
        CASE(closing_does_not_wait_for_slow_creations),
        CASE(clearing_renews_the_warm_ones),
        CASE(a_forked_child_leaves_the_pool_alone),
        CASE(wrong_options_are_refused),
        CASE(many_users_never_share_a_sandbox),
    };
    unsetenv("SANDBOXES_PROVIDER");
    setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
