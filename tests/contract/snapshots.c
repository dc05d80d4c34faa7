// SPDX-License-Identifier: Apache-2.0
// Contract: snapshots of sandboxes, sandboxes made from them, forks.
#include "contract.h"

// A snapshot of this run, and of one case.
static const char *name_of(const char *which)
{
    static char name[96];
    snprintf(name, sizeof(name), "contract-%s-%s", suite.run, which);
    return name;
}

static struct sbx_sandbox *create_from(const char *image)
{
    struct sbx_spec spec = spec_with(NULL, NULL);
    spec.image = image;
    return create(&spec);
}

static void snapshot(struct sbx_sandbox *sandbox, const char *which)
{
    ok(sbx_sandbox_snapshot(sandbox, name_of(which), NULL, &err));
}

static void forget(const char *which)
{
    ok(sbx_snapshot_remove(suite.client, suite.provider, name_of(which), NULL, &err));
}

static struct sbx_sandbox *fork_of(struct sbx_sandbox *sandbox)
{
    struct sbx_spec labels = spec_with(NULL, NULL);
    struct sbx_fork fork = SBX_FORK_INIT;
    struct sbx_sandbox *made = NULL;
    fork.labels = labels.labels;
    fork.label_count = labels.label_count;
    ok(sbx_sandbox_fork(sandbox, &fork, NULL, &made, &err));
    return made;
}

static void a_snapshot_keeps_files_for_new_sandboxes(void **state)
{
    struct sbx_sandbox *first = create_plain();
    sh(first, "mkdir /home/user/deep; echo kept > /home/user/deep/file; echo t > /tmp/scratch");
    snapshot(first, "keep");
    sh(first, "echo later > /home/user/deep/file; rm /tmp/scratch");
    struct sbx_sandbox *second = create_from(name_of("keep"));
    expect_out(sh(second, "cat /home/user/deep/file /tmp/scratch"), "kept\nt\n");
    expect_out(sh(first, "cat /home/user/deep/file"), "later\n");
    sh(second, "echo own > /home/user/deep/file");
    struct sbx_sandbox *third = create_from(name_of("keep"));
    expect_out(sh(third, "cat /home/user/deep/file"), "kept\n");
    destroy(first);
    destroy(second);
    destroy(third);
    forget("keep");
}

static void a_snapshot_of_a_snapshot_has_what_both_did(void **state)
{
    struct sbx_sandbox *first = create_plain();
    sh(first, "cd /home/user; echo 1 > one; echo 2 > two; echo 3 > three");
    snapshot(first, "base");
    destroy(first);
    struct sbx_sandbox *second = create_from(name_of("base"));
    sh(second, "cd /home/user; rm two; echo changed > three; echo 4 > four");
    snapshot(second, "top");
    destroy(second);
    forget("base");
    struct sbx_sandbox *third = create_from(name_of("top"));
    expect_out(sh(third, "cd /home/user; cat one three four; test -e two || echo gone"),
               "1\nchanged\n4\ngone\n");
    destroy(third);
    forget("top");
}

static void a_name_given_again_is_the_new_snapshot(void **state)
{
    struct sbx_sandbox *first = create_plain();
    sh(first, "echo old > /tmp/file");
    snapshot(first, "again");
    struct sbx_sandbox *old = create_from(name_of("again"));
    sh(first, "echo new > /tmp/file");
    snapshot(first, "again");
    struct sbx_sandbox *new = create_from(name_of("again"));
    expect_out(sh(old, "cat /tmp/file"), "old\n");
    expect_out(sh(new, "cat /tmp/file"), "new\n");
    destroy(first);
    destroy(old);
    destroy(new);
    forget("again");
}

static void a_forgotten_snapshot_is_not_found(void **state)
{
    struct sbx_sandbox *first = create_plain();
    sh(first, "echo kept > /tmp/file");
    snapshot(first, "forgotten");
    struct sbx_sandbox *living = create_from(name_of("forgotten"));
    forget("forgotten");
    fails(SBX_ERR_NOT_FOUND,
          sbx_snapshot_remove(suite.client, suite.provider, name_of("forgotten"), NULL, &err));
    expect_out(sh(living, "cat /tmp/file"), "kept\n");
    destroy(living);
    destroy(first);
}

static void commands_go_on_after_a_snapshot(void **state)
{
    struct sbx_sandbox *sandbox = create_plain();
    struct sbx_process *process = NULL;
    struct sbx_exec exec = SBX_EXEC_INIT;
    exec.shell = "cat";
    exec.flags = SBX_EXEC_STDIN;
    ok(sbx_process_start(sandbox, &exec, NULL, &process, &err));
    snapshot(sandbox, "running");
    ok(sbx_process_write(process, "after\n", 6, NULL, &err));
    read_until(process, "after\n");
    ok(sbx_process_close_input(process, &err));
    assert_int_equal(read_to_end(process).exit_code, 0);
    sbx_process_free(process);
    destroy(sandbox);
    forget("running");
}

