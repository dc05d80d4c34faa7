// SPDX-License-Identifier: Apache-2.0
// Agent: what a broken host, a hostile program and a poor machine do to it.
#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

static void assert_works(struct box *box)
{
    char text[16];
    assert_int_equal(run_line(box, "echo fine", 0, text, sizeof(text)).code, 0);
    assert_string_equal(text, "fine\n");
}

static long agent_field(struct box *box, const char *file, const char *field)
{
    char line[128], text[64];
    snprintf(line, sizeof(line), "awk '/^%s/ {print $2}' /proc/1/%s", field, file);
    run_line(box, line, 0, text, sizeof(text));
    return atol(text);
}

static void garbage_ends_the_connection(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } rows[] = {
        {"\xff\xff\xff\xff\x01\0\0\0\0\0\0\0", 12},    // a size over the limit
        {"\0\0\0\0\x63\0\0\0\0\0\0\0", 12},            // an unknown type
        {"\0\0\0\0\x20\0\0\0\0\0\0\0", 12},            // an answer
        {"\0\0\0\0\x07\0\0\0\x01\0\0\0", 12},          // another channel
        {"\x04\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0", 16},  // EXEC that is too short
        {"\x03\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0", 15},  // ATTACH, likewise
        {"\x04\0\0\0\x09\0\0\0\0\0\0\0\0\0\x01\0", 16} // CONNECT to port 65536
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct link *link = link_open(*state);
        assert_int_equal(write(link->fd, rows[i].bytes, rows[i].size), rows[i].size);
        link_expect_end(link);
        link_close(link);
    }
    assert_works(*state);
}

static void cut_frames_are_waited_for_and_forgotten(void **state)
{
    struct link *cut = link_open(*state), *slow = link_open(*state);
    const char bytes[] = "\0\0\0\0\x07\0\0\0\0\0\0\0"; // PROCESSES
    assert_int_equal(write(cut->fd, bytes, 5), 5);
    link_close(cut);
    for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
        assert_int_equal(write(slow->fd, bytes + i, 1), 1);
        usleep(2000);
    }
    while (link_receive(slow)->type == AGENT_PROCESS)
        ;
    assert_int_equal(slow->frame.type, AGENT_DONE);
    link_close(slow);
}

static void a_second_request_meanwhile_ends_the_connection(void **state)
{
    struct link *link = link_open(*state);
    start_shell(link, "exec sleep 61", 0);
    link_send(link, AGENT_PROCESSES, NULL);
    link_expect_end(link);
    link_close(link);
    assert_works(*state);
}

static void late_steering_does_not_take_descriptors(void **state)
{
    // INPUT for an ended command and the next EXEC in one write: the descriptors are for the
    // latter.
    int out[2];
    char text[16] = "";
    cleanup_buf struct buf exec = BUF_INIT(4096), both = BUF_INIT(8192);
    const char *argv[] = {"echo", "mine", NULL};
    struct link *link = link_open(*state);
    start_shell(link, "exit 0", 0);
    collect(link, NULL, NULL);
    agent_exec_put(
        &exec, &(struct agent_exec){.cwd = "", .user = "", .shell = "", .argv = argv, .argc = 2});
    frame_put(&both, AGENT_INPUT, 0, "x", 1);
    assert_int_equal(write(link->fd, both.data, both.size), both.size);
    assert_int_equal(fd_pipe(out), 0);
    cleanup_fd int null = open("/dev/null", O_RDWR);
    link_send_fds(link, AGENT_EXEC, &exec, (int[3]){null, out[1], null});
    close(out[1]);
    link_expect(link, AGENT_STARTED);
    assert_int_equal(expect_exit(link).code, 0);
    assert_int_equal(fd_read_full(out[0], text, sizeof(text)), 5);
    assert_string_equal(text, "mine\n");
    close(out[0]);
    link_close(link);
}

static int count_fds(struct box *box)
{
    char text[64];
    run_line(box, "sleep 0.05; ls /proc/1/fd | wc -l", 0, text, sizeof(text));
    return atoi(text);
}

