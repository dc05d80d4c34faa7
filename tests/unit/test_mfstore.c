// SPDX-License-Identifier: Apache-2.0
// Unit: the metadata service's records: names, files, objects, tags, what tasks tell, lists of
// runs.
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metaflow/service/mfbeats.h"
#include "metaflow/service/mfruns.h"
#include "metaflow/service/mfstore.h"
#include "metaflow/service/mftags.h"
#include "metaflow/service/mftask.h"
#include "scratch.h"

struct fixture {
    char *dir;
    struct mfstore store;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    void *dir = NULL;
    assert_int_equal(scratch_setup(&dir), 0);
    fixture->dir = dir;
    char path[128];
    snprintf(path, sizeof(path), "%s/.metaflow", fixture->dir);
    assert_int_equal(mfstore_open(path, &fixture->store, NULL), 0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    mfstore_close(&fixture->store);
    void *dir = fixture->dir;
    free(fixture);
    return scratch_teardown(&dir);
}

static json_t *parse(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    return value;
}

static const char *text_of_member(const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));
    assert_non_null(text);
    return text;
}

// The id that was given to a new run of Flow.
static void new_run(struct fixture *fixture, char ret_id[32])
{
    cleanup_json json_t *body =
        parse("{\"flow_id\": \"Flow\", \"user_name\": \"u\", \"tags\": [\"a\", \"b\"], "
              "\"system_tags\": [\"user:u\"], \"ts_epoch\": 1700000000000}");
    cleanup_json json_t *run = NULL;
    const struct mfpath flow = {.flow = "Flow"};
    assert_int_equal(mfstore_create(&fixture->store, MF_RUN, &flow, body, &run, NULL), 0);
    snprintf(ret_id, 32, "%s", text_of_member(run, "run_number"));
}

static void new_task(struct fixture *fixture, const char *run, const char *step, char ret_id[32])
{
    cleanup_json json_t *body = parse("{\"user_name\": \"u\"}"), *task = NULL;
    const struct mfpath path = {.flow = "Flow", .run = run, .step = step};
    assert_int_equal(mfstore_create(&fixture->store, MF_TASK, &path, body, &task, NULL), 0);
    snprintf(ret_id, 32, "%s", text_of_member(task, "task_id"));
}

