// SPDX-License-Identifier: Apache-2.0
// Unit: engine/boxspec: defaults, and what this machine can't give.
#include "unit.h"

#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "engine/boxspec.h"
#include "scratch.h"

static char image[256];
static const struct deadline forever = {.at_ms = DEADLINE_NEVER};
static struct sbx_error err;

// An image that is nothing but a directory, so that none of this machine's is needed.
static int setup(void **state)
{
    char cache[256];
    if (scratch_setup(state) < 0)
        return -1;
    snprintf(image, sizeof(image), "%s/image", (char *)*state);
    snprintf(cache, sizeof(cache), "%s/cache", (char *)*state);
    char usr[300];
    snprintf(usr, sizeof(usr), "%s/usr", image);
    return mkdir(image, 0755) | mkdir(usr, 0755) | setenv("SANDBOXES_CACHE_DIR", cache, 1);
}

static struct sbx_spec plain(void)
{
    return (struct sbx_spec){.size = sizeof(struct sbx_spec), .image = image};
}

static struct boxspec fill(const struct sbx_spec *asked)
{
    struct boxspec spec;
    int code = boxspec_fill(asked, forever, &spec, &err);
    if (code < 0)
        fail_msg("%s", err.message);
    return spec;
}

static void all_zero_means_the_defaults(void **state)
{
    struct sbx_spec asked = plain();
    struct boxspec spec = fill(&asked);
    struct sysinfo info;
    sysinfo(&info);
    uint64_t half = (uint64_t)info.totalram * info.mem_unit / 2;
    assert_int_equal(spec.box.memory_bytes, half < SPEC_MEMORY_MOST ? half : SPEC_MEMORY_MOST);
    assert_true(spec.box.disk_bytes <= spec.box.memory_bytes / 2);
    assert_int_equal(spec.box.cpu_millis, 0);
    assert_int_equal(spec.box.max_pids, SPEC_PIDS);
    assert_in_range(spec.box.max_open_files, 1, SPEC_OPEN_FILES);
    assert_int_equal(spec.box.network, SBX_NETWORK_INTERNET);
    assert_int_equal(spec.box.flags, 0);
    assert_true(spec.box.ttl_ms == SPEC_TTL_MS);
    assert_string_equal(spec.box.user, "user");
    assert_string_equal(spec.box.hostname, "sandbox");
    assert_true(spec.box.layer_count > 0);
    assert_string_equal(spec.box.layers[0].name, "/");
    boxspec_deinit(&spec);
    asked.lifetime = SBX_LIFETIME_TIED;
    asked.user = "root";
    asked.max_pids = 5;
    spec = fill(&asked);
    assert_true(spec.box.ttl_ms == -1);
    assert_int_equal(spec.box.flags, BOX_LIMITS_ASKED | BOX_ROOT_USER);
    boxspec_deinit(&spec);
}

static const char *value_of(const struct boxspec *spec, const char *name)
{
    const char *found = NULL;
    for (size_t i = 0; i < spec->box.env_count; i++)
        if (strcmp(spec->box.env[i].name, name) == 0) {
            assert_null(found); // once only
            found = spec->box.env[i].value;
        }
    return found;
}

static void lists_are_sorted_merged_and_encoded(void **state)
{
    struct sbx_spec asked = plain();
    struct sbx_pair env[] = {{"A", "1"}, {"LANG", "de_DE.UTF-8"}, {"A", "2"}};
    struct sbx_pair labels[] = {{"z", "1"}, {"a", "2"}};
    struct sbx_mount mounts[] = {{image, "/data", 0}, {image, "/out/x", SBX_MOUNT_WRITABLE}};
    struct sbx_port ports[] = {{80, 0}, {443, 8443}};
    const char *allow[] = {"example.com"};
    asked.env = env, asked.env_count = 3, asked.labels = labels, asked.label_count = 2;
    asked.mounts = mounts, asked.mount_count = 2, asked.ports = ports, asked.port_count = 2;
    asked.allow = allow, asked.allow_count = 1;
    struct boxspec spec = fill(&asked);
    assert_string_equal(value_of(&spec, "A"), "2");
    assert_string_equal(value_of(&spec, "LANG"), "de_DE.UTF-8");
    assert_string_equal(spec.box.labels[0].name, "a");
    assert_string_equal(spec.box.mounts[0].name, "/data");
    assert_int_equal(spec.box.mounts[0].value[0], 'r');
    assert_string_equal(spec.box.mounts[1].value + 1, image);
    assert_int_equal(spec.box.mounts[1].value[0], 'w');
    assert_string_equal(spec.box.ports[1], "443:8443");
    assert_int_equal(spec.box.network, SBX_NETWORK_ALLOW);
    boxspec_deinit(&spec);
}