static void descriptors_do_not_pile_up(void **state)
{
    cleanup_fd int null = open("/dev/null", O_RDWR);
    int before = count_fds(*state);
    struct link *link = link_open(*state);
    for (int i = 0; i < 50; i++)
        link_send_fds(link, AGENT_INPUT_END, NULL, (int[3]){null, null, null});
    // Wrong numbers of them are refused.
    cleanup_buf struct buf exec = BUF_INIT(4096);
    agent_exec_put(&exec, &(struct agent_exec){.cwd = "", .user = "", .shell = "true"});
    link_close(link);
    link = link_open(*state);
    struct sbx_error error;
    assert_int_equal(
        frame_send(link->fd, AGENT_EXEC, exec.data, exec.size, &null, 1, deadline_in(5000), &error),
        0);
    link_expect_failed(link, SBX_ERR_INVALID);
    link_close(link);
    for (int i = 0; i < 100 && count_fds(*state) > before; i++) // connections end in their own time
        usleep(20000);
    assert_true(count_fds(*state) <= before);
}

static void many_connections_are_bounded(void **state)
{
    static struct link *links[600];
    size_t refused = 0;
    for (size_t i = 0; i < ARRAY_SIZE(links); i++)
        links[i] = link_open(*state);
    for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
        struct sbx_error error;
        int code =
            frame_send(links[i]->fd, AGENT_PROCESSES, NULL, 0, NULL, 0, deadline_in(5000), &error);
        const struct frame *frame = code < 0 ? NULL : link_receive(links[i]);
        refused += !frame || frame->type == AGENT_FAILED;
    }
    assert_int_equal(refused, ARRAY_SIZE(links) - 512);
    for (size_t i = 0; i < ARRAY_SIZE(links); i++)
        link_close(links[i]);
    assert_works(*state);
}

static void process_one_ignores_signals(void **state)
{
    char text[256];
    run_line(*state,
             "for s in TERM KILL STOP INT HUP USR1 CHLD PIPE ALRM ABRT SEGV; do kill -$s 1; done",
             0, text, sizeof(text));
    assert_works(*state);
}

static void orphans_are_reaped(void **state)
{
    const char *argv[] = {probe_path(), "orphans", "20000", NULL};
    char text[64];
    struct link *link = link_open(*state);
    long before = agent_field(*state, "status", "RssAnon");
    start_exec(link, &(struct agent_exec){.argv = argv, .argc = 3});
    assert_works(*state); // meanwhile
    assert_int_equal(collect(link, NULL, NULL).code, 0);
    link_close(link);
    for (int i = 0; i < 100; i++) {
        run_line(*state, "grep -ls '^State:.Z' /proc/[0-9]*/status | wc -l", 0, text, sizeof(text));
        if (atoi(text) == 0)
            break;
    }
    assert_int_equal(atoi(text), 0);
    assert_true(agent_field(*state, "status", "RssAnon") <= before + 64);
}

// PATH so long that its search takes a while: time for a stopper to meet the child.
static void nobody_stops_a_start(void **state)
{
    enum { ENTRIES = 30000 };
    cleanup_free char *path = malloc(ENTRIES * 3 + 64);
    char *end = path;
    for (int i = 0; i < ENTRIES; i++)
        end = stpcpy(end, "/x:");
    strcpy(end, "/bin:/usr/bin");
    struct sbx_pair env = {"PATH", path};
    const char *stopper[] = {probe_path(), "stopper", "1500", NULL};
    const char *argv[] = {"sh", "-c", "exit 33", NULL};
    cleanup_buf struct buf out = BUF_INIT(4096);
    struct link *hostile = link_open(*state), *link = link_open(*state);
    start_exec(hostile, &(struct agent_exec){.argv = stopper, .argc = 3});
    link_expect(hostile, AGENT_OUTPUT);
    start_exec(link, &(struct agent_exec){.argv = argv, .argc = 3, .env = &env, .env_count = 1});
    collect(hostile, &out, NULL);
    assert_true(atoi(buf_text(&out)) > 0);
    // A stop may have met the program itself, which is its own affair.
    link_send_u32(link, AGENT_SIGNAL, SIGCONT);
    assert_int_equal(collect(link, NULL, NULL).code, 33);
    link_close(link);
    link_close(hostile);
}