static void names_are_one_part_of_a_path(void **state)
{
    (void)state;
    char longest[MFPATH_NAME_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    longest[MFPATH_NAME_MAX + 1] = '\0';
    assert_true(mfpath_name_ok(longest, MFPATH_NAME_MAX));
    assert_false(mfpath_name_ok(longest, MFPATH_NAME_MAX + 1));
    const char *const good[] = {"Flow",  "1795259979742576", "_parameters", "argo-x.y", "ä",
                                "_metal"};
    const char *const bad[] = {"",      ".",    "..",   ".x",   "a/b",      "/",
                               "_meta", "a\nb", "\x7f", "\xff", "a\xc0\x80"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_true(mfpath_name_ok(good[i], strlen(good[i])));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(mfpath_name_ok(bad[i], strlen(bad[i])));
    assert_false(mfpath_name_ok("a\0b", 3));
    const struct mfpath path = {.flow = "F", .run = "..", .step = "s"};
    char text[MFPATH_SIZE];
    assert_int_equal(mfpath_text(&path, "", text, NULL), SBX_ERR_INVALID);
}

static void objects_are_made_with_all_above(void **state)
{
    struct fixture *fixture = *state;
    char run[32], task[32], file[512];
    new_run(fixture, run);
    new_task(fixture, run, "start", task);
    assert_string_equal(task, "1");
    const char *const parts[] = {"", "/start", "/start/1"};
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        snprintf(file, sizeof(file), "%s/.metaflow/Flow/%s%s/_meta/_self.json", fixture->dir, run,
                 parts[i]);
        assert_int_equal(access(file, R_OK), 0);
    }
    cleanup_json json_t *record = NULL;
    const struct mfpath path = {.flow = "Flow", .run = run, .step = "start", .task = "1"};
    assert_int_equal(mfstore_get(&fixture->store, &path, &record, NULL), 0);
    // its run's tags
    cleanup_json json_t *tags = parse("[\"a\", \"b\"]");
    assert_true(json_equal(json_object_get(record, "tags"), tags));
}

static void ids_rise_and_are_given_once(void **state)
{
    struct fixture *fixture = *state;
    char first[32], second[32], task[32];
    new_run(fixture, first);
    new_run(fixture, second);
    assert_true(mfnames_compare(first, second) < 0);
    new_task(fixture, first, "start", task);
    new_task(fixture, first, "end", task);
    assert_string_equal(task, "2");
    // local mode, or a service before this one, gave some out
    char path[512];
    snprintf(path, sizeof(path), "%s/.metaflow/Flow/%s/end/40", fixture->dir, second);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(mkdir(path, 0777), 0);
    *slash = '/';
    assert_int_equal(mkdir(path, 0777), 0);
    new_task(fixture, second, "start", task);
    assert_string_equal(task, "41");
}

static void chosen_names_exist_once(void **state)
{
    struct fixture *fixture = *state;
    cleanup_json json_t *body = parse("{\"run_number\": \"argo-1\", \"task_id\": \"x\"}");
    cleanup_json json_t *run = NULL, *again = NULL, *task = NULL,
                        *bad = parse("{\"run_number\": \"../x\"}");
    const struct mfpath flow = {.flow = "Flow"};
    assert_int_equal(mfstore_create(&fixture->store, MF_RUN, &flow, body, &run, NULL), 0);
    assert_string_equal(text_of_member(run, "run_number"), "argo-1");
    assert_int_equal(mfstore_create(&fixture->store, MF_RUN, &flow, body, &again, NULL),
                     SBX_ERR_CONFLICT);
    assert_null(again);
    assert_int_equal(mfstore_create(&fixture->store, MF_RUN, &flow, bad, &again, NULL),
                     SBX_ERR_INVALID);
    const struct mfpath step = {.flow = "Flow", .run = "argo-1", .step = "start"};
    assert_int_equal(mfstore_create(&fixture->store, MF_TASK, &step, body, &task, NULL), 0);
    assert_string_equal(text_of_member(task, "task_id"), "x");
    assert_int_equal(mfstore_create(&fixture->store, MF_TASK, &step, body, &again, NULL),
                     SBX_ERR_CONFLICT);
    const struct mfpath nowhere = {.flow = "Flow", .run = "no", .step = "start"};
    assert_int_equal(mfstore_create(&fixture->store, MF_TASK, &nowhere, body, &again, NULL),
                     SBX_ERR_NOT_FOUND);
}

static void metadata_told_twice_is_there_once(void **state)
{
    struct fixture *fixture = *state;
    char run[32], task[32];
    new_run(fixture, run);
    new_task(fixture, run, "start", task);
    const struct mfpath path = {.flow = "Flow", .run = run, .step = "start", .task = task};
    cleanup_json json_t *list =
        parse("[{\"field_name\": \"a/b\", \"value\": \"2\", \"ts_epoch\": 1700000000002},"
              " {\"field_name\": \"k\", \"value\": \"1\", \"ts_epoch\": 1700000000001},"
              " {\"field_name\": \"k\", \"value\": \"other\", \"ts_epoch\": 1700000000001}]");
    size_t count = 0;
    for (int i = 0; i < 2; i++)
        assert_int_equal(mftask_add_metadata(&fixture->store, &path, list, &count, NULL), 0);
    assert_int_equal(count, 3);
    cleanup_json json_t *all = NULL, *some = NULL;
    assert_int_equal(mftask_metadata(&fixture->store, &path, NULL, &all, NULL), 0);
    assert_int_equal(json_array_size(all), 3);
    assert_string_equal(text_of_member(json_array_get(all, 2), "field_name"), "a/b");
    assert_int_equal(mftask_metadata(&fixture->store, &path, "k", &some, NULL), 0);
    assert_int_equal(json_array_size(some), 2);
    cleanup_json json_t *nameless = parse("{\"value\": \"x\"}");
    assert_int_equal(mftask_add_metadata(&fixture->store, &path, nameless, &count, NULL),
                     SBX_ERR_INVALID);
}

static void artifacts_are_those_of_the_last_finished_attempt(void **state)
{
    struct fixture *fixture = *state;
    char run[32], task[32];
    new_run(fixture, run);
    new_task(fixture, run, "start", task);
    const struct mfpath path = {.flow = "Flow", .run = run, .step = "start", .task = task};
    cleanup_json json_t *artifacts =
        parse("[{\"name\": \"x\", \"attempt_id\": 0, \"sha\": \"0\"}, {\"name\": \"x\", "
              "\"attempt_id\": 1, \"sha\": \"1\"}, {\"name\": \"y\", \"attempt_id\": 1, \"sha\": "
              "\"1\"}]");
    cleanup_json json_t *none = NULL, *list = NULL, *one = NULL, *first = NULL;
    cleanup_json json_t *done = parse(
        "[{\"field_name\": \"attempt-done\", \"value\": \"0\", \"ts_epoch\": 1700000000001},"
        " {\"field_name\": \"attempt-done\", \"value\": \"1\", \"ts_epoch\": 1700000000009}]");
    size_t count;
    assert_int_equal(mftask_add_artifacts(&fixture->store, &path, artifacts, &count, NULL), 0);
    assert_int_equal(mftask_artifacts(&fixture->store, &path, MFTASK_LAST_ATTEMPT, &none, NULL), 0);
    assert_int_equal(json_array_size(none), 0);
    assert_int_equal(mftask_add_metadata(&fixture->store, &path, done, &count, NULL), 0);
    assert_int_equal(mftask_artifacts(&fixture->store, &path, MFTASK_LAST_ATTEMPT, &list, NULL), 0);
    assert_int_equal(json_array_size(list), 2);
    assert_int_equal(mftask_artifact(&fixture->store, &path, "x", MFTASK_LAST_ATTEMPT, &one, NULL),
                     0);
    assert_string_equal(text_of_member(one, "sha"), "1");
    assert_int_equal(mftask_artifact(&fixture->store, &path, "x", 0, &first, NULL), 0);
    assert_string_equal(text_of_member(first, "sha"), "0");
    json_t *no = NULL;
    assert_int_equal(mftask_artifact(&fixture->store, &path, "y", 0, &no, NULL), SBX_ERR_NOT_FOUND);
    cleanup_json json_t *bad = parse("{\"name\": \"../../x\", \"attempt_id\": 0}");
    assert_int_equal(mftask_add_artifacts(&fixture->store, &path, bad, &count, NULL),
                     SBX_ERR_INVALID);
}

static void expect_tags(struct fixture *fixture, const struct mfpath *run, const char *change,
                        int code, const char *tags)
{
    cleanup_json json_t *body = parse(change), *got = NULL, *expected = parse(tags);
    assert_int_equal(mftags_change(&fixture->store, run, body, &got, NULL), code);
    if (code == 0)
        assert_true(json_equal(got, expected));
}

static void tags_follow_the_rules(void **state)
{
    struct fixture *fixture = *state;
    char run[32];
    new_run(fixture, run);
    const struct mfpath path = {.flow = "Flow", .run = run};
    expect_tags(fixture, &path, "{\"tags_to_add\": [\"c\"], \"tags_to_remove\": [\"a\"]}", 0,
                "[\"b\", \"c\"]");
    expect_tags(fixture, &path, "{\"tags_to_add\": [\"b\"], \"tags_to_remove\": [\"b\"]}", 0,
                "[\"b\", \"c\"]");
    expect_tags(fixture, &path, "{\"tags_to_add\": [\"user:u\"]}", 0, "[\"b\", \"c\"]");
    expect_tags(fixture, &path, "{\"tags_to_remove\": [\"user:u\"]}", SBX_ERR_INVALID, "[]");
    expect_tags(fixture, &path, "{\"tags_to_add\": [\"\"]}", SBX_ERR_INVALID, "[]");
    expect_tags(fixture, &path, "{\"tags_to_add\": [1]}", SBX_ERR_INVALID, "[]");
    cleanup_json json_t *record = NULL;
    assert_int_equal(mfstore_get(&fixture->store, &path, &record, NULL), 0);
    assert_int_equal(json_integer_value(json_object_get(record, "ts_epoch")), 1700000000000);
    cleanup_buf struct buf many = BUF_INIT(65536);
    buf_puts(&many, "{\"tags_to_add\": [");
    for (int i = 0; i < 49; i++)
        buf_printf(&many, "%s\"t%d\"", i ? "," : "", i);
    buf_puts(&many, "]}");
    expect_tags(fixture, &path, buf_text(&many), SBX_ERR_INVALID, "[]");
}

static void lists_of_runs_stay_true(void **state)
{
    struct fixture *fixture = *state;
    char first[32], second[32], path[512];
    const struct mfpath flow = {.flow = "Flow"};
    new_run(fixture, first);
    for (int round = 0; round < 3; round++) {
        cleanup_buf struct buf out = BUF_INIT(65536);
        assert_int_equal(mfstore_list(&fixture->store, &flow, &out, NULL), 0);
        cleanup_json json_t *list = parse(buf_text(&out));
        assert_int_equal(json_array_size(list), round == 0 ? 1 : 2);
        const char *tag =
            json_string_value(json_array_get(json_object_get(json_array_get(list, 0), "tags"), 0));
        assert_string_equal(tag, round == 2 ? "local" : "a");
        if (round == 0)
            new_run(fixture, second);
        if (round != 1)
            continue;
        // as local mode: a new file in the old one's place
        snprintf(path, sizeof(path), "%s/.metaflow/Flow/%s/_meta/tmp1", fixture->dir, first);
        char self[512];
        snprintf(self, sizeof(self), "%s/.metaflow/Flow/%s/_meta/_self.json", fixture->dir, first);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fprintf(file, "{\"run_number\": \"%s\", \"tags\": [\"local\"]}", first);
        fclose(file);
        assert_int_equal(rename(path, self), 0);
    }
}

static void damaged_and_foreign_files_are_passed_over(void **state)
{
    struct fixture *fixture = *state;
    char run[32], path[512];
    new_run(fixture, run);
    const char *const torn[] = {"1", "2", "3"};
    const char *const contents[] = {"", "{\"run_number\": ", "[]"};
    for (size_t i = 0; i < ARRAY_SIZE(torn); i++) {
        snprintf(path, sizeof(path), "%s/.metaflow/Flow/%s/_meta", fixture->dir, torn[i]);
        char *slash = strrchr(path, '/');
        *slash = '\0';
        assert_int_equal(mkdir(path, 0777), 0);
        *slash = '/';
        assert_int_equal(mkdir(path, 0777), 0);
        strcat(path, "/_self.json");
        FILE *file = fopen(path, "w");
        fputs(contents[i], file);
        fclose(file);
    }
    snprintf(path, sizeof(path), "%s/.metaflow/Flow/4", fixture->dir);
    assert_int_equal(symlink("/etc", path), 0);
    snprintf(path, sizeof(path), "%s/.metaflow/Flow/%s/_meta/pipe", fixture->dir, run);
    assert_int_equal(mkfifo(path, 0600), 0);
    cleanup_buf struct buf out = BUF_INIT(65536);
    const struct mfpath flow = {.flow = "Flow"};
    assert_int_equal(mfstore_list(&fixture->store, &flow, &out, NULL), 0);
    cleanup_json json_t *list = parse(buf_text(&out));
    assert_int_equal(json_array_size(list), 1);
    json_t *record = NULL;
    assert_int_equal(
        mffile_read(fixture->store.root_fd, path + strlen(fixture->store.root) + 1, &record, NULL),
        SBX_ERR_PROTOCOL);
    const struct mfpath link = {.flow = "Flow", .run = "4"};
    assert_int_equal(mfstore_get(&fixture->store, &link, &record, NULL), SBX_ERR_NOT_FOUND);
}

static void an_unfinished_write_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    char path[512];
    snprintf(path, sizeof(path), "%s/.metaflow/%s", fixture->dir, fixture->store.writer.temp);
    FILE *file = fopen(path, "w");
    fputs("half", file);
    fclose(file);
    cleanup_json json_t *record = json_object();
    for (enum mffile_mode mode = MFFILE_NEW; mode <= MFFILE_REPLACE; mode++) // in spite of it
        assert_int_equal(mffile_write(&fixture->store.writer, fixture->store.root_fd, "record",
                                      record, mode, false, NULL),
                         0);
    assert_int_equal(mffile_write(&fixture->store.writer, fixture->store.root_fd, "record", record,
                                  MFFILE_NEW, false, NULL),
                     SBX_ERR_CONFLICT);
    assert_int_equal(access(path, F_OK), -1);
    snprintf(path, sizeof(path), "%s/.metaflow/.metaflow-local-service.999999999.tmp",
             fixture->dir);
    fclose(fopen(path, "w"));
    mffile_writer_sweep(&fixture->store.writer);
    assert_int_equal(access(path, F_OK), -1);
}

