// SPDX-License-Identifier: Apache-2.0
/*
 * Unit: out of memory is an error, wherever it strikes. A round through the library with the
 * provider "fake" is repeated, each time with another allocation failing, once or from then on.
 * Linked with --wrap.
 */
#include "unit.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include <sandboxes/sandboxes.h>

static atomic_long countdown = -1; // allocations that still succeed; negative: all
static atomic_bool persistent;

static bool fails_now(void)
{
    if (atomic_load(&countdown) < 0)
        return false;
    long before = atomic_fetch_sub(&countdown, 1);
    if (before > 0)
        return false;
    if (persistent)
        atomic_store(&countdown, 0);
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails_now() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return fails_now() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
    return fails_now() ? NULL : __real_strndup(text, size);
}

static struct sbx_error err;

static int use_files(struct sbx_sandbox *sandbox)
{
    struct sbx_file_list list;
    char *data = NULL;
    int code = sbx_file_write(sandbox, "/tmp/a/b", "text", 4, NULL, NULL, &err);
    if (code == 0)
        code = sbx_file_read(sandbox, "/tmp/a/b", NULL, NULL, &data, NULL, &err);
    sbx_free(data);
    if (code == 0)
        code = sbx_file_list(sandbox, "/tmp/a", NULL, NULL, &list, &err);
    if (code == 0)
        sbx_file_list_free(&list);
    if (code == 0)
        code = sbx_file_rename(sandbox, "/tmp/a/b", "/tmp/a/c", NULL, NULL, &err);
    return code;
}

static int use_commands(struct sbx_sandbox *sandbox)
{
    static const char input[10000] = "input";
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result;
    struct sbx_process *process;
    struct sbx_process_list list;
    exec.shell = "cat; echo \"$HOME\" >&2";
    exec.input = input;
    exec.input_size = sizeof(input);
    int code = sbx_run(sandbox, &exec, NULL, &result, &err);
    if (code == 0)
        sbx_result_deinit(&result);
    if (code == 0)
        code = sbx_process_start(sandbox, &exec, NULL, &process, &err);
    if (code < 0)
        return code;
    code = sbx_process_list(sandbox, NULL, &list, &err);
    if (code == 0)
        sbx_process_list_free(&list);
    sbx_process_free(process);
    return code;
}

static int use_sandbox(struct sbx_client *client)
{
    struct sbx_pair pair = {"k", "v"};
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_sandbox *sandbox = NULL;
    spec.labels = spec.env = &pair;
    spec.label_count = spec.env_count = 1;
    int code = sbx_sandbox_get_or_create(client, &spec, NULL, &sandbox, NULL, &err);
    if (code < 0)
        return code;
    code = use_files(sandbox);
    if (code == 0)
        code = use_commands(sandbox);
    if (code == 0)
        code = sbx_sandbox_destroy(sandbox, NULL, &err);
    sbx_sandbox_free(sandbox);
    return code;
}

static int use_many(struct sbx_manager *manager)
{
    struct sbx_pair pair = {"k", "v"};
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_made made[2];
    struct sbx_sandbox *sandboxes[2];
    struct sbx_error errors[2];
    spec.labels = &pair;
    spec.label_count = 1;
    int code = sbx_create_many(manager, &spec, 1, 2, NULL, NULL, made, &err);
    if (code < 0 && !made[0].sandbox && !made[1].sandbox)
        return code;
    for (int i = 0; i < 2; i++)
        sandboxes[i] = made[i].sandbox;
    int ended = sbx_destroy_many(sandboxes, 2, NULL, NULL, errors, code ? NULL : &err);
    return code < 0 ? code : ended;
}

static int use_pool(struct sbx_manager *manager)
{
    struct sbx_pair pairs[] = {{"k", "v"}, {"a", "b"}};
    struct sbx_spec spec = SBX_SPEC_INIT, other = SBX_SPEC_INIT;
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    struct sbx_pool *pool;
    struct sbx_sandbox *sandbox;
    spec.labels = pairs;
    spec.label_count = 2;
    other.env = pairs;
    other.env_count = 2;
    options.spec = &spec;
    options.flags = SBX_POOL_REUSE;
    int code = sbx_pool_open(manager, &options, &pool, &err);
    if (code < 0)
        return code;
    for (int i = 0; i < 3 && code == 0; i++) {
        code = sbx_pool_acquire(pool, i < 2 ? NULL : &other, NULL, &sandbox, &err);
        if (code == 0)
            code = sbx_pool_release(pool, sandbox, 0, &err);
    }
    sbx_pool_close(pool);
    return code;
}

static int use_manager(struct sbx_client *client)
{
    static const char *const names[] = {"modal", "fake"};
    struct sbx_manager_options options = SBX_MANAGER_OPTIONS_INIT;
    struct sbx_manager *manager;
    options.providers = names;
    options.provider_count = 2;
    int code = sbx_manager_open(client, &options, &manager, &err);
    if (code < 0)
        return code;
    code = use_pool(manager);
    if (code == 0)
        code = use_many(manager);
    sbx_manager_close(manager);
    return code;
}

static int go_round(void)
{
    struct sbx_client_options options = SBX_CLIENT_OPTIONS_INIT;
    struct sbx_client *client = NULL;
    options.provider = "fake";
    int code = sbx_client_open(&options, &client, &err);
    if (code < 0)
        return code;
    code = use_sandbox(client);
    if (code == 0)
        code = use_manager(client);
    sbx_client_close(client);
    return code;
}

// Until a round needs fewer allocations than the one that is to fail.
static void fail_each(bool from_then_on)
{
    long left = 0, failed = 0;
    persistent = from_then_on;
    for (long nth = 0; left <= 0; nth++) {
        assert_true(nth < 5000);
        atomic_store(&countdown, nth);
        memset(&err, 0, sizeof(err));
        int code = go_round();
        left = atomic_exchange(&countdown, -1);
        // A thread of the fake's may have made fewer this time; what matters is the error.
        if (code != 0 && code != SBX_ERR_NOMEM)
            fail_msg("allocation %ld: %s: %s", nth, sbx_code_name(code), err.message);
        failed += code != 0;
        if (code)
            assert_int_equal(err.code, code);
    }
    assert_true(failed > 40);
    assert_int_equal(go_round(), 0);
}

static void one_failing_allocation_is_an_error(void **state)
{
    fail_each(false);
}

static void no_memory_from_some_point_on_is_an_error(void **state)
{
    fail_each(true);
}

int main(void)
{
    setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_failing_allocation_is_an_error),
        cmocka_unit_test(no_memory_from_some_point_on_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