static void a_fork_has_the_files_and_goes_its_own_way(void **state)
{
    struct sbx_spec spec = spec_with(NULL, NULL);
    struct sbx_pair env = {"GIVEN", "to the first"};
    spec.env = &env;
    spec.env_count = 1;
    struct sbx_sandbox *first = create(&spec);
    sh(first, "echo both > /home/user/file");
    struct sbx_sandbox *second = fork_of(first);
    assert_string_not_equal(sbx_sandbox_id(first), sbx_sandbox_id(second));
    expect_out(sh(second, "cat /home/user/file; echo \"$GIVEN\""), "both\nto the first\n");
    sh(second, "echo second > /home/user/file");
    expect_out(sh(first, "cat /home/user/file"), "both\n");
    struct sbx_sandbox *third = fork_of(second);
    destroy(first);
    destroy(second);
    expect_out(sh(third, "cat /home/user/file; echo \"$GIVEN\""), "second\nto the first\n");
    destroy(third);
}

static void a_fork_has_the_labels_and_variables_it_is_given(void **state)
{
    struct sbx_spec spec = spec_with("case", "fork-original");
    struct sbx_sandbox *first = create(&spec), *second = NULL;
    struct sbx_pair labels[] = {{"contract", suite.run}, {"case", "fork-copy"}};
    struct sbx_pair env = {"MINE", "alone"};
    struct sbx_fork fork = SBX_FORK_INIT;
    fork.labels = labels;
    fork.label_count = 2;
    fork.env = &env;
    fork.env_count = 1;
    ok(sbx_sandbox_fork(first, &fork, NULL, &second, &err));
    assert_int_equal(living("case", "fork-original"), 1);
    assert_int_equal(living("case", "fork-copy"), 1);
    expect_out(sh(second, "echo \"$MINE\""), "alone\n");
    destroy(first);
    destroy(second);
}

static void what_is_gone_has_no_snapshot(void **state)
{
    struct sbx_sandbox *first = create_plain(), *same = NULL, *made = NULL;
    ok(sbx_sandbox_get(suite.client, suite.provider, sbx_sandbox_id(first), NULL, &same, &err));
    destroy(first);
    fails(SBX_ERR_NOT_FOUND, sbx_sandbox_snapshot(same, name_of("gone"), NULL, &err));
    fails(SBX_ERR_NOT_FOUND, sbx_sandbox_fork(same, NULL, NULL, &made, &err));
    sbx_sandbox_free(same);
}

static void nonsense_is_refused_before_anything_is_kept(void **state)
{
    struct sbx_fork fork = SBX_FORK_INIT;
    struct sbx_sandbox *made = NULL;
    fails(SBX_ERR_INVALID, sbx_sandbox_snapshot(suite.sandbox, "", NULL, &err));
    fails(SBX_ERR_INVALID, sbx_sandbox_snapshot(suite.sandbox, NULL, NULL, &err));
    fork.ttl_ms = -2;
    fails(SBX_ERR_INVALID, sbx_sandbox_fork(suite.sandbox, &fork, NULL, &made, &err));
    fork.ttl_ms = 0;
    fork.size = 0;
    fails(SBX_ERR_INVALID, sbx_sandbox_fork(suite.sandbox, &fork, NULL, &made, &err));
}

const struct contract_case snapshot_cases[] = {
    CASE(a_snapshot_keeps_files_for_new_sandboxes, SBX_CAP_SNAPSHOT),
    CASE(a_snapshot_of_a_snapshot_has_what_both_did, SBX_CAP_SNAPSHOT),
    CASE(a_name_given_again_is_the_new_snapshot, SBX_CAP_SNAPSHOT),
    CASE(a_forgotten_snapshot_is_not_found, SBX_CAP_SNAPSHOT),
    CASE(commands_go_on_after_a_snapshot, SBX_CAP_SNAPSHOT | SBX_CAP_STDIN),
    CASE(a_fork_has_the_files_and_goes_its_own_way, SBX_CAP_SNAPSHOT),
    CASE(a_fork_has_the_labels_and_variables_it_is_given, SBX_CAP_SNAPSHOT | SBX_CAP_LABELS),
    CASE(what_is_gone_has_no_snapshot, SBX_CAP_SNAPSHOT),
    CASE(nonsense_is_refused_before_anything_is_kept, SBX_CAP_SNAPSHOT),
    {0},
};