static void tasks_are_found_by_metadata(void **state)
{
    struct fixture *fixture = *state;
    char run[32], task[32];
    new_run(fixture, run);
    size_t count;
    for (int i = 0; i < 3; i++) {
        new_task(fixture, run, "work", task);
        const struct mfpath path = {.flow = "Flow", .run = run, .step = "work", .task = task};
        cleanup_json json_t *record =
            json_pack("{s:s,s:o,s:I}", "field_name", "foreach-execution-path", "value",
                      json_sprintf("start:%d,x:1%d", i, i), "ts_epoch", (json_int_t)1700000000000);
        assert_int_equal(mftask_add_metadata(&fixture->store, &path, record, &count, NULL), 0);
    }
    const struct mfpath step = {.flow = "Flow", .run = run, .step = "work"};
    static const struct {
        const char *field, *pattern;
        int code;
        size_t count;
    } table[] = {{"foreach-execution-path", "^(?:start:1,.*)$", 0, 1},
                 {"foreach-execution-path", "start:\\d,x:1[01]", 0, 2},
                 {"", "^(?:start:2,x:12)$", 0, 1},
                 {"other", "start", 0, 0},
                 {"", "", 0, 3},
                 {"other", ".*", 0, 3},
                 {"", "(", SBX_ERR_INVALID, 0},
                 {"", "(?=x)", SBX_ERR_INVALID, 0},
                 {"", "((a{1,9999}){1,9999}){1,9999}", SBX_ERR_INVALID, 0},
                 {"", "(.*)\\1", SBX_ERR_INVALID, 0}};
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        cleanup_json json_t *list = NULL;
        assert_int_equal(
            mftask_filter(&fixture->store, &step, table[i].field, table[i].pattern, &list, NULL),
            table[i].code);
        assert_int_equal(json_array_size(list), table[i].count);
    }
}

