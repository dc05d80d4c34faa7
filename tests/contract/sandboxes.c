// SPDX-License-Identifier: Apache-2.0
// Contract: life of sandboxes, finding them, their time to live, ports, metrics, mounts.
#include "contract.h"

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static struct sbx_info info_of(struct sbx_sandbox *sandbox)
{
    struct sbx_info info = SBX_INFO_INIT;
    ok(sbx_sandbox_info(sandbox, NULL, &info, &err));
    return info;
}

static void a_sandbox_says_what_it_is(void **state)
{
    struct sbx_info info = info_of(suite.sandbox);
    assert_string_equal(info.id, sbx_sandbox_id(suite.sandbox));
    assert_string_equal(info.provider, suite.provider);
    assert_string_equal(sbx_sandbox_provider(suite.sandbox), suite.provider);
    assert_int_equal(info.state, SBX_STATE_RUNNING);
    assert_non_null(info.image);
    assert_true(info.created_ms / 1000 >= time(NULL) - 1000 &&
                info.created_ms / 1000 <= time(NULL) + 100);
}

static void its_labels_are_told_in_order(void **state)
{
    struct sbx_pair labels[] = {
        {"z", "last"}, {"contract", suite.run}, {"a.b/c-d_e", "\xc3\xbc \"'"}, {"empty", ""}};
    struct sbx_spec spec = spec_with(NULL, NULL);
    spec.labels = labels;
    spec.label_count = 4;
    struct sbx_sandbox *sandbox = create(&spec);
    struct sbx_info info = info_of(sandbox);
    assert_int_equal(info.label_count, 4);
    assert_string_equal(info.labels[0].name, "a.b/c-d_e");
    assert_string_equal(info.labels[0].value, "\xc3\xbc \"'");
    assert_string_equal(info.labels[1].name, "contract");
    assert_string_equal(info.labels[2].value, "");
    assert_string_equal(info.labels[3].name, "z");
    destroy(sandbox);
}

static void sandboxes_are_apart(void **state)
{
    struct sbx_sandbox *a = create_plain(), *b = create_plain();
    assert_string_not_equal(sbx_sandbox_id(a), sbx_sandbox_id(b));
    expect_out(sh(a, "echo a > /tmp/own; cat /tmp/own"), "a\n");
    expect_out(sh(b, "test -e /tmp/own || echo none"), "none\n");
    destroy(a);
    expect_out(sh(b, "echo alive"), "alive\n");
    destroy(b);
}

static void the_list_has_the_living_oldest_first(void **state)
{
    struct sbx_spec spec = spec_with("case", "list");
    struct sbx_sandbox *a = create(&spec), *b = create(&spec);
    struct sbx_list list;
    spec = spec_with("case", "list");
    ok(sbx_sandbox_list(suite.client, suite.provider, spec.labels, 2, NULL, &list, &err));
    assert_int_equal(list.count, 2);
    assert_true(list.items[0].created_ms <= list.items[1].created_ms);
    bool in_order = strcmp(list.items[0].id, sbx_sandbox_id(a)) == 0;
    assert_true(in_order || list.items[0].created_ms == list.items[1].created_ms);
    assert_string_equal(list.items[0].provider, suite.provider);
    assert_int_equal(list.items[1].label_count, 2);
    assert_int_equal(list.items[1].state, SBX_STATE_RUNNING);
    destroy(a);
    assert_string_equal(list.items[0].labels[0].name, "case"); // the list has its own strings
    sbx_list_free(&list);
    sbx_list_free(&list);
    assert_int_equal(living("case", "list"), 1);
    destroy(b);
    assert_int_equal(living("case", "list"), 0);
}

static void only_sandboxes_with_all_labels_are_listed(void **state)
{
    struct sbx_spec spec = spec_with("case", "all");
    struct sbx_sandbox *sandbox = create(&spec);
    assert_int_equal(living("case", "all"), 1);
    assert_int_equal(living("case", "al"), 0);
    assert_int_equal(living("cas", "all"), 0);
    struct sbx_pair labels[] = {{"case", "all"}, {"contract", suite.run}, {"more", "x"}};
    struct sbx_list list;
    ok(sbx_sandbox_list(suite.client, suite.provider, labels, 3, NULL, &list, &err));
    assert_int_equal(list.count, 0);
    sbx_list_free(&list);
    destroy(sandbox);
}

