// SPDX-License-Identifier: Apache-2.0
// Unit: wire/codec, wire/agent_msg, wire/box_msg, wire/files_msg.
#include "unit.h"

#include "wire/agent_msg.h"
#include "wire/box_msg.h"
#include "wire/files_msg.h"

static void exec_survives_the_wire_and_any_cut_fails(void **state)
{
    (void)state;
    const char *argv[] = {"echo", "a b", "", NULL};
    struct sbx_pair env[] = {{"A", "1"}, {"B", ""}};
    struct agent_exec exec = {.flags = 3,
                              .rows = 24,
                              .cols = 80,
                              .timeout_ms = 1ull << 40,
                              .cwd = "/tmp",
                              .user = "",
                              .shell = "",
                              .argv = argv,
                              .argc = 3,
                              .env = env,
                              .env_count = 2};
    cleanup_buf struct buf out = BUF_INIT(4096);
    agent_exec_put(&out, &exec);
    struct agent_exec back;
    assert_int_equal(agent_exec_get(out.data, out.size, &back), 0);
    assert_int_equal(back.argc, 3);
    assert_string_equal(back.argv[1], "a b");
    assert_null(back.argv[3]);
    assert_string_equal(back.env[1].name, "B");
    assert_true(back.timeout_ms == 1ull << 40);
    agent_exec_deinit(&back);
    for (size_t cut = 0; cut < out.size; cut++)
        assert_int_equal(agent_exec_get(out.data, cut, &back), -1);
}

static void mounts_of_a_guest_survive_the_wire(void **state)
{
    (void)state;
    struct sbx_pair mounts[AGENT_MOUNTS_MAX + 1] = {{"/a", "r"}, {"/b c", "w"}};
    struct agent_config config = {.user = "user", .mounts = mounts, .mount_count = 2}, back;
    cleanup_buf struct buf out = BUF_INIT(4096);
    agent_config_put(&out, &config);
    assert_int_equal(agent_config_get(out.data, out.size, &back), 0);
    assert_int_equal(back.mount_count, 2);
    assert_string_equal(back.mounts[1].name, "/b c");
    assert_string_equal(back.mounts[1].value, "w");
    agent_config_deinit(&back);
    cleanup_buf struct buf many = BUF_INIT(4096);
    config.mount_count = AGENT_MOUNTS_MAX + 1;
    agent_config_put(&many, &config);
    assert_int_equal(agent_config_get(many.data, many.size, &back), -1);
}

static void a_count_larger_than_the_message_is_refused(void **state)
{
    (void)state;
    cleanup_buf struct buf out = BUF_INIT(64);
    wire_put_u32(&out, 0x7fffffff);
    struct wire_reader in = wire_reader(out.data, out.size);
    size_t count;
    assert_null(wire_texts(&in, UINT32_MAX, &count));
    assert_true(in.failed);
}

static void a_text_with_an_inner_nul_is_refused(void **state)
{
    (void)state;
    cleanup_buf struct buf out = BUF_INIT(64);
    wire_put_bytes(&out, "a\0b", 4);
    struct wire_reader in = wire_reader(out.data, out.size);
    assert_string_equal(wire_text(&in), "");
    assert_true(in.failed);
}

static void box_spec_survives_the_wire(void **state)
{
    (void)state;
    struct sbx_pair labels[] = {{"k", "v"}};
    struct box_spec spec = {
        .id = "sb-1", .memory_bytes = 5, .ttl_ms = -1, .labels = labels, .label_count = 1};
    cleanup_buf struct buf out = BUF_INIT(4096);
    box_spec_put(&out, &spec);
    struct box_spec back;
    assert_int_equal(box_spec_get(out.data, out.size, &back), 0);
    assert_string_equal(back.labels[0].value, "v");
    assert_int_equal(back.ttl_ms, -1);
    box_spec_deinit(&back);
    for (size_t cut = 0; cut < out.size; cut++)
        assert_int_equal(box_spec_get(out.data, cut, &back), -1);
}

static void unsafe_paths_are_told(void **state)
{
    (void)state;
    assert_true(files_path_safe(""));
    assert_true(files_path_safe("a/b..c/.d"));
    const char *bad[] = {"/a", "a/", "a//b", "..", "a/../b", ".", "a/."};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(files_path_safe(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exec_survives_the_wire_and_any_cut_fails),
        cmocka_unit_test(mounts_of_a_guest_survive_the_wire),
        cmocka_unit_test(a_count_larger_than_the_message_is_refused),
        cmocka_unit_test(a_text_with_an_inner_nul_is_refused),
        cmocka_unit_test(box_spec_survives_the_wire),
        cmocka_unit_test(unsafe_paths_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