static void expect_error(const struct sbx_spec *asked, int want)
{
    struct boxspec spec;
    int code = boxspec_fill(asked, forever, &spec, &err);
    if (code != want)
        fail_msg("%s, wanted %s", sbx_code_name(code), sbx_code_name(want));
    assert_true(err.remedy[0]);
}

static void what_cannot_be_given_is_an_error(void **state)
{
    const struct {
        struct sbx_spec asked;
        int code;
    } rows[] = {
        {{.gpu = "A100"}, SBX_ERR_UNSUPPORTED},
        {{.memory_bytes = 1ull << 60}, SBX_ERR_QUOTA},
        {{.memory_bytes = 4096}, SBX_ERR_INVALID},
        {{.memory_bytes = 64 << 20, .disk_bytes = 65 << 20}, SBX_ERR_UNSUPPORTED},
        {{.disk_bytes = 1ull << 50}, SBX_ERR_UNSUPPORTED},
        {{.cpu_millis = 1}, SBX_ERR_INVALID},
        {{.cpu_millis = 4000000000u}, SBX_ERR_QUOTA},
        {{.max_open_files = 4000000000u}, SBX_ERR_QUOTA},
        {{.allow = &(const char *){"http://a.b"}, .allow_count = 1}, SBX_ERR_INVALID},
        {{.allow = &(const char *){"1.2.3.4/99"}, .allow_count = 1}, SBX_ERR_INVALID},
        {{.network = SBX_NETWORK_NONE, .allow = &(const char *){"a.b"}, .allow_count = 1},
         SBX_ERR_INVALID},
        {{.network = SBX_NETWORK_HOST, .ports = &(struct sbx_port){80, 0}, .port_count = 1},
         SBX_ERR_INVALID},
        {{.ports = &(struct sbx_port){0, 80}, .port_count = 1}, SBX_ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sbx_spec asked = rows[i].asked;
        asked.size = sizeof(asked);
        asked.image = image;
        expect_error(&asked, rows[i].code);
    }
    struct sbx_spec asked = plain();
    asked.image = "/no/such/image";
    expect_error(&asked, SBX_ERR_NOT_FOUND);
}

static void mounts_cover_nothing_of_the_sandbox_itself(void **state)
{
    static const char *const bad[] = {"/",       "relative", "/proc", "/proc/sys", "/sys/x", "/dev",
                                      "/a/../b", "/a//b",    "/a/",   "/.",        "/a/.",   ""};
    struct sbx_mount mount = {image, "/data", 0};
    struct sbx_spec asked = plain();
    asked.mounts = &mount;
    asked.mount_count = 1;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        mount.target = bad[i];
        expect_error(&asked, SBX_ERR_INVALID);
    }
    static const char *const good[] = {"/devices", "/process", "/a/..b"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        mount.target = good[i];
        struct boxspec spec = fill(&asked);
        boxspec_deinit(&spec);
    }
    mount = (struct sbx_mount){"/no/such/source", "/data", 0};
    expect_error(&asked, SBX_ERR_NOT_FOUND);
    mount.source = "relative";
    expect_error(&asked, SBX_ERR_INVALID);
    mount.source = "/dev/null";
    expect_error(&asked, SBX_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_zero_means_the_defaults),
        cmocka_unit_test(lists_are_sorted_merged_and_encoded),
        cmocka_unit_test(what_cannot_be_given_is_an_error),
        cmocka_unit_test(mounts_cover_nothing_of_the_sandbox_itself),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