static void the_oldest_with_the_labels_is_found(void **state)
{
    struct sbx_spec spec = spec_with("case", "find");
    struct sbx_sandbox *found = NULL, *a = create(&spec);
    usleep(2000); // creation times are in milliseconds
    struct sbx_sandbox *b = create(&spec);
    spec = spec_with("case", "find");
    ok(sbx_sandbox_find(suite.client, suite.provider, spec.labels, 2, NULL, &found, &err));
    assert_string_equal(sbx_sandbox_id(found), sbx_sandbox_id(a));
    sbx_sandbox_free(found);
    destroy(a);
    ok(sbx_sandbox_find(suite.client, suite.provider, spec.labels, 2, NULL, &found, &err));
    assert_string_equal(sbx_sandbox_id(found), sbx_sandbox_id(b));
    sbx_sandbox_free(found);
    destroy(b);
    fails(SBX_ERR_NOT_FOUND,
          sbx_sandbox_find(suite.client, suite.provider, spec.labels, 2, NULL, &found, &err));
}

static void an_id_opens_the_same_sandbox(void **state)
{
    struct sbx_sandbox *same = NULL;
    sh(suite.sandbox, "echo marked > /tmp/mark");
    ok(sbx_sandbox_get(suite.client, suite.provider, sbx_sandbox_id(suite.sandbox), NULL, &same,
                       &err));
    assert_string_equal(sbx_sandbox_id(same), sbx_sandbox_id(suite.sandbox));
    expect_out(sh(same, "cat /tmp/mark"), "marked\n");
    sbx_sandbox_free(same);
    ok(sbx_sandbox_get(suite.client, NULL, sbx_sandbox_id(suite.sandbox), NULL, &same, &err));
    assert_string_equal(sbx_sandbox_provider(same), suite.provider);
    sbx_sandbox_free(same);
}

static void the_beginning_of_an_id_is_enough_if_it_is_the_only_one(void **state)
{
    struct sbx_sandbox *other = create_plain(), *same = NULL;
    const char *id = sbx_sandbox_id(suite.sandbox), *second = sbx_sandbox_id(other);
    size_t shared = 0;
    while (id[shared] && id[shared] == second[shared])
        shared++;
    char prefix[128];
    snprintf(prefix, sizeof(prefix), "%.*s", (int)shared + 6, id);
    ok(sbx_sandbox_get(suite.client, suite.provider, prefix, NULL, &same, &err));
    assert_string_equal(sbx_sandbox_id(same), id);
    sbx_sandbox_free(same);
    snprintf(prefix, sizeof(prefix), "%.*s", (int)shared, id);
    if (shared > 0)
        fails(SBX_ERR_CONFLICT,
              sbx_sandbox_get(suite.client, suite.provider, prefix, NULL, &same, &err));
    destroy(other);
}

static void an_unknown_id_is_not_found(void **state)
{
    struct sbx_sandbox *sandbox;
    fails(SBX_ERR_NOT_FOUND,
          sbx_sandbox_get(suite.client, suite.provider, "sb-000000000000", NULL, &sandbox, &err));
    assert_non_null(strstr(err.message, "sb-000000000000"));
    assert_string_equal(err.origin, suite.provider);
}

static void get_or_create_makes_one_and_finds_it_again(void **state)
{
    struct sbx_spec spec = spec_with("case", "get-or-create");
    struct sbx_sandbox *first, *second;
    uint32_t created = 7;
    ok(sbx_sandbox_get_or_create(suite.client, &spec, NULL, &first, &created, &err));
    assert_int_equal(created, 1);
    ok(sbx_sandbox_get_or_create(suite.client, &spec, NULL, &second, &created, &err));
    assert_int_equal(created, 0);
    assert_string_equal(sbx_sandbox_id(first), sbx_sandbox_id(second));
    sbx_sandbox_free(second);
    destroy(first);
    ok(sbx_sandbox_get_or_create(suite.client, &spec, NULL, &first, NULL, &err));
    destroy(first);
}

