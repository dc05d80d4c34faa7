// SPDX-License-Identifier: Apache-2.0
// Contract: arguments that no provider may see, and calls that this provider lacks.
#include "contract.h"

// That a call is refused as INVALID with a message that names the field.
#define refuses(call, field)                                                                       \
    do {                                                                                           \
        fails(SBX_ERR_INVALID, (call));                                                            \
        if (!strstr(err.message, (field)))                                                         \
            fail_msg("'%s' is not named in: %s", (field), err.message);                            \
    } while (0)

static int try_create(const struct sbx_spec *spec)
{
    struct sbx_sandbox *sandbox = NULL;
    int code = sbx_sandbox_create(suite.client, spec, NULL, &sandbox, &err);
    if (code == 0)
        destroy(sandbox);
    return code;
}

static int try_run(const struct sbx_exec *exec)
{
    struct sbx_result result = {0};
    int code = sbx_run(suite.sandbox, exec, NULL, &result, &err);
    sbx_result_deinit(&result);
    return code;
}

static struct sbx_spec plain_spec(void)
{
    struct sbx_spec spec = SBX_SPEC_INIT;
    spec.provider = suite.provider;
    return spec;
}

static void an_unset_size_is_refused(void **state)
{
    struct sbx_spec spec = {0};
    struct sbx_exec exec = {0};
    struct sbx_info info = {0};
    refuses(try_create(&spec), "spec.size");
    refuses(try_run(&exec), "exec.size");
    refuses(sbx_sandbox_info(suite.sandbox, NULL, &info, &err), "ret_info.size");
}

static void an_older_caller_s_struct_is_accepted(void **state)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result;
    exec.shell = "echo old";
    exec.output_limit = 1;
    exec.size = offsetof(struct sbx_exec, output_limit);
    ok(sbx_run(suite.sandbox, &exec, NULL, &result, &err));
    assert_string_equal(result.out, "old\n");
    sbx_result_deinit(&result);
}

static void a_newer_caller_s_struct_is_accepted_if_what_is_new_is_zero(void **state)
{
    struct {
        struct sbx_exec exec;
        uint64_t later;
    } newer = {.exec = SBX_EXEC_INIT};
    newer.exec.size = sizeof(newer);
    newer.exec.shell = "true";
    ok(try_run(&newer.exec));
    newer.later = 1;
    fails(SBX_ERR_UNSUPPORTED, try_run(&newer.exec));
}

static void null_is_refused_where_something_is_needed(void **state)
{
    struct sbx_result result;
    refuses(sbx_sandbox_create(suite.client, NULL, NULL, NULL, &err), "ret_sandbox");
    refuses(sbx_run(NULL, NULL, NULL, &result, &err), "sandbox");
    refuses(sbx_run(suite.sandbox, NULL, NULL, &result, &err), "exec");
    refuses(sbx_file_read(suite.sandbox, NULL, NULL, NULL, NULL, NULL, &err), "path");
    refuses(sbx_sandbox_get(suite.client, suite.provider, NULL, NULL, NULL, &err), "ret_sandbox");
    refuses(sbx_sandbox_destroy(NULL, NULL, &err), "sandbox");
    assert_int_equal(sbx_sandbox_destroy(NULL, NULL, NULL), SBX_ERR_INVALID);
    sbx_sandbox_free(NULL);
    sbx_process_free(NULL);
    sbx_list_free(NULL);
    sbx_client_close(NULL);
}