static void connects_to_ports(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    char text[16] = "";
    cleanup_fd int server = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(server, (struct sockaddr *)&address, &size), 0);
    struct link *link = link_open(*state);
    link_send_u32(link, AGENT_CONNECT, ntohs(address.sin_port)); // nobody listens yet
    link_expect_failed(link, SBX_ERR_UNAVAILABLE);
    link_close(link);
    assert_int_equal(listen(server, 1), 0);
    link = link_open(*state);
    link_send_u32(link, AGENT_CONNECT, ntohs(address.sin_port));
    assert_int_equal(write(link->fd, "ahead", 5), 5);
    link_expect(link, AGENT_DONE);
    cleanup_fd int peer = accept(server, NULL, NULL);
    assert_int_equal(fd_read_full(peer, text, 5), 5);
    assert_memory_equal(text, "ahead", 5);
    assert_int_equal(write(peer, "answer", 6), 6);
    assert_int_equal(fd_read_full(link->fd, text, 6), 6);
    assert_memory_equal(text, "answer", 6);
    // Half-closing passes through in both directions.
    shutdown(link->fd, SHUT_WR);
    assert_int_equal(read(peer, text, 1), 0);
    assert_int_equal(write(peer, "x", 1), 1);
    shutdown(peer, SHUT_WR);
    assert_int_equal(fd_read_full(link->fd, text, 2), 1);
    link_close(link);
}

static void tells_usage(void **state)
{
    (void)state;
    struct agent_usage usage;
    struct box *box = box_start(&(struct agent_config){.user = "root", .workdir = ""});
    struct link *link = link_open(box), *busy = link_open(box);
    start_shell(busy, "while :; do :; done", 0);
    usage.cpu_usec = 0;
    for (int i = 0; i < 200 && usage.cpu_usec < 50000; i++) {
        usleep(20000);
        link_send(link, AGENT_USAGE, NULL);
        const struct frame *frame = link_expect(link, AGENT_USED);
        assert_int_equal(agent_usage_get(frame->payload, frame->size, &usage), 0);
    }
    assert_int_equal(usage.pids, 1);
    assert_true(usage.cpu_usec >= 50000);
    assert_true(usage.memory_bytes > 100000 && usage.disk_limit_bytes >= usage.disk_bytes);
    link_close(busy);
    link_close(link);
    box_stop(box);
}

// Number outside of the agent, the only child of the process that made its namespaces.
static pid_t agent_outside(const struct box *box)
{
    char path[64], text[32];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", box->pid, box->pid);
    assert_true(fd_read_file(AT_FDCWD, path, text, sizeof(text)) > 0);
    return atoi(text);
}

static void limit_agent(const struct box *box, int resource, rlim_t soft)
{
    struct rlimit limit;
    assert_int_equal(prlimit(agent_outside(box), resource, NULL, &limit), 0);
    limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
    assert_int_equal(prlimit(agent_outside(box), resource, &limit, NULL), 0);
}

static void without_descriptors_it_says_so(void **state)
{
    cleanup_buf struct buf exec = BUF_INIT(4096);
    struct link *link = link_open(*state), *waiting;
    agent_exec_put(&exec, &(struct agent_exec){.cwd = "", .user = "", .shell = "true"});
    start_shell(link, "true", 0);
    collect(link, NULL, NULL);
    limit_agent(*state, RLIMIT_NOFILE, 9);
    link_send(link, AGENT_EXEC, &exec);
    link_expect_failed(link, SBX_ERR_QUOTA);
    waiting = link_open(*state); // can't be accepted now, but is not lost
    link_send(waiting, AGENT_PROCESSES, NULL);
    usleep(200000);
    limit_agent(*state, RLIMIT_NOFILE, 1024);
    while (link_receive(waiting)->type != AGENT_DONE)
        ;
    link_close(waiting);
    link_close(link);
    assert_works(*state);
}

static void without_memory_it_says_so(void **state)
{
    cleanup_buf struct buf exec = BUF_INIT(1024 * 1024);
    static char value[120000];
    struct sbx_pair env[4];
    memset(value, 'v', sizeof(value) - 1);
    for (size_t i = 0; i < ARRAY_SIZE(env); i++)
        env[i] = (struct sbx_pair){"NAME", value};
    agent_exec_put(
        &exec,
        &(struct agent_exec){
            .cwd = "", .user = "", .shell = "true", .env = env, .env_count = ARRAY_SIZE(env)});
    long size = agent_field(*state, "status", "VmSize");
    struct link *link = link_open(*state);
    limit_agent(*state, RLIMIT_AS, (rlim_t)(size + 100) * 1024);
    struct sbx_error error; // refused before all of it is sent
    frame_send(link->fd, AGENT_EXEC, exec.data, exec.size, NULL, 0, deadline_in(5000), &error);
    link_expect_failed(link, SBX_ERR_NOMEM);
    limit_agent(*state, RLIMIT_AS, RLIM_INFINITY);
    link_close(link);
    assert_works(*state);
}

