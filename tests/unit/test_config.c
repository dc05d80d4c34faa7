// SPDX-License-Identifier: Apache-2.0
// Unit: core/config.
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config.h"
#include "core/settings.h"
#include "net/keys.h"

static struct sbx_error err;

static int parse(const char *text, struct config *ret_config)
{
    return config_parse("c.toml", text, strlen(text), ret_config, &err);
}

static void expect(const struct config *config, const char *table, const char *key,
                   const char *value)
{
    const struct config_entry *entry = config_find(config, table, key);
    assert_non_null(entry);
    assert_string_equal(entry->value, value);
}

static void every_accepted_form_is_read(void **state)
{
    struct config config;
    assert_int_equal(parse("# comment\r\n"
                           "provider = \"local\" # behind\n"
                           "\n"
                           "[provider.e2b]\n"
                           "key-1 = 'literal \\n #'\n"
                           "\ttext = \"a\\tb\\\"\\\\ \\u00e9\\U0001F600\"\n"
                           "number = -42\n"
                           "zero = 0\n"
                           "on = true\n"
                           "off = false\n"
                           "list = [ \"a b\", # one\n"
                           "  'c',\n"
                           "]\n"
                           "none = []\n"
                           "[ cli . run ]\n"
                           "empty = \"\"",
                           &config),
                     0);
    assert_int_equal(config.count, 10);
    expect(&config, "", "provider", "local");
    expect(&config, "provider.e2b", "key-1", "literal \\n #");
    expect(&config, "provider.e2b", "text", "a\tb\"\\ \xc3\xa9\xf0\x9f\x98\x80");
    expect(&config, "provider.e2b", "number", "-42");
    expect(&config, "provider.e2b", "zero", "0");
    expect(&config, "provider.e2b", "on", "true");
    expect(&config, "provider.e2b", "off", "false");
    expect(&config, "provider.e2b", "list", "a b\nc\n");
    expect(&config, "provider.e2b", "none", "");
    expect(&config, "cli.run", "empty", "");
    assert_int_equal(config_find(&config, "provider.e2b", "number")->kind, CONFIG_INTEGER);
    assert_int_equal(config_find(&config, "provider.e2b", "list")->line, 11);
    assert_null(config_find(&config, "", "key-1"));
    config_deinit(&config);
}

struct bad {
    const char *text;
    unsigned line;
};