static void *get_or_create_in_thread(void *spec)
{
    struct sbx_sandbox *sandbox = NULL;
    struct sbx_error mine;
    return sbx_sandbox_get_or_create(suite.client, spec, NULL, &sandbox, NULL, &mine) == 0 ? sandbox
                                                                                           : NULL;
}

static void threads_that_race_for_labels_get_one_sandbox(void **state)
{
    struct sbx_spec spec = spec_with("case", "thread-race");
    pthread_t threads[4];
    void *sandboxes[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_or_create_in_thread, &spec), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], &sandboxes[i]);
    for (int i = 0; i < 4; i++)
        assert_non_null(sandboxes[i]);
    for (int i = 1; i < 4; i++) {
        assert_string_equal(sbx_sandbox_id(sandboxes[i]), sbx_sandbox_id(sandboxes[0]));
        sbx_sandbox_free(sandboxes[i]);
    }
    assert_int_equal(living("case", "thread-race"), 1);
    destroy(sandboxes[0]);
}

struct other {
    pid_t pid;
    FILE *in, *out;
};

// Another process that uses the library: see helper() in main.c.
static struct other spawn_other(const char *mode, const char *label)
{
    int in[2], out[2];
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    struct other other = {.pid = fork()};
    if (other.pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[0]);
        close(in[1]);
        close(out[0]);
        close(out[1]);
        execl(suite.self, suite.self, suite.provider, "--helper", mode, label, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    other.in = fdopen(in[1], "w");
    other.out = fdopen(out[0], "r");
    return other;
}

static void read_id(struct other *other, char id[128])
{
    id[0] = '\0';
    assert_non_null(fgets(id, 128, other->out));
    id[strcspn(id, "\n")] = '\0';
}

static int wait_other(struct other *other)
{
    int status = 0;
    fclose(other->in);
    fclose(other->out);
    waitpid(other->pid, &status, 0);
    return status;
}

static void processes_that_race_for_labels_get_one_sandbox(void **state)
{
    struct other others[4];
    char ids[4][128];
    for (int i = 0; i < 4; i++)
        others[i] = spawn_other("race", "process-race");
    for (int i = 0; i < 4; i++)
        read_id(&others[i], ids[i]);
    for (int i = 0; i < 4; i++)
        assert_int_equal(wait_other(&others[i]), 0);
    for (int i = 1; i < 4; i++)
        assert_string_equal(ids[i], ids[0]);
    assert_int_equal(living("case", "process-race"), 1);
}

static void a_sandbox_outlives_the_process_that_made_it(void **state)
{
    struct other other = spawn_other("make", "outlive");
    struct sbx_sandbox *sandbox;
    char id[128];
    read_id(&other, id);
    assert_int_equal(wait_other(&other), 0);
    ok(sbx_sandbox_get(suite.client, suite.provider, id, NULL, &sandbox, &err));
    expect_out(sh(sandbox, "echo alive"), "alive\n");
    destroy(sandbox);
}

static void a_tied_sandbox_ends_with_its_maker(void **state)
{
    struct other other = spawn_other("tied", "tied");
    char id[128];
    read_id(&other, id);
    assert_int_equal(living("case", "tied"), 1);
    kill(other.pid, SIGKILL);
    wait_other(&other);
    assert_true(gone_within(id, 60)); // a service gets no word of it: a short life runs out
}

static void what_is_destroyed_is_gone(void **state)
{
    struct sbx_sandbox *sandbox = create_plain(), *again;
    struct sbx_info info = SBX_INFO_INIT;
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result;
    ok(sbx_sandbox_destroy(sandbox, NULL, &err));
    fails(SBX_ERR_NOT_FOUND, sbx_sandbox_destroy(sandbox, NULL, &err));
    fails(SBX_ERR_NOT_FOUND, sbx_sandbox_info(sandbox, NULL, &info, &err));
    fails(SBX_ERR_NOT_FOUND, sbx_sandbox_get(suite.client, suite.provider, sbx_sandbox_id(sandbox),
                                             NULL, &again, &err));
    exec.shell = "true";
    fails(SBX_ERR_NOT_FOUND, sbx_run(sandbox, &exec, NULL, &result, &err));
    sbx_sandbox_free(sandbox);
}

static void destroying_ends_its_commands(void **state)
{
    struct sbx_sandbox *sandbox = create_plain();
    struct sbx_process *process;
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_event event;
    exec.shell = "echo ready; sleep 1000";
    ok(sbx_process_start(sandbox, &exec, NULL, &process, &err));
    read_until(process, "ready\n");
    ok(sbx_sandbox_destroy(sandbox, NULL, &err));
    int code = sbx_process_read(process, NULL, &event, &err);
    assert_true(code == SBX_ERR_UNAVAILABLE || code == SBX_ERR_NOT_FOUND);
    sbx_process_free(process);
    sbx_sandbox_free(sandbox);
}

static void the_time_to_live_ends_a_sandbox(void **state)
{
    struct sbx_spec spec = spec_with(NULL, NULL);
    spec.ttl_ms = 700;
    struct sbx_sandbox *sandbox = create(&spec);
    struct sbx_info info = info_of(sandbox);
    assert_true(info.expires_ms > info.created_ms && info.expires_ms <= info.created_ms + 5000);
    assert_true(gone_within(sbx_sandbox_id(sandbox), 30));
    fails(SBX_ERR_NOT_FOUND, sbx_sandbox_destroy(sandbox, NULL, &err));
    sbx_sandbox_free(sandbox);
}

static void the_time_to_live_ends_running_commands(void **state)
{
    struct sbx_spec spec = spec_with(NULL, NULL);
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result;
    spec.ttl_ms = 500;
    exec.shell = "sleep 1000";
    struct sbx_sandbox *sandbox = create(&spec);
    int code = sbx_run(sandbox, &exec, NULL, &result, &err);
    assert_true(code == SBX_ERR_UNAVAILABLE || code == SBX_ERR_NOT_FOUND);
    sbx_sandbox_free(sandbox);
}

static void the_time_to_live_can_be_changed(void **state)
{
    struct sbx_spec spec = spec_with(NULL, NULL);
    spec.ttl_ms = 600000;
    struct sbx_sandbox *sandbox = create(&spec);
    int64_t before = info_of(sandbox).expires_ms;
    ok(sbx_sandbox_set_ttl(sandbox, 1200000, NULL, &err));
    assert_true(info_of(sandbox).expires_ms > before + 300000);
    ok(sbx_sandbox_set_ttl(sandbox, 300, NULL, &err));
    assert_true(gone_within(sbx_sandbox_id(sandbox), 30));
    sbx_sandbox_free(sandbox);
}

static void a_time_to_live_can_be_taken_away(void **state)
{
    struct sbx_spec spec = spec_with(NULL, NULL);
    spec.ttl_ms = 600;
    struct sbx_sandbox *sandbox = create(&spec);
    int code = sbx_sandbox_set_ttl(sandbox, -1, NULL, &err);
    if (code == SBX_ERR_UNSUPPORTED) { // a service may insist on an end
        destroy(sandbox);
        skip();
    }
    ok(code);
    assert_int_equal(info_of(sandbox).expires_ms, 0);
    usleep(900000);
    expect_out(sh(sandbox, "echo alive"), "alive\n");
    destroy(sandbox);
}

static void the_spec_s_environment_and_directory_reach_commands(void **state)
{
    struct sbx_pair env[] = {{"FROM_SPEC", "a b"}, {"CHANGED", "spec"}};
    struct sbx_spec spec = spec_with(NULL, NULL);
    spec.env = env;
    spec.env_count = 2;
    spec.workdir = "/tmp";
    struct sbx_sandbox *sandbox = create(&spec);
    expect_out(sh(sandbox, "printf '%s|%s|' \"$FROM_SPEC\" \"$CHANGED\"; pwd"), "a b|spec|/tmp\n");
    struct sbx_pair more = {"CHANGED", "exec"};
    struct sbx_exec exec = SBX_EXEC_INIT;
    exec.shell = "printf '%s|%s' \"$FROM_SPEC\" \"$CHANGED\"";
    exec.env = &more;
    exec.env_count = 1;
    expect_out(run(sandbox, &exec), "a b|exec");
    destroy(sandbox);
}

static void the_spec_s_user_is_the_default(void **state)
{
    struct sbx_spec spec = spec_with(NULL, NULL);
    spec.user = "root";
    struct sbx_sandbox *sandbox = create(&spec);
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result = {0};
    exec.shell = "id -u";
    int code = sbx_run(sandbox, &exec, NULL, &result, &err);
    if (code == SBX_ERR_UNSUPPORTED) // a service that did not know when it made the sandbox
        sbx_sandbox_destroy(sandbox, NULL, NULL);
    skip_if_lacking(code);
    ok(code);
    expect_out(&result, "0\n");
    sbx_result_deinit(&result);
    assert_string_equal(info_of(sandbox).user, "root");
    destroy(sandbox);
}

static void an_unknown_image_is_an_error_and_leaves_nothing(void **state)
{
    struct sbx_spec spec = spec_with("case", "image");
    struct sbx_sandbox *sandbox = NULL;
    spec.image = "localhost:1/no-such-image-anywhere";
    assert_true(sbx_sandbox_create(suite.client, &spec, NULL, &sandbox, &err) < 0);
    assert_null(sandbox);
    assert_non_null(strstr(err.message, "no-such-image-anywhere"));
    assert_int_equal(living("case", "image"), 0);
}

static void a_cancelled_creation_leaves_nothing(void **state)
{
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_spec spec = spec_with("case", "cancelled");
    struct sbx_sandbox *sandbox = NULL;
    ok(sbx_cancel_new(&call.cancel, &err));
    sbx_cancel_trigger(call.cancel);
    fails(SBX_ERR_CANCELLED, sbx_sandbox_create(suite.client, &spec, &call, &sandbox, &err));
    assert_null(sandbox);
    assert_int_equal(living("case", "cancelled"), 0);
    sbx_cancel_free(call.cancel);
}

static void metrics_are_plausible(void **state)
{
    struct sbx_metrics before = SBX_METRICS_INIT, after = SBX_METRICS_INIT;
    struct sbx_process *process;
    struct sbx_exec exec = SBX_EXEC_INIT;
    exec.shell = "head -c 3000000 /dev/zero > /tmp/measured; echo ready; sleep 1000";
    ok(sbx_sandbox_metrics(suite.sandbox, NULL, &before, &err));
    ok(sbx_process_start(suite.sandbox, &exec, NULL, &process, &err));
    read_until(process, "ready\n");
    ok(sbx_sandbox_metrics(suite.sandbox, NULL, &after, &err));
    assert_true(after.pids >= 1);
    assert_true(after.cpu_usec >= before.cpu_usec && after.cpu_usec < 3600000000ull);
    assert_true(after.memory_bytes > 0);
    assert_true(after.memory_peak_bytes >= after.memory_bytes || after.memory_peak_bytes == 0);
    assert_true(after.disk_bytes >= before.disk_bytes + 2900000);
    assert_true(after.disk_limit_bytes == 0 || after.disk_limit_bytes > after.disk_bytes);
    assert_int_equal(after.oom_kills, 0);
    sbx_process_free(process);
    sh(suite.sandbox, "rm -f /tmp/measured");
}

static void asked_limits_are_told(void **state)
{
    struct sbx_spec spec = spec_with(NULL, NULL);
    struct sbx_sandbox *sandbox = NULL;
    spec.memory_bytes = 256 << 20;
    spec.cpu_millis = 1500;
    spec.max_pids = 100;
    int code = sbx_sandbox_create(suite.client, &spec, NULL, &sandbox, &err);
    if (code == SBX_ERR_UNSUPPORTED && strstr(err.message, "limit of processes")) {
        spec.memory_bytes = 1 << 30; // a service that counts in whole units
        spec.cpu_millis = 1000;
        spec.max_pids = 0;
        code = sbx_sandbox_create(suite.client, &spec, NULL, &sandbox, &err);
    }
    skip_if_lacking(code);
    ok(code);
    struct sbx_info info = info_of(sandbox);
    assert_int_equal(info.memory_bytes, spec.memory_bytes);
    assert_int_equal(info.cpu_millis, spec.cpu_millis);
    assert_int_equal(info.max_pids, spec.max_pids);
    destroy(sandbox);
}

static void the_asked_network_is_told(void **state)
{
    struct sbx_spec spec = spec_with(NULL, NULL);
    spec.network = SBX_NETWORK_NONE;
    struct sbx_sandbox *sandbox = create(&spec);
    assert_int_equal(info_of(sandbox).network, SBX_NETWORK_NONE);
    destroy(sandbox);
}

static void the_network_can_be_changed(void **state)
{
    static const char *const allow[] = {"192.0.2.0/24"};
    struct sbx_spec spec = spec_with(NULL, NULL);
    spec.network = SBX_NETWORK_INTERNET;
    struct sbx_sandbox *sandbox = create(&spec);
    int code = sbx_sandbox_set_network(sandbox, SBX_NETWORK_NONE, NULL, 0, NULL, &err);
    if (code == SBX_ERR_UNSUPPORTED) {
        destroy(sandbox);
        skip();
    }
    ok(code);
    assert_int_equal(info_of(sandbox).network, SBX_NETWORK_NONE);
    ok(sbx_sandbox_set_network(sandbox, SBX_NETWORK_ALLOW, allow, 1, NULL, &err));
    assert_int_equal(info_of(sandbox).network, SBX_NETWORK_ALLOW);
    expect_out(sh(sandbox, "echo alive"), "alive\n");
    destroy(sandbox);
}

static void a_mount_shows_this_machine_s_files_read_only(void **state)
{
    char source[] = "/tmp/contract-mount-XXXXXX", file[64];
    assert_non_null(mkdtemp(source));
    assert_int_equal(chmod(source, 0777), 0);
    snprintf(file, sizeof(file), "%s/file", source);
    FILE *out = fopen(file, "w");
    fputs("from here", out);
    fclose(out);
    struct sbx_mount mounts[] = {{source, "/mnt/read", 0},
                                 {source, "/mnt/write", SBX_MOUNT_WRITABLE}};
    struct sbx_spec spec = spec_with(NULL, NULL);
    spec.mounts = mounts;
    spec.mount_count = 2;
    struct sbx_sandbox *sandbox = create(&spec);
    expect_out(sh(sandbox, "cat /mnt/read/file"), "from here");
    assert_int_not_equal(sh(sandbox, "echo x > /mnt/read/other")->outcome.exit_code, 0);
    assert_int_equal(sh(sandbox, "echo x > /mnt/write/other")->outcome.exit_code, 0);
    destroy(sandbox);
    snprintf(file, sizeof(file), "%s/other", source);
    assert_int_equal(unlink(file), 0);
    snprintf(file, sizeof(file), "%s/file", source);
    unlink(file);
    assert_int_equal(rmdir(source), 0);
}

// One line from a server at 127.0.0.1:port, tried until it listens.
static bool read_line_from(const char *url, char *line, int size)
{
    const char *colon = strrchr(url, ':');
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)(colon ? atoi(colon + 1) : 0));
    for (int i = 0; i < 200; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool up = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
        ssize_t got = up ? read(fd, line, (size_t)size - 1) : 0;
        close(fd);
        if (got > 0) {
            line[got] = '\0';
            return true;
        }
        usleep(50000);
    }
    return false;
}

