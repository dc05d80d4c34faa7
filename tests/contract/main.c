// SPDX-License-Identifier: Apache-2.0
// Contract: usage: test_contract PROVIDER [CASE...] [-CASE...]
#include "contract.h"

#include <time.h>

struct suite suite;
struct sbx_error err;

void expect_ok(int code, const char *call, const char *file, int line)
{
    if (code == 0)
        return;
    print_error("%s = %s: %s (%s)\n", call, sbx_code_name(code), err.message, err.remedy);
    _fail(file, line);
}

void expect_code(int want, int code, const char *call, const char *file, int line)
{
    if (code != want) {
        print_error("%s = %s, wanted %s: %s\n", call, sbx_code_name(code), sbx_code_name(want),
                    code < 0 ? err.message : "");
        _fail(file, line);
    }
    if (code == 0)
        return;
    if (err.code != code || !err.message[0] || !err.remedy[0]) {
        print_error("%s: the error is not filled in\n", call);
        _fail(file, line);
    }
}

void skip_if_lacking(int code)
{
    if (code != SBX_ERR_SETUP && (code != SBX_ERR_UNSUPPORTED || geteuid() == 0))
        return;
    print_message("# skipped: %s (%s)\n", err.message, err.remedy);
    skip();
}

void need_other_users(void)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result = {0};
    exec.shell = "true";
    exec.user = "root";
    skip_if_lacking(sbx_run(suite.sandbox, &exec, NULL, &result, &err));
    sbx_result_deinit(&result);
}

struct sbx_spec spec_with(const char *name, const char *value)
{
    static struct sbx_pair labels[2];
    struct sbx_spec spec = SBX_SPEC_INIT;
    spec.provider = suite.provider;
    if (suite.capabilities & SBX_CAP_LABELS) {
        labels[0] = (struct sbx_pair){"contract", suite.run};
        labels[1] = (struct sbx_pair){name, value};
        spec.labels = labels;
        spec.label_count = name ? 2 : 1;
    }
    if (suite.capabilities & SBX_CAP_TTL)
        spec.ttl_ms = 600000; // so that nothing stays if this program dies
    return spec;
}

struct sbx_sandbox *create(const struct sbx_spec *spec)
{
    struct sbx_sandbox *sandbox = NULL;
    ok(sbx_sandbox_create(suite.client, spec, NULL, &sandbox, &err));
    assert_non_null(sandbox);
    return sandbox;
}

struct sbx_sandbox *create_plain(void)
{
    struct sbx_spec spec = spec_with(NULL, NULL);
    return create(&spec);
}

void destroy(struct sbx_sandbox *sandbox)
{
    ok(sbx_sandbox_destroy(sandbox, NULL, &err));
    sbx_sandbox_free(sandbox);
}

size_t living(const char *name, const char *value)
{
    struct sbx_spec spec = spec_with(name, value);
    struct sbx_list list;
    ok(sbx_sandbox_list(suite.client, suite.provider, spec.labels, spec.label_count, NULL, &list,
                        &err));
    size_t count = list.count;
    sbx_list_free(&list);
    return count;
}

bool gone_within(const char *id, int seconds)
{
    const struct timespec pause = {0, 20000000};
    for (int i = 0; i < seconds * 50; i++) {
        struct sbx_sandbox *sandbox;
        int code = sbx_sandbox_get(suite.client, suite.provider, id, NULL, &sandbox, &err);
        if (code == SBX_ERR_NOT_FOUND)
            return true;
        if (code == 0)
            sbx_sandbox_free(sandbox);
        nanosleep(&pause, NULL);
    }
    return false;
}

const struct sbx_result *run(struct sbx_sandbox *sandbox, const struct sbx_exec *exec)
{
    static struct sbx_result result;
    sbx_result_deinit(&result);
    ok(sbx_run(sandbox, exec, NULL, &result, &err));
    return &result;
}

const struct sbx_result *sh(struct sbx_sandbox *sandbox, const char *line)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    exec.shell = line;
    return run(sandbox, &exec);
}

void expect_out(const struct sbx_result *result, const char *out)
{
    assert_string_equal(result->err, "");
    assert_string_equal(result->out, out);
    assert_int_equal(result->out_size, strlen(out));
    assert_int_equal(result->outcome.exit_code, 0);
    assert_int_equal(result->outcome.signal, 0);
    assert_int_equal(result->outcome.flags, 0);
}

void read_until(struct sbx_process *process, const char *text)
{
    char seen[4096] = "";
    size_t used = 0;
    while (!strstr(seen, text)) {
        struct sbx_event event;
        ok(sbx_process_read(process, NULL, &event, &err));
        assert_int_equal(event.kind, SBX_EVENT_OUTPUT);
        assert_true(used + event.size < sizeof(seen));
        memcpy(seen + used, event.data, event.size);
        used += event.size;
        seen[used] = '\0';
    }
}