static void everything_else_is_refused_with_its_line(void **state)
{
    static const struct bad rows[] = {
        {"a", 1},
        {"a =", 1},
        {"= 1", 1},
        {"a = b", 1},
        {"a = 1 b = 2", 1},
        {"a = 1\na = 2", 2},
        {"\n\na.b = 1", 3},
        {"a = 1.5", 1},
        {"a = 01", 1},
        {"a = +1", 1},
        {"a = 0x10", 1},
        {"a = 1_000", 1},
        {"a = 1979-05-27", 1},
        {"a = 12345678901234567890", 1},
        {"a = \"open", 1},
        {"a = \"line\nend\"", 1},
        {"a = \"\"\"many\"\"\"", 1},
        {"a = '''many'''", 1},
        {"a = \"\\q\"", 1},
        {"a = \"\\u12\"", 1},
        {"a = \"\\u0000\"", 1},
        {"a = \"\\ud800\"", 1},
        {"a = \"\\U00110000\"", 1},
        {"a = \"\\u\x10\x11\x12\x13\"", 1},
        {"a = [1]", 1},
        {"a = [\"a\" \"b\"]", 1},
        {"a = [\n\"a\",\n", 3},
        {"a = [\"b\\nc\"]", 1},
        {"a = {b = 1}", 1},
        {"\"a\" = 1", 1},
        {"[t", 1},
        {"[]", 1},
        {"[a..b]", 1},
        {"[[t]]", 1},
        {"[t] x", 1},
        {"[t]\na = 1\n[u]\n[t]", 4},
        {"a = 1 # fine\n\x01 = 2", 2},
        {"a = \"\x01\"", 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config config;
        char place[32];
        if (parse(rows[i].text, &config) != SBX_ERR_INVALID)
            fail_msg("accepted: %s", rows[i].text);
        snprintf(place, sizeof(place), "c.toml:%u:", rows[i].line);
        if (strncmp(err.message, place, strlen(place)) != 0)
            fail_msg("%s: %s", rows[i].text, err.message);
    }
}

static void bytes_that_are_not_text_are_refused(void **state)
{
    struct config config;
    assert_int_equal(config_parse("c", "a = 1\0", 6, &config, &err), SBX_ERR_INVALID);
    assert_int_equal(config_parse("c", "# \xff", 3, &config, &err), SBX_ERR_INVALID);
}

static void names_and_settings_have_ceilings(void **state)
{
    struct config config;
    char text[CONFIG_NAME_MAX * 2];
    memset(text, 'n', sizeof(text));
    strcpy(text + CONFIG_NAME_MAX + 1, " = 1");
    assert_int_equal(parse(text, &config), SBX_ERR_INVALID);
    char *many = malloc((CONFIG_ENTRIES_MAX + 1) * 16), *at = many;
    for (int i = 0; i <= CONFIG_ENTRIES_MAX; i++)
        at += sprintf(at, "k%d = 1\n", i);
    assert_int_equal(parse(many, &config), SBX_ERR_INVALID);
    assert_non_null(strstr(err.message, "1024"));
    free(many);
}

static char directory[] = "/tmp/test-config-XXXXXX";

static const char *write_file(const char *text, mode_t mode)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/config.toml", directory);
    unlink(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static void a_file_that_others_may_change_is_refused(void **state)
{
    struct config config;
    assert_int_equal(config_load(write_file("a = 1\n", 0600), &config, &err), 0);
    expect(&config, "", "a", "1");
    config_deinit(&config);
    static const mode_t modes[] = {0620, 0602, 0666};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(config_load(write_file("a = 1\n", modes[i]), &config, &err),
                         SBX_ERR_INVALID);
        assert_non_null(strstr(err.remedy, "chmod go-w"));
    }
}

static void a_file_that_is_none_is_refused_without_hanging(void **state)
{
    struct config config;
    char path[128];
    assert_int_equal(config_load(directory, &config, &err), SBX_ERR_INVALID);
    snprintf(path, sizeof(path), "%s/fifo", directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(config_load(path, &config, &err), SBX_ERR_INVALID);
    unlink(path);
}

static void a_named_file_must_be_there_the_default_one_need_not(void **state)
{
    struct config config;
    assert_int_equal(config_load("/no/such/config.toml", &config, &err), SBX_ERR_NOT_FOUND);
    setenv("XDG_CONFIG_HOME", directory, 1);
    assert_int_equal(config_load(NULL, &config, &err), 0);
    assert_int_equal(config.count, 0);
    config_deinit(&config);
}

static void a_file_past_its_ceiling_is_refused(void **state)
{
    struct config config;
    char *text = malloc(CONFIG_SIZE_MAX + 2);
    memset(text, '#', CONFIG_SIZE_MAX + 1);
    text[CONFIG_SIZE_MAX + 1] = '\0';
    assert_int_equal(config_load(write_file(text, 0600), &config, &err), SBX_ERR_INVALID);
    text[CONFIG_SIZE_MAX] = '\0';
    assert_int_equal(config_load(write_file(text, 0600), &config, &err), 0);
    config_deinit(&config);
    free(text);
}

static void settings_of_a_provider_are_its_table(void **state)
{
    struct config config;
    struct sbx_settings settings;
    int64_t value;
    assert_int_equal(parse("[provider.x]\nn = 5\ntext = 'five'\n[provider.y]\nother = 1", &config),
                     0);
    settings_init(&settings, &config, "x");
    assert_string_equal(sbx_settings_get(&settings, "n"), "5");
    assert_null(sbx_settings_get(&settings, "other"));
    assert_null(sbx_settings_get(&settings, NULL));
    assert_int_equal(sbx_settings_first(&settings), 0);
    setenv("SBX_TEST_TEXT", "outer", 1);
    assert_string_equal(keys_get(&settings, "SBX_TEST_TEXT", "text"), "outer");
    config.first = true;
    assert_int_equal(sbx_settings_first(&settings), 1);
    assert_string_equal(keys_get(&settings, "SBX_TEST_TEXT", "text"), "five");
    assert_string_equal(keys_get(&settings, "SBX_TEST_TEXT", "absent"), "outer");
    unsetenv("SBX_TEST_TEXT");
    assert_int_equal(settings_integer(&settings, "n", 1, 0, 10, &value, &err), 0);
    assert_int_equal(value, 5);
    assert_int_equal(settings_integer(&settings, "absent", 7, 0, 10, &value, &err), 0);
    assert_int_equal(value, 7);
    assert_int_equal(settings_integer(&settings, "n", 1, 6, 10, &value, &err), SBX_ERR_INVALID);
    assert_int_equal(settings_integer(&settings, "text", 1, 0, 10, &value, &err), SBX_ERR_INVALID);
    assert_non_null(strstr(err.message, "c.toml:3"));
    config_deinit(&config);
}

static int make_directory(void **state)
{
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/config.toml", directory);
    unlink(path);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_accepted_form_is_read),
        cmocka_unit_test(everything_else_is_refused_with_its_line),
        cmocka_unit_test(bytes_that_are_not_text_are_refused),
        cmocka_unit_test(names_and_settings_have_ceilings),
        cmocka_unit_test(a_file_that_others_may_change_is_refused),
        cmocka_unit_test(a_file_that_is_none_is_refused_without_hanging),
        cmocka_unit_test(a_named_file_must_be_there_the_default_one_need_not),
        cmocka_unit_test(a_file_past_its_ceiling_is_refused),
        cmocka_unit_test(settings_of_a_provider_are_its_table),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
