// SPDX-License-Identifier: Apache-2.0
// Unit: the parts of cli that need neither a sandbox nor a terminal.
#include "unit.h"

#include <errno.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "cli/language.h"
#include "cli/out.h"
#include "cli/pairs.h"
#include "cli/program.h"
#include "cli/spec.h"
#include "cli/typescript.h"

static void assert_language(const struct language *language, const char *name)
{
    if (!name) {
        assert_null(language);
        return;
    }
    assert_non_null(language);
    assert_string_equal(language->name, name);
}

static void knows_languages_by_name_suffix_and_first_line(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"python", "python"}, {"JavaScript", "node"}, {"ts", "typescript"}, {"sh", "sh"},
        {"golang", "go"},     {"cobol", NULL},        {"", NULL},
    };
    static const char *const files[][2] = {
        {"a.py", "python"},       {"a.PY", "python"},    {"a/b.c/main.go", "go"},
        {"x.d.ts", "typescript"}, {"script.sh", "bash"}, {"Main.java", "java"},
        {"a.py/Makefile", NULL},  {"noext", NULL},
    };
    static const char *const lines[][2] = {
        {"#!/usr/bin/python3\nx", "python"},
        {"#!/usr/bin/env python3", "python"},
        {"#! /usr/bin/env -S LANG=C node --x\n", "node"},
        {"#!/bin/sh -e\r\n", "sh"},
        {"#!/usr/bin/perl\n", NULL},
        {"#!/usr/bin/env\npython3", NULL},
        {"#!\n", NULL},
        {"print()", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_language(language_find(names[i][0]), names[i][1]);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        assert_language(language_of_file(files[i][0]), files[i][1]);
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        assert_language(language_of_shebang(lines[i][0], strlen(lines[i][0])), lines[i][1]);
}

static void chooses_what_runs_typescript(void **state)
{
    (void)state;
    static const struct {
        const char *probed, *first, *second;
    } table[] = {
        {"24.1.0\nnpx\n", "node", "--disable-warning=ExperimentalWarning"},
        {"23.6.0\n", "node", "--disable-warning=ExperimentalWarning"},
        {"23.5.1\n", "node", "--experimental-strip-types"},
        {"22.18.0\n", "node", "--disable-warning=ExperimentalWarning"},
        {"22.6.0\ntsx\n", "node", "--experimental-strip-types"},
        {"22.5.0\ntsx\nts-node\nnpx\n", "tsx", "{file}"},
        {"20.20.2\nts-node\nnpx\n", "ts-node", "{file}"},
        {"18.0.0\nnpx\n", "npx", "-y"},
        {"npx\n", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        language_words words = typescript_pick(table[i].probed);
        if (!table[i].first) {
            assert_null(words);
            continue;
        }
        assert_string_equal(words[0], table[i].first);
        assert_string_equal(words[1], table[i].second);
    }
}

static const struct table_column columns[] = {
    {"ID", TABLE_WHOLE}, {"N", TABLE_RIGHT}, {"LABELS", 0}};

static void cuts_tables_but_not_ids(void **state)
{
    (void)state;
    cleanup_table struct table table = TABLE_INIT(columns);
    table_add(&table, "sb-0123456789abcdef0123456789abcdef");
    table_add(&table, "7");
    table_add(&table, "project=something-quite-long \x1b[2J");
    cleanup_buf struct buf cut = BUF_INIT(4096), whole = BUF_INIT(4096);
    table_print(&table, 50, &cut);
    table_print(&table, 0, &whole);
    assert_string_equal(buf_text(&cut), "ID                                   N  LABELS\n"
                                        "sb-0123456789abcdef0123456789abcdef  7  project...\n");
    assert_non_null(strstr(buf_text(&whole), "quite-long \\x1b[2J\n"));
}

static void later_pairs_win(void **state)
{
    (void)state;
    struct sbx_error err;
    cleanup_pairs struct pairs pairs = {0};
    setenv("TEST_CLI_HERE", "here", 1);
    unsetenv("TEST_CLI_GONE");
    static const char *const texts[] = {"A=1", "B=x=y", "A=2", "TEST_CLI_HERE", "TEST_CLI_GONE"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_int_equal(pairs_add(&pairs, texts[i], strlen(texts[i]), &err), 0);
    assert_int_equal(pairs.count, 3);
    assert_string_equal(pairs.items[0].value, "2");
    assert_string_equal(pairs.items[1].value, "x=y");
    assert_string_equal(pairs.items[2].value, "here");
    assert_int_equal(pairs_add_default(&pairs, "A", &err), 0);
    assert_int_equal(pairs.count, 3);
}

static void reads_environment_files(void **state)
{
    (void)state;
    char path[] = "/tmp/test-cli-XXXXXX";
    int fd = mkstemp(path);
    static const char good[] = "# comment\n\nA=1\r\nB= spaced value \nA=3";
    assert_int_equal(write(fd, good, strlen(good)), (int)strlen(good));
    struct sbx_error err;
    cleanup_pairs struct pairs pairs = {0};
    assert_int_equal(pairs_add_file(&pairs, path, &err), 0);
    assert_int_equal(pairs.count, 2);
    assert_string_equal(pairs.items[0].value, "3");
    assert_string_equal(pairs.items[1].value, " spaced value ");
    assert_int_equal(write(fd, "\n=x\n", 4), 4);
    close(fd);
    assert_int_equal(pairs_add_file(&pairs, path, &err), SBX_ERR_INVALID);
    assert_non_null(strstr(err.message, ":6: "));
    unlink(path);
}

static void builds_specifications(void **state)
{
    (void)state;
    const char *mounts[] = {"/tmp:/data", "/:/host:rw", "/etc:/etc2:ro"};
    const char *ports[] = {"80", "8080:81"}, *hosts[] = {"example.com"};
    struct spec_values values = {
        .mounts = {mounts, 3, 3}, .publish = {ports, 2, 2}, .allow = {hosts, 1, 1}, .cpu = 1500};
    struct sbx_error err;
    cleanup_spec struct spec spec = {0};
    assert_int_equal(spec_build(&values, &spec, &err), 0);
    assert_int_equal(spec.spec.mount_count, 3);
    assert_string_equal(spec.spec.mounts[0].source, "/tmp");
    assert_string_equal(spec.spec.mounts[0].target, "/data");
    assert_int_equal(spec.spec.mounts[0].flags, 0);
    assert_int_equal(spec.spec.mounts[1].flags, SBX_MOUNT_WRITABLE);
    assert_int_equal(spec.spec.mounts[2].flags, 0);
    assert_int_equal(spec.spec.ports[0].host_port, 0);
    assert_int_equal(spec.spec.ports[1].host_port, 8080);
    assert_int_equal(spec.spec.network, SBX_NETWORK_ALLOW);
    assert_int_equal(spec.spec.cpu_millis, 1500);
}

static void refuses_bad_mounts_and_ports(void **state)
{
    (void)state;
    static const char *const bad_mounts[] = {"/tmp",       "/tmp:",        ":/x", "/tmp:relative",
                                             "/tmp:/x:rx", "/tmp:/x:y:rw", ""};
    static const char *const bad_ports[] = {"", "0", "65536", "x", "1:", ":1", "1:2:3", "70000:1"};
    struct sbx_error err;
    for (size_t i = 0; i < ARRAY_SIZE(bad_mounts); i++) {
        const char *items[] = {bad_mounts[i]};
        struct spec_values values = {.mounts = {items, 1, 1}};
        struct spec spec;
        assert_int_equal(spec_build(&values, &spec, &err), SBX_ERR_INVALID);
    }
    struct sbx_port port;
    for (size_t i = 0; i < ARRAY_SIZE(bad_ports); i++)
        assert_int_equal(spec_parse_port(bad_ports[i], "--publish", &port, &err), SBX_ERR_INVALID);
}

static void tells_lines_from_words(void **state)
{
    (void)state;
    struct sbx_error err;
    const char *one[] = {"echo hi"}, *many[] = {"echo", "hi"};
    struct opt_operands line = {one, 1, SIZE_MAX}, dashed = {one, 1, 0},
                        words = {many, 2, SIZE_MAX};
    cleanup_program struct program program = {0};
    assert_int_equal(program_read(NULL, NULL, &line, false, &program, &err), 0);
    assert_int_equal(program.kind, PROGRAM_LINE);
    assert_int_equal(program_read(NULL, NULL, &dashed, false, &program, &err), 0);
    assert_int_equal(program.kind, PROGRAM_WORDS);
    assert_int_equal(program_read(NULL, NULL, &words, false, &program, &err), 0);
    assert_int_equal(program.kind, PROGRAM_WORDS);
    assert_int_equal(program.word_count, 2);
    assert_int_equal(program_read(NULL, "python", &line, false, &program, &err), 0);
    assert_int_equal(program.kind, PROGRAM_TEXT);
    assert_string_equal(program.data, "echo hi");
    assert_string_equal(program.name, "main.py");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_languages_by_name_suffix_and_first_line),
        cmocka_unit_test(chooses_what_runs_typescript),
        cmocka_unit_test(cuts_tables_but_not_ids),
        cmocka_unit_test(later_pairs_win),
        cmocka_unit_test(reads_environment_files),
        cmocka_unit_test(builds_specifications),
        cmocka_unit_test(refuses_bad_mounts_and_ports),
        cmocka_unit_test(tells_lines_from_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
