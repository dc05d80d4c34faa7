// SPDX-License-Identifier: Apache-2.0
// Unit: core/client: which provider is used, own providers, faults of the provider "fake".
#include "unit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sandboxes/sandboxes.h>

extern const struct sbx_provider_ops provider_fake;

static struct sbx_error err;
static char directory[] = "/tmp/test-client-XXXXXX";
static char config_path[128];

static struct sbx_client *open_with(const char *config, const char *provider)
{
    struct sbx_client_options options = SBX_CLIENT_OPTIONS_INIT;
    struct sbx_client *client = NULL;
    options.provider = provider;
    if (config) {
        FILE *file = fopen(config_path, "w");
        fputs(config, file);
        fclose(file);
        chmod(config_path, 0600);
        options.config_path = config_path;
    }
    return sbx_client_open(&options, &client, &err) == 0 ? client : NULL;
}

static void expect_default(const char *config, const char *option, const char *want)
{
    struct sbx_client *client = open_with(config, option);
    assert_non_null(client);
    assert_string_equal(sbx_client_default_provider(client), want);
    sbx_client_close(client);
}

static void the_default_is_the_option_then_the_environment_then_the_file_then_local(void **state)
{
    unsetenv("SANDBOXES_PROVIDER");
    expect_default(NULL, NULL, "local");
    expect_default("provider = 'fake'", NULL, "fake");
    setenv("SANDBOXES_PROVIDER", "", 1);
    expect_default("provider = 'fake'", NULL, "fake");
    setenv("SANDBOXES_PROVIDER", "fake", 1);
    expect_default("provider = 'absent'", NULL, "fake");
    setenv("SANDBOXES_PROVIDER", "absent", 1);
    expect_default(NULL, "fake", "fake");
    assert_null(open_with(NULL, NULL));
    assert_int_equal(err.code, SBX_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "SANDBOXES_PROVIDER"));
    unsetenv("SANDBOXES_PROVIDER");
    assert_null(open_with("provider = 'absent'", NULL));
    assert_non_null(strstr(err.message, config_path));
}

static void unknown_settings_are_refused(void **state)
{
    static const char *const rows[] = {"providr = 'fake'", "provider = 1", "[other]\na = 1",
                                       "[provider]\na = 1", "[provider.a.b]\nc = 1"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_null(open_with(rows[i], "fake"));
        assert_int_equal(err.code, SBX_ERR_INVALID);
        assert_non_null(strstr(err.message, config_path));
    }
}

static struct sbx_provider_info info_of(struct sbx_client *client, const char *name)
{
    for (size_t i = 0; i < sbx_provider_count(client); i++) {
        struct sbx_provider_info info = SBX_PROVIDER_INFO_INIT;
        assert_int_equal(sbx_provider_get(client, i, &info, &err), 0);
        if (strcmp(info.name, name) == 0)
            return info;
    }
    fail_msg("no provider %s", name);
    return (struct sbx_provider_info){0};
}

static void providers_say_whether_they_can_be_used(void **state)
{
    struct sbx_client *client = open_with("[provider.fake]\nconfigured = false", "fake");
    struct sbx_provider_info info = info_of(client, "fake");
    assert_int_equal(info.configured, 0);
    assert_true(info.reason[0] && info.remedy[0] && info.description[0]);
    assert_true(info.capabilities & SBX_CAP_FILES);
    struct sbx_provider_info none = SBX_PROVIDER_INFO_INIT;
    assert_int_equal(sbx_provider_get(client, 1000, &none, &err), SBX_ERR_NOT_FOUND);
    sbx_client_close(client);
}

static void settings_that_a_provider_refuses_show_in_its_info(void **state)
{
    struct sbx_client *client = open_with("[provider.fake]\ncreate_error = 'NONSENSE'", "fake");
    struct sbx_provider_info info = info_of(client, "fake");
    assert_int_equal(info.configured, 0);
    assert_non_null(strstr(info.reason, "NONSENSE"));
    struct sbx_sandbox *sandbox;
    assert_int_equal(sbx_sandbox_create(client, NULL, NULL, &sandbox, &err), SBX_ERR_INVALID);
    assert_string_equal(err.origin, "fake");
    sbx_client_close(client);
    client = open_with("[provider.fake]\n\ncreate_eror = 'IO'", "fake");
    info = info_of(client, "fake");
    assert_non_null(
        strstr(info.reason, "config.toml:3: [provider.fake] has no setting 'create_eror'"));
    sbx_client_close(client);
}

static struct sbx_provider_ops renamed(const char *name)
{
    struct sbx_provider_ops ops = provider_fake;
    ops.name = name;
    return ops;
}