static void an_exposed_port_is_reachable(void **state)
{
    struct sbx_port port = {.port = 8123};
    struct sbx_process *process;
    struct sbx_exec exec = SBX_EXEC_INIT;
    char url[256] = "", line[64] = "";
    if (sh(suite.sandbox, "python3 -c pass")->outcome.exit_code != 0)
        skip(); // no server to start
    exec.shell = "exec python3 -c 'import socket\n"
                 "s = socket.create_server((\"127.0.0.1\", 8123))\n"
                 "while True:\n"
                 "    c = s.accept()[0]\n"
                 "    c.sendall(b\"served\\n\")\n"
                 "    c.close()\n'";
    ok(sbx_process_start(suite.sandbox, &exec, NULL, &process, &err));
    ok(sbx_sandbox_expose(suite.sandbox, &port, NULL, url, sizeof(url), &err));
    if (strncmp(url, "127.0.0.1:", 10) == 0) {
        assert_true(read_line_from(url, line, sizeof(line)));
        assert_string_equal(line, "served\n");
    }
    assert_true(url[0] != '\0');
    sbx_process_free(process);
}

static void a_paused_sandbox_resumes(void **state)
{
    struct sbx_sandbox *sandbox = create_plain();
    int code = sbx_sandbox_pause(sandbox, NULL, &err);
    skip_if_lacking(code);
    ok(code);
    assert_int_equal(info_of(sandbox).state, SBX_STATE_PAUSED);
    ok(sbx_sandbox_resume(sandbox, NULL, &err));
    assert_int_equal(info_of(sandbox).state, SBX_STATE_RUNNING);
    expect_out(sh(sandbox, "echo awake"), "awake\n");
    destroy(sandbox);
}