static void bad_labels_are_refused(void **state)
{
    char long_name[65], long_value[258];
    memset(long_name, 'n', 64);
    memset(long_value, 'v', 257);
    long_name[64] = long_value[257] = '\0';
    const struct sbx_pair rows[] = {
        {NULL, "v"},   {"", "v"},        {"a b", "v"},      {"n", NULL},       {"n", "a\nb"},
        {"n", "\xff"}, {long_name, "v"}, {"n", long_value}, {"\xc3\xbc", "v"}, {"n", "\x7f"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sbx_spec spec = plain_spec();
        spec.labels = &rows[i];
        spec.label_count = 1;
        refuses(try_create(&spec), "spec.labels");
    }
    struct sbx_pair twice[] = {{"n", "1"}, {"n", "2"}};
    struct sbx_spec spec = plain_spec();
    spec.labels = twice;
    spec.label_count = 2;
    refuses(try_create(&spec), "spec.labels");
}

static void bad_variables_are_refused(void **state)
{
    const struct sbx_pair rows[] = {{NULL, "v"}, {"", "v"}, {"A=B", "v"}, {"A", NULL}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sbx_exec exec = SBX_EXEC_INIT;
        exec.shell = "true";
        exec.env = &rows[i];
        exec.env_count = 1;
        refuses(try_run(&exec), "exec.env");
    }
}

static void bad_specs_are_refused(void **state)
{
    struct sbx_spec spec = plain_spec();
#define REFUSE_SPEC(field, value, name)                                                            \
    do {                                                                                           \
        spec = plain_spec();                                                                       \
        spec.field = (value);                                                                      \
        refuses(try_create(&spec), name);                                                          \
    } while (0)
    REFUSE_SPEC(workdir, "relative", "spec.workdir");
    REFUSE_SPEC(image, "", "spec.image");
    REFUSE_SPEC(user, "a b", "spec.user");
    REFUSE_SPEC(hostname, "under_score", "spec.hostname");
    REFUSE_SPEC(lifetime, 9, "spec.lifetime");
    REFUSE_SPEC(network, 99, "spec.network");
    REFUSE_SPEC(network, SBX_NETWORK_ALLOW, "spec.allow");
    REFUSE_SPEC(ttl_ms, -2, "spec.ttl_ms");
    REFUSE_SPEC(reserved, 1, "spec.reserved");
    REFUSE_SPEC(env_count, 1, "spec.env");
    struct sbx_mount mount = {"relative", "/mnt", 0};
    struct sbx_port port = {0, 0};
    spec = plain_spec();
    spec.mounts = &mount;
    spec.mount_count = 1;
    refuses(try_create(&spec), "spec.mounts");
    spec = plain_spec();
    spec.ports = &port;
    spec.port_count = 1;
    refuses(try_create(&spec), "spec.ports");
}

static void bad_commands_are_refused(void **state)
{
    const char *argv[] = {""}, *both[] = {"true"};
    struct sbx_exec exec = SBX_EXEC_INIT;
    refuses(try_run(&exec), "neither argv nor shell");
    exec.argv = argv;
    exec.argc = 1;
    refuses(try_run(&exec), "exec.argv[0]");
    exec.argv = both;
    exec.shell = "true";
    refuses(try_run(&exec), "exec.shell");
    exec = (struct sbx_exec)SBX_EXEC_INIT;
    exec.shell = "true";
    exec.cwd = "tmp";
    refuses(try_run(&exec), "exec.cwd");
    exec.cwd = NULL;
    exec.flags = 1u << 30;
    refuses(try_run(&exec), "exec.flags");
    exec.flags = SBX_EXEC_STDIN;
    refuses(try_run(&exec), "SBX_EXEC_STDIN");
    exec.flags = 0;
    exec.timeout_ms = -1;
    refuses(try_run(&exec), "exec.timeout_ms");
}

static void bad_ids_are_refused(void **state)
{
    static const char *const ids[] = {"", "../x", "a/b", "-x", ".", "a b", "a\nb"};
    struct sbx_sandbox *sandbox;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        refuses(sbx_sandbox_get(suite.client, suite.provider, ids[i], NULL, &sandbox, &err), "id");
}

static void finding_needs_labels(void **state)
{
    struct sbx_sandbox *sandbox;
    struct sbx_spec spec = plain_spec();
    refuses(sbx_sandbox_find(suite.client, suite.provider, NULL, 0, NULL, &sandbox, &err),
            "labels");
    refuses(sbx_sandbox_get_or_create(suite.client, &spec, NULL, &sandbox, NULL, &err),
            "spec.labels");
}

static void a_negative_deadline_is_refused(void **state)
{
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_info info = SBX_INFO_INIT;
    call.timeout_ms = -1;
    refuses(sbx_sandbox_info(suite.sandbox, &call, &info, &err), "call.timeout_ms");
}

static void an_unknown_provider_is_not_found(void **state)
{
    struct sbx_spec spec = SBX_SPEC_INIT;
    spec.provider = "no-such-provider";
    fails(SBX_ERR_NOT_FOUND, try_create(&spec));
    assert_non_null(strstr(err.remedy, suite.provider));
}

// The provider and the capability are named, so that people can choose another one.
static void expect_unsupported(int code, const char *capability)
{
    fails(SBX_ERR_UNSUPPORTED, code);
    assert_non_null(strstr(err.message, suite.provider));
    assert_non_null(strstr(err.remedy, capability));
    assert_string_equal(err.origin, suite.provider);
}

static void lacking_pause_is_told(void **state)
{
    expect_unsupported(sbx_sandbox_pause(suite.sandbox, NULL, &err), "pause");
    expect_unsupported(sbx_sandbox_resume(suite.sandbox, NULL, &err), "pause");
}

static void lacking_snapshots_is_told(void **state)
{
    struct sbx_sandbox *made = NULL;
    expect_unsupported(sbx_sandbox_snapshot(suite.sandbox, "x", NULL, &err), "snapshot");
    expect_unsupported(sbx_sandbox_fork(suite.sandbox, NULL, NULL, &made, &err), "snapshot");
    expect_unsupported(sbx_snapshot_remove(suite.client, suite.provider, "x", NULL, &err),
                       "snapshot");
}

static void lacking_watches_is_told(void **state)
{
    struct sbx_watch *made = NULL;
    expect_unsupported(sbx_watch_start(suite.sandbox, "/tmp", NULL, NULL, &made, &err), "watch");
}

static void lacking_ports_is_told(void **state)
{
    char url[64];
    struct sbx_port port = {.port = 80};
    struct sbx_spec spec = plain_spec();
    expect_unsupported(sbx_sandbox_expose(suite.sandbox, &port, NULL, url, sizeof(url), &err),
                       "ports");
    spec.ports = &port;
    spec.port_count = 1;
    expect_unsupported(try_create(&spec), "ports");
}

static void lacking_limits_is_told(void **state)
{
    struct sbx_spec spec = plain_spec();
    spec.memory_bytes = 1 << 30;
    expect_unsupported(try_create(&spec), "limits");
}

static void lacking_network_is_told(void **state)
{
    struct sbx_spec spec = plain_spec();
    spec.network = SBX_NETWORK_NONE;
    expect_unsupported(try_create(&spec), "network");
}

static void lacking_mounts_is_told(void **state)
{
    struct sbx_mount mount = {"/tmp", "/mnt", 0};
    struct sbx_spec spec = plain_spec();
    spec.mounts = &mount;
    spec.mount_count = 1;
    expect_unsupported(try_create(&spec), "mounts");
}

static void lacking_gpu_is_told(void **state)
{
    struct sbx_spec spec = plain_spec();
    spec.gpu = "A100";
    expect_unsupported(try_create(&spec), "gpu");
}

static void lacking_ttl_is_told(void **state)
{
    expect_unsupported(sbx_sandbox_set_ttl(suite.sandbox, 1000, NULL, &err), "ttl");
}

static void lacking_terminals_is_told(void **state)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    exec.shell = "true";
    exec.flags = SBX_EXEC_PTY;
    expect_unsupported(try_run(&exec), "pty");
}