static void a_program_can_add_its_own_provider(void **state)
{
    struct sbx_provider_ops ops = renamed("mine"), bad = renamed("Bad name"),
                            poor = renamed("poor");
    struct sbx_client *client = open_with("[provider.mine]\nmax_sandboxes = 1", "fake");
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_sandbox *sandbox, *found;
    assert_int_equal(sbx_client_add_provider(client, &ops, &err), 0);
    assert_int_equal(sbx_client_add_provider(client, &ops, &err), SBX_ERR_CONFLICT);
    assert_int_equal(sbx_client_add_provider(client, &bad, &err), SBX_ERR_INVALID);
    poor.destroy = NULL;
    assert_int_equal(sbx_client_add_provider(client, &poor, &err), SBX_ERR_INVALID);
    spec.provider = "mine";
    assert_int_equal(sbx_sandbox_create(client, &spec, NULL, &sandbox, &err), 0);
    assert_string_equal(sbx_sandbox_provider(sandbox), "mine");
    assert_int_equal(sbx_sandbox_create(client, &spec, NULL, &found, &err), SBX_ERR_QUOTA);
    assert_string_equal(err.origin, "mine");
    // Found without saying where.
    assert_int_equal(sbx_sandbox_get(client, NULL, sbx_sandbox_id(sandbox), NULL, &found, &err), 0);
    assert_string_equal(sbx_sandbox_provider(found), "mine");
    sbx_sandbox_free(found);
    assert_int_equal(sbx_sandbox_get(client, "fake", sbx_sandbox_id(sandbox), NULL, &found, &err),
                     SBX_ERR_NOT_FOUND);
    sbx_sandbox_free(sandbox);
    sbx_client_close(client);
}

static int closed; // how often, and of which payload
static void *closed_payload;

static void note_close(void *provider)
{
    closed++;
    closed_payload = provider;
}

static int probe_object(void *provider, struct sbx_provider_info *ret_info, struct sbx_error *error)
{
    assert_string_equal(provider, "object");
    ret_info->configured = 1;
    return 0;
}

static int list_nothing(void *provider, const struct sbx_pair *labels, size_t label_count,
                        const struct sbx_call *call, struct sbx_list *ret_list,
                        struct sbx_error *error)
{
    assert_string_equal(provider, "object");
    *ret_list = (struct sbx_list){.count = 0};
    return 0;
}

static void ignore_list(struct sbx_list *list)
{
}

static void a_living_object_can_be_a_provider(void **state)
{
    char name[] = "own", description[] = "own object", object[] = "object";
    struct sbx_provider_ops ops = renamed(name);
    struct sbx_client *client = open_with(NULL, "fake");
    struct sbx_list list;
    ops.description = description;
    ops.open = NULL;
    ops.close = note_close;
    ops.probe = probe_object;
    ops.list = list_nothing;
    ops.list_free = ignore_list;
    closed = 0;
    assert_int_equal(sbx_client_register_provider(client, &ops, object, &err), 0);
    assert_int_equal(sbx_client_register_provider(client, &ops, object, &err), SBX_ERR_CONFLICT);
    assert_int_equal(sbx_client_add_provider(client, &ops, &err), SBX_ERR_INVALID); // no open
    assert_int_equal(closed, 0);
    // The strings are the library's own.
    memset(name, 'x', sizeof(name) - 1);
    memset(description, 'x', sizeof(description) - 1);
    assert_string_equal(info_of(client, "own").description, "own object");
    assert_int_equal(sbx_client_set_default(client, "absent", &err), SBX_ERR_NOT_FOUND);
    assert_int_equal(sbx_client_set_default(client, "own", &err), 0);
    assert_string_equal(sbx_client_default_provider(client), "own");
    assert_int_equal(sbx_sandbox_list(client, "own", NULL, 0, NULL, &list, &err), 0);
    sbx_list_free(&list);
    sbx_client_close(client);
    assert_int_equal(closed, 1);
    assert_ptr_equal(closed_payload, object);
}

static void an_older_provider_s_table_lacks_what_is_newer(void **state)
{
    struct sbx_provider_ops ops = renamed("old");
    struct sbx_client *client = open_with(NULL, "fake");
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_sandbox *sandbox;
    char *data;
    ops.size = offsetof(struct sbx_provider_ops, file_write);
    assert_int_equal(sbx_client_add_provider(client, &ops, &err), 0);
    spec.provider = "old";
    assert_int_equal(sbx_sandbox_create(client, &spec, NULL, &sandbox, &err), 0);
    assert_int_equal(sbx_file_read(sandbox, "/x", NULL, NULL, &data, NULL, &err),
                     SBX_ERR_UNSUPPORTED);
    sbx_sandbox_free(sandbox);
    sbx_client_close(client);
}

