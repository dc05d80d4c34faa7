// SPDX-License-Identifier: Apache-2.0
// Unit: base/dirs (runtime), engine/store, engine/lock, engine/record: races, damage, prefixes.
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/dirs.h"
#include "base/fd.h"
#include "engine/lock.h"
#include "engine/store.h"
#include "scratch.h"

static int setup(void **state)
{
    if (scratch_setup(state) < 0)
        return -1;
    char path[256];
    snprintf(path, sizeof(path), "%s/run", (char *)*state);
    return setenv("SANDBOXES_RUNTIME_DIR", path, 1);
}

static const struct deadline forever = {.at_ms = DEADLINE_NEVER};

static void put_file(int dir_fd, const char *name, const void *data, size_t size)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, data, size), 0);
    close(fd);
}

static void encode_spec(struct buf *out, const char *id, int64_t created_ms, const char *color)
{
    struct sbx_pair labels[] = {{"app", "test"}, {"color", color}};
    const char *ports[] = {"80:8080"};
    struct box_spec spec = {.id = id,
                            .image = "host",
                            .user = "user",
                            .created_ms = created_ms,
                            .ttl_ms = 1000,
                            .network = SBX_NETWORK_NONE,
                            .labels = labels,
                            .label_count = 2,
                            .ports = ports,
                            .port_count = 1};
    box_spec_put(out, &spec);
    assert_false(out->failed);
}

// A sandbox that lives as long as box.lock_fd is open.
static struct store_box make_box(const struct store *store, int64_t created_ms, const char *color)
{
    struct store_box box;
    struct sbx_error err;
    cleanup_buf struct buf spec = BUF_INIT(BOX_SPEC_MAX);
    assert_int_equal(store_create(store, forever, &box, &err), 0);
    encode_spec(&spec, box.id, created_ms, color);
    put_file(box.lock_fd, BOX_FILE_SPEC, spec.data, spec.size);
    close(box.dir_fd);
    return box;
}

static bool exists(const struct store *store, const char *name)
{
    return faccessat(store->fd, name, F_OK, 0) == 0;
}

static struct store open_store(void)
{
    struct store store;
    struct sbx_error err;
    assert_int_equal(store_open(&store, &err), 0);
    return store;
}

static size_t count_boxes(const struct store *store, const struct sbx_pair *labels, size_t count)
{
    struct record *records;
    size_t found;
    struct sbx_error err;
    assert_int_equal(store_list(store, labels, count, &records, &found, &err), 0);
    store_list_free(records, found);
    return found;
}