const struct contract_case sandbox_cases[] = {
    CASE(a_sandbox_says_what_it_is, 0),
    CASE(its_labels_are_told_in_order, SBX_CAP_LABELS),
    CASE(sandboxes_are_apart, 0),
    CASE(the_list_has_the_living_oldest_first, SBX_CAP_LABELS),
    CASE(only_sandboxes_with_all_labels_are_listed, SBX_CAP_LABELS),
    CASE(the_oldest_with_the_labels_is_found, SBX_CAP_LABELS),
    CASE(an_id_opens_the_same_sandbox, 0),
    CASE(the_beginning_of_an_id_is_enough_if_it_is_the_only_one, 0),
    CASE(an_unknown_id_is_not_found, 0),
    CASE(get_or_create_makes_one_and_finds_it_again, SBX_CAP_LABELS),
    CASE(threads_that_race_for_labels_get_one_sandbox, SBX_CAP_LABELS),
    CASE(processes_that_race_for_labels_get_one_sandbox, SBX_CAP_LABELS | SBX_CAP_PERSISTENT),
    CASE(a_sandbox_outlives_the_process_that_made_it, SBX_CAP_LABELS | SBX_CAP_PERSISTENT),
    CASE(a_tied_sandbox_ends_with_its_maker, SBX_CAP_LABELS | SBX_CAP_PERSISTENT),
    CASE(what_is_destroyed_is_gone, 0),
    CASE(destroying_ends_its_commands, 0),
    CASE(the_time_to_live_ends_a_sandbox, SBX_CAP_TTL),
    CASE(the_time_to_live_ends_running_commands, SBX_CAP_TTL),
    CASE(the_time_to_live_can_be_changed, SBX_CAP_TTL),
    CASE(a_time_to_live_can_be_taken_away, SBX_CAP_TTL),
    CASE(the_spec_s_environment_and_directory_reach_commands, 0),
    CASE(the_spec_s_user_is_the_default, SBX_CAP_USERS),
    CASE(an_unknown_image_is_an_error_and_leaves_nothing, SBX_CAP_LABELS),
    CASE(a_cancelled_creation_leaves_nothing, SBX_CAP_LABELS),
    CASE(metrics_are_plausible, SBX_CAP_METRICS),
    CASE(asked_limits_are_told, SBX_CAP_LIMITS),
    CASE(the_asked_network_is_told, SBX_CAP_NETWORK),
    CASE(the_network_can_be_changed, SBX_CAP_NETWORK),
    CASE(a_mount_shows_this_machine_s_files_read_only, SBX_CAP_MOUNTS),
    CASE(an_exposed_port_is_reachable, SBX_CAP_PORTS),
    CASE(a_paused_sandbox_resumes, SBX_CAP_PAUSE),
    {0},
};