#define LACKS(function, capabilities)                                                              \
    {                                                                                              \
#function, function, 0, capabilities                                                       \
    }

const struct contract_case argument_cases[] = {
    CASE(an_unset_size_is_refused, 0),
    CASE(an_older_caller_s_struct_is_accepted, 0),
    CASE(a_newer_caller_s_struct_is_accepted_if_what_is_new_is_zero, 0),
    CASE(null_is_refused_where_something_is_needed, 0),
    CASE(bad_labels_are_refused, 0),
    CASE(bad_variables_are_refused, 0),
    CASE(bad_specs_are_refused, 0),
    CASE(bad_commands_are_refused, 0),
    CASE(bad_ids_are_refused, 0),
    CASE(finding_needs_labels, 0),
    CASE(a_negative_deadline_is_refused, 0),
    CASE(an_unknown_provider_is_not_found, 0),
    LACKS(lacking_pause_is_told, SBX_CAP_PAUSE),
    LACKS(lacking_snapshots_is_told, SBX_CAP_SNAPSHOT),
    LACKS(lacking_watches_is_told, SBX_CAP_WATCH),
    LACKS(lacking_ports_is_told, SBX_CAP_PORTS),
    LACKS(lacking_limits_is_told, SBX_CAP_LIMITS),
    LACKS(lacking_network_is_told, SBX_CAP_NETWORK),
    LACKS(lacking_mounts_is_told, SBX_CAP_MOUNTS),
    LACKS(lacking_gpu_is_told, SBX_CAP_GPU),
    LACKS(lacking_ttl_is_told, SBX_CAP_TTL),
    LACKS(lacking_terminals_is_told, SBX_CAP_PTY),
    {0},
};