static void lists_of_all_providers_are_merged_oldest_first(void **state)
{
    struct sbx_provider_ops ops = renamed("mine");
    struct sbx_client *client = open_with(NULL, "fake");
    struct sbx_sandbox *sandboxes[3];
    assert_int_equal(sbx_client_add_provider(client, &ops, &err), 0);
    const char *where[] = {"fake", "mine", "fake"};
    for (int i = 0; i < 3; i++) {
        struct sbx_spec spec = SBX_SPEC_INIT;
        struct sbx_pair label = {"test", "merge"};
        spec.provider = where[i];
        spec.labels = &label;
        spec.label_count = 1;
        assert_int_equal(sbx_sandbox_create(client, &spec, NULL, &sandboxes[i], &err), 0);
        usleep(2000);
    }
    struct sbx_list list;
    struct sbx_pair label = {"test", "merge"};
    assert_int_equal(sbx_sandbox_list(client, NULL, &label, 1, NULL, &list, &err), 0);
    assert_int_equal(list.count, 3);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(list.items[i].id, sbx_sandbox_id(sandboxes[i]));
        assert_string_equal(list.items[i].provider, where[i]);
        sbx_sandbox_free(sandboxes[i]);
    }
    sbx_list_free(&list);
    sbx_client_close(client);
}

static void injected_failures_come_first_and_then_end(void **state)
{
    struct sbx_client *client = open_with("[provider.fake]\n"
                                          "create_failures = 2\n"
                                          "create_error = 'QUOTA'\n"
                                          "retry_after_ms = 250\n"
                                          "exec_failures = 1\n",
                                          "fake");
    struct sbx_sandbox *sandbox = NULL;
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sbx_sandbox_create(client, NULL, NULL, &sandbox, &err), SBX_ERR_QUOTA);
        assert_int_equal(err.retry_after_ms, 250);
    }
    assert_int_equal(sbx_sandbox_create(client, NULL, NULL, &sandbox, &err), 0);
    exec.shell = "echo x";
    assert_int_equal(sbx_run(sandbox, &exec, NULL, &result, &err), SBX_ERR_UNAVAILABLE);
    assert_int_equal(sbx_run(sandbox, &exec, NULL, &result, &err), 0);
    sbx_result_deinit(&result);
    sbx_sandbox_free(sandbox);
    sbx_client_close(client);
}

static void a_slow_creation_obeys_the_deadline(void **state)
{
    struct sbx_client *client = open_with("[provider.fake]\ncreate_delay_ms = 60000", "fake");
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_sandbox *sandbox = NULL;
    call.timeout_ms = 30;
    assert_int_equal(sbx_sandbox_create(client, NULL, &call, &sandbox, &err), SBX_ERR_TIMEOUT);
    sbx_client_close(client);
    client = open_with("[provider.fake]\ncreate_delay_ms = 30", "fake");
    call.timeout_ms = 60000;
    assert_int_equal(sbx_sandbox_create(client, NULL, &call, &sandbox, &err), 0);
    sbx_sandbox_free(sandbox);
    sbx_client_close(client);
}

static void capabilities_and_states_have_names(void **state)
{
    for (uint32_t bit = 1; bit <= SBX_CAP_WATCH; bit <<= 1)
        assert_non_null(sbx_capability_name(bit));
    assert_null(sbx_capability_name(SBX_CAP_WATCH << 1));
    assert_null(sbx_capability_name(3));
    for (uint32_t i = 0; i <= SBX_STATE_FAILED; i++)
        assert_non_null(sbx_state_name(i));
    assert_null(sbx_state_name(SBX_STATE_FAILED + 1));
    for (uint32_t i = 0; i <= SBX_NETWORK_HOST; i++)
        assert_non_null(sbx_network_name(i));
    assert_null(sbx_network_name(SBX_NETWORK_HOST + 1));
    assert_string_equal(sbx_version(), SBX_VERSION);
}

static int make_directory(void **state)
{
    if (!mkdtemp(directory))
        return -1;
    setenv("XDG_CONFIG_HOME", directory, 1);
    snprintf(config_path, sizeof(config_path), "%s/config.toml", directory);
    return 0;
}

static int remove_directory(void **state)
{
    unlink(config_path);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_is_the_option_then_the_environment_then_the_file_then_local),
        cmocka_unit_test(unknown_settings_are_refused),
        cmocka_unit_test(providers_say_whether_they_can_be_used),
        cmocka_unit_test(settings_that_a_provider_refuses_show_in_its_info),
        cmocka_unit_test(a_program_can_add_its_own_provider),
        cmocka_unit_test(a_living_object_can_be_a_provider),
        cmocka_unit_test(an_older_provider_s_table_lacks_what_is_newer),
        cmocka_unit_test(lists_of_all_providers_are_merged_oldest_first),
        cmocka_unit_test(injected_failures_come_first_and_then_end),
        cmocka_unit_test(a_slow_creation_obeys_the_deadline),
        cmocka_unit_test(capabilities_and_states_have_names),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
