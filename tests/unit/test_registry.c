// SPDX-License-Identifier: Apache-2.0
// What images and registries say: names, records, challenges, manifests, places.
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "registry/challenge.h"
#include "registry/credentials.h"
#include "registry/manifest.h"
#include "registry/settings.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void names(void **state)
{
    static const struct {
        const char *text, *name, *shown;
    } rows[] = {
        {"python", "docker.io/library/python:latest", "python:latest"},
        {"python:3.12-slim", "docker.io/library/python:3.12-slim", "python:3.12-slim"},
        {"docker.io/python", "docker.io/library/python:latest", "python:latest"},
        {"index.docker.io/a/b", "docker.io/a/b:latest", "a/b:latest"},
        {"docker://a/b:c", "docker.io/a/b:c", "a/b:c"},
        {"localhost/x", "localhost/x:latest", NULL},
        {"localhost:5000/x/y__z--w:1", "localhost:5000/x/y__z--w:1", NULL},
        {"[::1]:5000/x:1", "[::1]:5000/x:1", NULL},
        {"ghcr.io/o/n@sha256:" HEX, "ghcr.io/o/n@sha256:" HEX, NULL},
        {"n:t@sha256:" HEX, "docker.io/library/n:t@sha256:" HEX, "n:t@sha256:" HEX},
        {"docker.io/ghcr.io/x", "docker.io/ghcr.io/x:latest", NULL},
        {"docker.io/library/x/y", "docker.io/library/x/y:latest", "library/x/y:latest"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct imageref ref;
        struct sbx_error err;
        char name[IMAGEREF_NAME_SIZE];
        if (imageref_parse(rows[i].text, &ref, &err) < 0)
            fail_msg("%s: %s", rows[i].text, err.message);
        imageref_name(&ref, name);
        assert_string_equal(name, rows[i].name);
        assert_string_equal(imageref_short(name), rows[i].shown ? rows[i].shown : name);
    }
}

static void no_names(void **state)
{
    static const char *const rows[] = {
        "",       "A/b",         "a//b",         "/a",        "a/",     "a:",     "a:-x",
        "a b",    "a@sha256:12", ("a@md5:" HEX), "a..b",      "a/../b", "a.b:x/", "a___b",
        "x.y:/a", "a\nb",        "a:b:c",        "x.y:1a/b",  "a/-b",   "[::1/x", "a@",
        "a?b",    "a#b",         "a%2fb",        "-x.io/a/b", ".x/a",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct imageref ref;
        struct sbx_error err;
        if (imageref_parse(rows[i], &ref, &err) != SBX_ERR_INVALID)
            fail_msg("taken: %s", rows[i]);
        assert_true(err.remedy[0]);
    }
}

static void challenges(void **state)
{
    struct challenge c;
    assert_true(
        challenge_parse("Bearer realm=\"https://a/t\",service=\"s\\\"x\",scope=\"r:a:pull\"", &c));
    assert_true(c.bearer && strcmp(c.realm, "https://a/t") == 0);
    assert_string_equal(c.service, "s\"x");
    assert_string_equal(c.scope, "r:a:pull");
    assert_true(challenge_parse("Negotiate, basic realm=x", &c));
    assert_true(c.basic && !c.bearer);
    static const char *const bad[] = {"",  "Bearer", "Bearer realm=\"x", "Digest realm=x",
                                      "=", "\"\""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(challenge_parse(bad[i], &c));
}

static void places(void **state)
{
    static const char text[] = "[images]\nplain_http = [\"lan:5000\"]\n"
                               "mirrors = [\"docker.io=http://m:1/\", \"x.io=https://y\", "
                               "\"docker.io=https://n/p\"]\n";
    struct config config;
    struct sbx_error err;
    struct place list[PLACES_MAX];
    size_t count;
    assert_int_equal(config_parse("c", text, sizeof(text) - 1, &config, &err), 0);
    assert_int_equal(settings_places(&config, "docker.io", list, &count, &err), 0);
    assert_int_equal(count, 3);
    assert_string_equal(list[0].base, "http://m:1");
    assert_string_equal(list[1].base, "https://n/p");
    assert_string_equal(list[1].host, "n");
    assert_string_equal(list[2].base, "https://registry-1.docker.io");
    assert_int_equal(settings_places(&config, "lan:5000", list, &count, &err), 0);
    assert_string_equal(list[0].base, "http://lan:5000");
    assert_int_equal(settings_places(&config, "127.0.0.1:5", list, &count, &err), 0);
    assert_string_equal(list[0].base, "http://127.0.0.1:5");
    assert_int_equal(settings_places(&config, "localhost.evil.example", list, &count, &err), 0);
    assert_string_equal(list[0].base, "https://localhost.evil.example");
    config_deinit(&config);
    static const char *const bad[] = {"[images]\nx = 1\n", "[images]\nmirrors = \"a\"\n",
                                      "[images]\nmirrors = [\"docker.io=ftp://x\"]\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(config_parse("c", bad[i], strlen(bad[i]), &config, &err), 0);
        assert_int_equal(settings_places(&config, "docker.io", list, &count, &err),
                         SBX_ERR_INVALID);
        config_deinit(&config);
    }
}

static void records(void **state)
{
    char text[] = "name\tn\ndigest\td\nuser\t\nworkdir\t/a\\tb\\\\c\ntree\t" HEX "\nlayer\t" HEX
                  "\nenv\tA=1\\n2\nlater\tx\nbytes\t7\n";
    char damaged[] = "name\tn\ndigest\td\nuser\t\nworkdir\t\ntree\t../../etc\n";
    struct imagerecord record;
    struct sbx_error err;
    assert_int_equal(imagerecord_parse(text, &record, &err), 0);
    assert_string_equal(record.workdir, "/a\tb\\c");
    assert_string_equal(record.env.items[0], "A=1\n2");
    assert_int_equal(record.bytes, 7);
    imagerecord_deinit(&record);
    assert_int_equal(imagerecord_parse(damaged, &record, &err), SBX_ERR_INVALID);
}

static void credentials(void **state)
{
    static const char text[] =
        "{\"auths\": {\"https://index.docker.io/v1/\": {\"auth\": \"bWU6YTpi\"},"
        "\"r.io\": {\"identitytoken\": \"t\"}}, \"credHelpers\": {\"h.io\": \"mine\","
        "\"evil.io\": \"../../bin/sh\"}}";
    struct jsonv *root;
    struct sbx_error err;
    char helper[80];
    assert_int_equal(jsonv_parse(text, sizeof(text) - 1, &root, &err), 0);
    cleanup_credentials struct credentials hub = CREDENTIALS_NONE;
    assert_int_equal(credentials_read(root, "docker.io", &hub, helper, sizeof(helper), &err), 0);
    assert_string_equal(buf_text(&hub.user), "me");
    assert_string_equal(buf_text(&hub.secret), "a:b");
    cleanup_credentials struct credentials token = CREDENTIALS_NONE;
    assert_int_equal(credentials_read(root, "r.io", &token, helper, sizeof(helper), &err), 0);
    assert_true(token.found && token.token);
    cleanup_credentials struct credentials none = CREDENTIALS_NONE;
    assert_int_equal(credentials_read(root, "h.io", &none, helper, sizeof(helper), &err), 0);
    assert_true(!none.found && strcmp(helper, "mine") == 0);
    assert_int_equal(credentials_read(root, "evil.io", &none, helper, sizeof(helper), &err),
                     SBX_ERR_INVALID);
    jsonv_free(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),  cmocka_unit_test(no_names), cmocka_unit_test(challenges),
        cmocka_unit_test(places), cmocka_unit_test(records),  cmocka_unit_test(credentials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