struct sbx_outcome read_to_end(struct sbx_process *process)
{
    struct sbx_event event = {0};
    while (event.kind != SBX_EVENT_EXIT)
        ok(sbx_process_read(process, NULL, &event, &err));
    return event.outcome;
}

char *pattern(size_t size)
{
    char *data = malloc(size + 1);
    assert_non_null(data);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 2654435761u >> 24 ^ i);
    return data;
}

// Ends what a failed case has left, but not the shared sandbox.
static int sweep(void **state)
{
    struct sbx_list list;
    struct sbx_spec spec = spec_with(NULL, NULL);
    if (!(suite.capabilities & SBX_CAP_LABELS) ||
        sbx_sandbox_list(suite.client, suite.provider, spec.labels, spec.label_count, NULL, &list,
                         &err) < 0)
        return 0;
    for (size_t i = 0; i < list.count; i++) {
        struct sbx_sandbox *sandbox;
        if (suite.sandbox && strcmp(list.items[i].id, sbx_sandbox_id(suite.sandbox)) == 0)
            continue;
        if (sbx_sandbox_get(suite.client, suite.provider, list.items[i].id, NULL, &sandbox, &err) <
            0)
            continue;
        sbx_sandbox_destroy(sandbox, NULL, &err);
        sbx_sandbox_free(sandbox);
    }
    sbx_list_free(&list);
    return 0;
}

static int begin(void **state)
{
    suite.sandbox = create_plain();
    return 0;
}

static int end(void **state)
{
    if (suite.sandbox)
        destroy(suite.sandbox);
    suite.sandbox = NULL;
    return sweep(state);
}

static int open_client(void)
{
    struct sbx_client_options options = SBX_CLIENT_OPTIONS_INIT;
    options.provider = suite.provider;
    if (sbx_client_open(&options, &suite.client, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    for (size_t i = 0; i < sbx_provider_count(suite.client); i++) {
        struct sbx_provider_info info = SBX_PROVIDER_INFO_INIT;
        if (sbx_provider_get(suite.client, i, &info, &err) < 0 ||
            strcmp(info.name, suite.provider) != 0)
            continue;
        suite.capabilities = info.capabilities;
        if (info.configured)
            return 0;
        fprintf(stderr, "provider %s can't be used here: %s; %s\n", info.name, info.reason,
                info.remedy);
        return 77;
    }
    return 1;
}

// What a second process does for a case: gets or creates, prints the id, and stays until it is
// told.
static int helper(const char *mode, const char *label)
{
    struct sbx_spec spec = spec_with("case", label);
    struct sbx_sandbox *sandbox;
    if (strcmp(mode, "tied") == 0)
        spec.lifetime = SBX_LIFETIME_TIED;
    if (sbx_sandbox_get_or_create(suite.client, &spec, NULL, &sandbox, NULL, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("%s\n", sbx_sandbox_id(sandbox));
    fflush(stdout);
    sbx_sandbox_free(sandbox);
    if (strcmp(mode, "tied") == 0)
        getchar();
    return 0;
}

static bool wanted(const struct contract_case *row, int argc, char **argv)
{
    if ((row->needs & ~suite.capabilities) || (row->absent & suite.capabilities))
        return false;
    bool chosen = argc <= 2 || argv[2][0] == '-';
    for (int i = 2; i < argc; i++)
        if (argv[i][0] != '-')
            chosen |= strstr(row->name, argv[i]) != NULL;
        else if (strstr(row->name, argv[i] + 1))
            return false;
    return chosen;
}

int main(int argc, char **argv)
{
    static const struct contract_case *const groups[] = {argument_cases, sandbox_cases, run_cases,
                                                         process_cases,  file_cases,    tree_cases,
                                                         watch_cases,    snapshot_cases};
    static struct CMUnitTest tests[512];
    size_t count = 0;
    if (argc < 2)
        return 2;
    suite.self = argv[0];
    suite.provider = argv[1];
    int code = open_client();
    if (code)
        return code;
    if (argc == 5 && strcmp(argv[2], "--helper") == 0) {
        snprintf(suite.run, sizeof(suite.run), "%s", getenv("CONTRACT_RUN"));
        return helper(argv[3], argv[4]);
    }
    snprintf(suite.run, sizeof(suite.run), "%ld-%ld", (long)getpid(), (long)time(NULL));
    setenv("CONTRACT_RUN", suite.run, 1);
    for (size_t group = 0; group < sizeof(groups) / sizeof(groups[0]); group++)
        for (const struct contract_case *row = groups[group]; row->name; row++)
            if (wanted(row, argc, argv))
                tests[count++] = (struct CMUnitTest){row->name, row->test, NULL, sweep, NULL};
    int failed = _cmocka_run_group_tests(suite.provider, tests, count, begin, end);
    if (suite.capabilities & SBX_CAP_LABELS)
        failed += living(NULL, NULL) != 0;
    sbx_client_close(suite.client);
    return failed ? 1 : 0;
}