static void too_many_processes_are_said(void **state)
{
    if (getuid() == 0)
        skip(); // root has no limit of processes
    cleanup_buf struct buf exec = BUF_INIT(4096);
    struct link *link = link_open(*state);
    agent_exec_put(&exec, &(struct agent_exec){.cwd = "", .user = "", .shell = "true"});
    limit_agent(*state, RLIMIT_NPROC, 1);
    link_send(link, AGENT_EXEC, &exec);
    link_expect_failed(link, SBX_ERR_QUOTA);
    limit_agent(*state, RLIMIT_NPROC, RLIM_INFINITY);
    link_close(link);
    assert_works(*state);
}

// Root of a sandbox may change its /dev; to open a FIFO, process 1 would wait for ever.
static void another_null_does_not_stop_it(void **state)
{
    char line[256], text[64];
    struct box *box = box_start(&(struct agent_config){.user = "root", .workdir = ""});
    struct link *link = link_open(box);
    (void)state;
    snprintf(line, sizeof(line), "mkfifo %s/fifo && mount --bind %s/fifo /dev/null", box->dir,
             box->dir);
    start_shell(link, line, SBX_EXEC_STDIN);
    assert_int_equal(collect(link, NULL, NULL).code, 0);
    link_close(link);
    assert_int_equal(run_line(box, "cat; echo went on", 0, text, sizeof(text)).code, 0);
    assert_string_equal(text, "went on\n");
    box_stop(box);
}

static void ends_with_the_monitor(void **state)
{
    (void)state;
    struct box *box = box_start(&(struct agent_config){.user = "root", .workdir = ""});
    struct link *link = link_open(box);
    start_shell(link, "setsid sleep 62 & echo up; exec sleep 62", 0);
    link_expect(link, AGENT_OUTPUT);
    assert_true(box_is_alive(box));
    shutdown(box->monitor, SHUT_WR);
    link_expect_end(link);
    link_close(link);
    box_stop(box);
}

static void a_workdir_that_is_missing_is_an_error(void **state)
{
    (void)state;
    struct box *box =
        box_start(&(struct agent_config){.user = "root", .workdir = "/no/such/place"});
    cleanup_buf struct buf exec = BUF_INIT(4096);
    struct link *link = link_open(box);
    agent_exec_put(&exec, &(struct agent_exec){.cwd = "", .user = "", .shell = "true"});
    link_send(link, AGENT_EXEC, &exec);
    assert_non_null(strstr(link_expect_failed(link, SBX_ERR_EXEC)->message, "/no/such/place"));
    link_close(link);
    box_stop(box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(garbage_ends_the_connection),
        cmocka_unit_test(cut_frames_are_waited_for_and_forgotten),
        cmocka_unit_test(a_second_request_meanwhile_ends_the_connection),
        cmocka_unit_test(late_steering_does_not_take_descriptors),
        cmocka_unit_test(descriptors_do_not_pile_up),
        cmocka_unit_test(many_connections_are_bounded),
        cmocka_unit_test(process_one_ignores_signals),
        cmocka_unit_test(orphans_are_reaped),
        cmocka_unit_test(nobody_stops_a_start),
        cmocka_unit_test(connects_to_ports),
        cmocka_unit_test(tells_usage),
        cmocka_unit_test(without_descriptors_it_says_so),
        cmocka_unit_test(without_memory_it_says_so),
        cmocka_unit_test(too_many_processes_are_said),
        cmocka_unit_test(another_null_does_not_stop_it),
        cmocka_unit_test(ends_with_the_monitor),
        cmocka_unit_test(a_workdir_that_is_missing_is_an_error),
    };
    return cmocka_run_group_tests(tests, box_set_up, box_tear_down);
}