static void beats_are_remembered(void **state)
{
    (void)state;
    struct mfbeats beats;
    mfbeats_init(&beats);
    assert_int_equal(mfbeats_last(&beats, "a"), 0);
    char path[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(path, sizeof(path), "Flow/1/x/%d", i);
        mfbeats_note(&beats, path, 1000 + i);
    }
    assert_int_equal(mfbeats_last(&beats, "Flow/1/x/17"), 1017);
    mfbeats_note(&beats, "Flow/1/x/17", 5000);
    assert_int_equal(mfbeats_last(&beats, "Flow/1/x/17"), 5000);
    mfbeats_deinit(&beats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_one_part_of_a_path),
        cmocka_unit_test_setup_teardown(objects_are_made_with_all_above, setup, teardown),
        cmocka_unit_test_setup_teardown(ids_rise_and_are_given_once, setup, teardown),
        cmocka_unit_test_setup_teardown(chosen_names_exist_once, setup, teardown),
        cmocka_unit_test_setup_teardown(metadata_told_twice_is_there_once, setup, teardown),
        cmocka_unit_test_setup_teardown(artifacts_are_those_of_the_last_finished_attempt, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(tags_follow_the_rules, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_of_runs_stay_true, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_and_foreign_files_are_passed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unfinished_write_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(tasks_are_found_by_metadata, setup, teardown),
        cmocka_unit_test(beats_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