static void lists_living_ones_oldest_first_by_label(void **state)
{
    cleanup_store struct store store = open_store();
    struct store_box young = make_box(&store, 200, "red"), old = make_box(&store, 100, "blue");
    struct record *records;
    size_t count;
    struct sbx_error err;
    assert_int_equal(store_list(&store, NULL, 0, &records, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_string_equal(records[0].spec.id, old.id);
    struct sbx_info info = record_info(&records[1]);
    assert_string_equal(info.labels[1].value, "red");
    assert_int_equal(info.ports[0].host_port, 8080);
    assert_int_equal(info.expires_ms, 1200);
    store_list_free(records, count);
    struct sbx_pair wanted = {"color", "red"}, other = {"color", "green"};
    assert_int_equal(count_boxes(&store, &wanted, 1), 1);
    assert_int_equal(count_boxes(&store, &other, 1), 0);
    close(young.lock_fd);
    close(old.lock_fd);
    assert_int_equal(count_boxes(&store, NULL, 0), 0);
    assert_false(exists(&store, young.id));
    assert_false(exists(&store, old.id));
}

static void finds_by_id_and_unique_prefix(void **state)
{
    cleanup_store struct store store = open_store();
    struct store_box box = make_box(&store, 1, "red"), twin = make_box(&store, 2, "red");
    const char *prefixes[] = {box.id, box.id + 3};
    char shorter[ID_SIZE];
    struct record record;
    struct sbx_error err;
    int fd;
    snprintf(shorter, sizeof(shorter), "%.*s", ID_SIZE - 2, box.id);
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
        assert_int_equal(store_find(&store, prefixes[i], &record, &fd, &err), 0);
        assert_string_equal(record.spec.id, box.id);
        record_deinit(&record);
        close(fd);
    }
    assert_int_equal(store_find(&store, shorter, &record, &fd, &err), 0);
    record_deinit(&record);
    close(fd);
    assert_int_equal(store_find(&store, "sb-", &record, &fd, &err), SBX_ERR_CONFLICT);
    const char *bad[] = {"", "../x", "sb-zzzzzzzzzzzz", "nosuch", "sb-\n", "/"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(store_find(&store, bad[i], &record, &fd, &err), SBX_ERR_NOT_FOUND);
    close(twin.lock_fd);
    assert_int_equal(store_find(&store, "sb-", &record, &fd, &err), 0);
    record_deinit(&record);
    close(fd);
    close(box.lock_fd);
    assert_int_equal(store_find(&store, box.id, &record, &fd, &err), SBX_ERR_NOT_FOUND);
    assert_int_equal(count_boxes(&store, NULL, 0), 0);
}

static void is_bare(const struct store *store, const char *id)
{
    struct record record;
    struct sbx_error err;
    int fd;
    assert_int_equal(store_find(store, id, &record, &fd, &err), 0);
    struct sbx_info info = record_info(&record);
    assert_string_equal(info.id, id);
    assert_int_equal(info.state, SBX_STATE_UNKNOWN);
    assert_int_equal(info.label_count, 0);
    record_deinit(&record);
    close(fd);
}

static void damaged_records_leave_a_bare_id(void **state)
{
    cleanup_store struct store store = open_store();
    struct store_box box = make_box(&store, 1, "red"), good = make_box(&store, 2, "red");
    cleanup_buf struct buf spec = BUF_INIT(BOX_SPEC_MAX);
    encode_spec(&spec, box.id, 1, "red");
    for (size_t cut = 0; cut < spec.size; cut += 7) {
        put_file(box.lock_fd, BOX_FILE_SPEC, spec.data, cut);
        assert_int_equal(count_boxes(&store, NULL, 0), 2);
        is_bare(&store, box.id);
    }
    cleanup_free char *large = calloc(1, BOX_SPEC_MAX * 2);
    put_file(box.lock_fd, BOX_FILE_SPEC, large, BOX_SPEC_MAX * 2);
    is_bare(&store, box.id);
    cleanup_buf struct buf foreign = BUF_INIT(BOX_SPEC_MAX);
    encode_spec(&foreign, good.id, 1, "red");
    put_file(box.lock_fd, BOX_FILE_SPEC, foreign.data, foreign.size);
    is_bare(&store, box.id);
    foreign.data[0]++; // another version
    put_file(box.lock_fd, BOX_FILE_SPEC, foreign.data, foreign.size);
    is_bare(&store, box.id);
    unlinkat(box.lock_fd, BOX_FILE_SPEC, 0);
    assert_int_equal(mkfifoat(box.lock_fd, BOX_FILE_SPEC, 0600), 0);
    is_bare(&store, box.id);
    unlinkat(box.lock_fd, BOX_FILE_SPEC, 0);
    assert_int_equal(symlinkat("/dev/zero", box.lock_fd, BOX_FILE_SPEC), 0);
    is_bare(&store, box.id);
    unlinkat(box.lock_fd, BOX_FILE_SPEC, 0);
    put_file(box.lock_fd, BOX_FILE_SPEC, spec.data, spec.size);
    put_file(box.lock_fd, BOX_FILE_STATE, "garbage", 7);
    assert_int_equal(count_boxes(&store, NULL, 0), 2);
    assert_int_equal(fchmod(box.lock_fd, 0777), 0);
    assert_int_equal(count_boxes(&store, NULL, 0), 1);
    assert_int_equal(fchmod(box.lock_fd, 0700), 0);
    close(box.lock_fd);
    close(good.lock_fd);
    assert_int_equal(count_boxes(&store, NULL, 0), 0);
}

static void foreign_things_stay(void **state)
{
    cleanup_store struct store store = open_store();
    struct store_box box = make_box(&store, 1, "red");
    put_file(store.fd, "notes.txt", "x", 1);
    assert_int_equal(mkdirat(store.fd, "mine", 0700), 0);
    assert_int_equal(symlinkat("/", store.fd, "sb-aaaaaaaaaaaa"), 0);
    put_file(store.fd, "sb-bbbbbbbbbbbb", "x", 1);
    put_file(box.lock_fd, "keep", "x", 1);
    close(box.lock_fd);
    assert_int_equal(count_boxes(&store, NULL, 0), 0);
    const char *names[] = {"notes.txt", "mine", "sb-aaaaaaaaaaaa", "sb-bbbbbbbbbbbb", box.id};
    char path[300];
    snprintf(path, sizeof(path), "%s/keep", box.id);
    assert_true(exists(&store, path));
    snprintf(path, sizeof(path), "%s/spec", box.id);
    assert_false(exists(&store, path));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        assert_true(exists(&store, names[i]));
        tree_remove(store.fd, names[i]);
    }
}

// A cgroup file that names something else must lead to nothing.
static void only_its_own_cgroups_are_removed(void **state)
{
    cleanup_store struct store store = open_store();
    struct store_box box = make_box(&store, 1, "red");
    char victim[300], text[900];
    snprintf(victim, sizeof(victim), "%s/%s", (char *)*state, box.id);
    assert_int_equal(mkdir(victim, 0700), 0);
    int length = snprintf(text, sizeof(text), "%s\n/sys/fs/cgroup/../../..%s\n", victim, victim);
    put_file(box.lock_fd, "cgroups", text, (size_t)length);
    close(box.lock_fd);
    assert_int_equal(count_boxes(&store, NULL, 0), 0);
    assert_false(exists(&store, box.id));
    assert_int_equal(rmdir(victim), 0);
}

static void wait_child(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

// Creates boxes and checks that nobody takes them for stale, while others sweep.
static int create_many(int rounds)
{
    cleanup_store struct store store;
    struct sbx_error err;
    if (store_open(&store, &err) < 0)
        return 1;
    for (int i = 0; i < rounds; i++) {
        struct store_box box;
        if (store_create(&store, forever, &box, &err) < 0)
            return 2;
        if (faccessat(store.fd, box.id, F_OK, 0) < 0)
            return 3;
        close(box.dir_fd);
        if (i % 2) // every other one crashes
            unlinkat(store.fd, box.id, AT_REMOVEDIR);
        close(box.lock_fd);
    }
    return 0;
}

static void sweepers_never_take_a_new_one(void **state)
{
    pid_t creators[3];
    for (size_t i = 0; i < ARRAY_SIZE(creators); i++)
        if ((creators[i] = fork()) == 0)
            _exit(create_many(300));
    cleanup_store struct store store = open_store();
    size_t running = ARRAY_SIZE(creators);
    while (running > 0) {
        assert_int_equal(count_boxes(&store, NULL, 0), 0);
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == 0)
            continue;
        assert_true(pid > 0);
        assert_int_equal(status, 0);
        running--;
    }
    assert_int_equal(count_boxes(&store, NULL, 0), 0);
    struct store_box box = make_box(&store, 1, "red");
    assert_int_equal(count_boxes(&store, NULL, 0), 1);
    close(box.lock_fd);
    assert_int_equal(count_boxes(&store, NULL, 0), 0);
}

// Adds one to a counter file without any atomicity of its own.
static int count_up(int dir_fd, int rounds)
{
    struct sbx_pair labels[] = {{"b", "2"}, {"a", "1"}};
    for (int i = 0; i < rounds; i++) {
        struct label_lock *lock;
        struct sbx_error err;
        char text[32];
        if (lock_labels(dir_fd, labels, 2, forever, &lock, &err) < 0)
            return 1;
        long value = fd_read_file(dir_fd, "counter", text, sizeof(text)) > 0 ? atol(text) : 0;
        int fd = openat(dir_fd, "counter", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dprintf(fd, "%ld", value + 1);
        close(fd);
        lock_release(lock);
        struct sbx_pair swapped = labels[0];
        labels[0] = labels[1];
        labels[1] = swapped;
    }
    return 0;
}

static void label_locks_exclude_and_leave_nothing(void **state)
{
    cleanup_fd int dir_fd = open(*state, O_RDONLY | O_DIRECTORY);
    pid_t children[3];
    for (size_t i = 0; i < ARRAY_SIZE(children); i++)
        if ((children[i] = fork()) == 0)
            _exit(count_up(dir_fd, 40));
    for (size_t i = 0; i < ARRAY_SIZE(children); i++)
        wait_child(children[i]);
    char text[32];
    assert_true(fd_read_file(dir_fd, "counter", text, sizeof(text)) > 0);
    assert_string_equal(text, "120");
    unlinkat(dir_fd, "counter", 0);
    struct sbx_pair label = {"a", "1"}, other = {"a", "2"};
    struct label_lock *lock, *second;
    struct sbx_error err;
    assert_int_equal(lock_labels(dir_fd, &label, 1, forever, &lock, &err), 0);
    assert_int_equal(lock_labels(dir_fd, &label, 1, deadline_in(5), &second, &err),
                     SBX_ERR_TIMEOUT);
    assert_int_equal(lock_labels(dir_fd, &other, 1, forever, &second, &err), 0);
    lock_release(second);
    lock_release(lock);
}

static void a_runtime_directory_of_others_is_refused(void **state)
{
    char path[256], ret[512];
    struct sbx_error err;
    int fd;
    snprintf(path, sizeof(path), "%s/other", (char *)*state);
    setenv("SANDBOXES_RUNTIME_DIR", path, 1);
    assert_int_equal(dirs_open_runtime(ret, sizeof(ret), &fd, &err), 0);
    close(fd);
    assert_int_equal(chmod(path, 0750), 0);
    assert_int_equal(dirs_open_runtime(ret, sizeof(ret), &fd, &err), SBX_ERR_SETUP);
    assert_non_null(strstr(err.remedy, path));
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink(*state, path), 0);
    assert_int_equal(dirs_open_runtime(ret, sizeof(ret), &fd, &err), SBX_ERR_SETUP);
    unlink(path);
    setenv("SANDBOXES_RUNTIME_DIR", "relative", 1);
    assert_int_equal(dirs_open_runtime(ret, sizeof(ret), &fd, &err), SBX_ERR_INVALID);
    if (geteuid() == 0) {
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(chown(path, 1, 1), 0);
        setenv("SANDBOXES_RUNTIME_DIR", path, 1);
        assert_int_equal(dirs_open_runtime(ret, sizeof(ret), &fd, &err), SBX_ERR_SETUP);
    }
}

// Elsewhere instead, its sandboxes would never be found again.
static void a_runtime_directory_that_cant_be_looked_at_is_not_passed_over(void **state)
{
    char path[256], ret[512];
    struct sbx_error err;
    int fd;
    snprintf(path, sizeof(path), "%s/loop", (char *)*state);
    assert_int_equal(symlink("loop", path), 0);
    unsetenv("SANDBOXES_RUNTIME_DIR");
    setenv("XDG_RUNTIME_DIR", path, 1);
    assert_int_equal(dirs_open_runtime(ret, sizeof(ret), &fd, &err), SBX_ERR_SETUP);
    assert_non_null(strstr(err.message, path));
    unlink(path);
    setenv("XDG_RUNTIME_DIR", *state, 1);
    assert_int_equal(dirs_open_runtime(ret, sizeof(ret), &fd, &err), 0);
    close(fd);
    assert_int_equal(strncmp(ret, *state, strlen(*state)), 0);
}

// Accounts of services have a home that is not there, on purpose.
static void a_home_that_is_not_there_is_not_made(void **state)
{
    char home[256], ret[512];
    struct sbx_error err;
    snprintf(home, sizeof(home), "%s/absent", (char *)*state);
    setenv("HOME", home, 1);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("SANDBOXES_CACHE_DIR");
    assert_int_equal(dirs_cache(ret, sizeof(ret), &err), 0);
    assert_int_equal(access(home, F_OK), -1);
    assert_int_equal(strncmp(ret, "/var/tmp/", 9), 0);
    rmdir(ret); // unless others use it
    assert_int_equal(mkdir(home, 0700), 0);
    assert_int_equal(dirs_cache(ret, sizeof(ret), &err), 0);
    assert_int_equal(strncmp(ret, home, strlen(home)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_living_ones_oldest_first_by_label),
        cmocka_unit_test(finds_by_id_and_unique_prefix),
        cmocka_unit_test(damaged_records_leave_a_bare_id),
        cmocka_unit_test(foreign_things_stay),
        cmocka_unit_test(only_its_own_cgroups_are_removed),
        cmocka_unit_test(sweepers_never_take_a_new_one),
        cmocka_unit_test(label_locks_exclude_and_leave_nothing),
        cmocka_unit_test(a_runtime_directory_of_others_is_refused),
        cmocka_unit_test(a_runtime_directory_that_cant_be_looked_at_is_not_passed_over),
        cmocka_unit_test(a_home_that_is_not_there_is_not_made),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
