// SPDX-License-Identifier: Apache-2.0
// Contract: changes in directories.
#include "contract.h"

#define WAIT_MS 20000 // for what must come; what comes ends the wait

static struct sbx_watch *watch(const char *path, uint32_t recursive)
{
    struct sbx_file_options options = SBX_FILE_OPTIONS_INIT;
    struct sbx_watch *made = NULL;
    options.recursive = recursive;
    sh(suite.sandbox, "rm -rf /tmp/watched; mkdir -p /tmp/watched/old; echo > /tmp/watched/there");
    ok(sbx_watch_start(suite.sandbox, path, &options, NULL, &made, &err));
    assert_non_null(made);
    return made;
}

// Reads until that is told of that name; what else is told before does not matter.
static void await(struct sbx_watch *made, uint32_t kind, const char *name)
{
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_change change;
    call.timeout_ms = WAIT_MS;
    do
        ok(sbx_watch_next(made, &call, &change, &err));
    while (change.kind != kind || strcmp(change.name, name) != 0);
}

static void changes_in_a_directory_are_told(void **state)
{
    struct sbx_watch *made = watch("/tmp/watched", 0);
    sh(suite.sandbox, "echo text > /tmp/watched/new");
    await(made, SBX_CHANGE_CREATE, "new");
    await(made, SBX_CHANGE_WRITE, "new");
    sh(suite.sandbox, "chmod 600 /tmp/watched/new");
    await(made, SBX_CHANGE_MODE, "new");
    sh(suite.sandbox, "rm /tmp/watched/new");
    await(made, SBX_CHANGE_REMOVE, "new");
    sh(suite.sandbox, "mkdir /tmp/watched/folder");
    await(made, SBX_CHANGE_CREATE, "folder");
    sbx_watch_free(made);
}

static void a_renamed_file_is_told_by_both_names(void **state)
{
    struct sbx_watch *made = watch("/tmp/watched", 0);
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_change change;
    bool before = false, after = false;
    call.timeout_ms = WAIT_MS;
    sh(suite.sandbox, "mv /tmp/watched/there /tmp/watched/here");
    while (!before || !after) {
        ok(sbx_watch_next(made, &call, &change, &err));
        before |= change.kind == SBX_CHANGE_RENAME && strcmp(change.name, "there") == 0;
        after |= change.kind == SBX_CHANGE_CREATE && strcmp(change.name, "here") == 0;
    }
    sbx_watch_free(made);
}

static void directories_below_are_watched_only_when_asked(void **state)
{
    struct sbx_watch *all = watch("/tmp/watched", 1), *one = NULL;
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_change change;
    ok(sbx_watch_start(suite.sandbox, "/tmp/watched", NULL, NULL, &one, &err));
    sh(suite.sandbox, "echo text > /tmp/watched/old/deep");
    await(all, SBX_CHANGE_CREATE, "old/deep");
    sh(suite.sandbox, "mkdir -p /tmp/watched/a/b");
    await(all, SBX_CHANGE_CREATE, "a/b");
    sh(suite.sandbox, "echo text > /tmp/watched/a/b/c; echo > /tmp/watched/last");
    await(all, SBX_CHANGE_CREATE, "a/b/c");
    call.timeout_ms = WAIT_MS;
    do {
        ok(sbx_watch_next(one, &call, &change, &err));
        assert_null(strchr(change.name, '/'));
    } while (strcmp(change.name, "last") != 0);
    sbx_watch_free(one);
    sbx_watch_free(all);
}

#define DEEP 120

static void a_deep_tree_is_watched(void **state)
{
    char path[2 * DEEP + 8] = "", command[sizeof(path) + 64];
    for (size_t i = 0; i < DEEP; i++)
        memcpy(path + 2 * i, "d/", 3);
    snprintf(command, sizeof(command), "rm -rf /tmp/deep; mkdir -p /tmp/deep/%s", path);
    sh(suite.sandbox, command);
    struct sbx_file_options options = SBX_FILE_OPTIONS_INIT;
    struct sbx_watch *made = NULL;
    options.recursive = 1;
    ok(sbx_watch_start(suite.sandbox, "/tmp/deep", &options, NULL, &made, &err));
    snprintf(command, sizeof(command), "echo text > /tmp/deep/%snew", path);
    sh(suite.sandbox, command);
    memcpy(path + 2 * (size_t)DEEP, "new", 4);
    await(made, SBX_CHANGE_CREATE, path);
    sbx_watch_free(made);
}

static void a_quiet_watch_waits_and_can_be_asked_again(void **state)
{
    struct sbx_watch *made = watch("/tmp/watched", 0);
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_change change;
    call.timeout_ms = 1;
    fails(SBX_ERR_TIMEOUT, sbx_watch_next(made, &call, &change, &err));
    ok(sbx_cancel_new(&call.cancel, &err));
    sbx_cancel_trigger(call.cancel);
    call.timeout_ms = 0;
    fails(SBX_ERR_CANCELLED, sbx_watch_next(made, &call, &change, &err));
    sbx_cancel_free(call.cancel);
    sh(suite.sandbox, "echo text > /tmp/watched/new");
    await(made, SBX_CHANGE_CREATE, "new");
    sbx_watch_free(made);
}

static void what_is_no_directory_can_t_be_watched(void **state)
{
    struct sbx_watch *made;
    fails(SBX_ERR_NOT_FOUND,
          sbx_watch_start(suite.sandbox, "/tmp/nonesuch", NULL, NULL, &made, &err));
}

const struct contract_case watch_cases[] = {
    CASE(changes_in_a_directory_are_told, SBX_CAP_WATCH),
    CASE(a_renamed_file_is_told_by_both_names, SBX_CAP_WATCH),
    CASE(directories_below_are_watched_only_when_asked, SBX_CAP_WATCH),
    CASE(a_deep_tree_is_watched, SBX_CAP_WATCH),
    CASE(a_quiet_watch_waits_and_can_be_asked_again, SBX_CAP_WATCH),
    CASE(what_is_no_directory_can_t_be_watched, SBX_CAP_WATCH),
    {0},
};
