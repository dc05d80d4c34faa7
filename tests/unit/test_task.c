// SPDX-License-Identifier: Apache-2.0
// Unit: engine/task against an agent that lies, floods, stops, and closes.
#include "unit.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "engine/task.h"
#include "fake_agent.h"

static const char *const argv_true[] = {"true"};
static const struct sbx_exec plain = {.size = sizeof(plain), .argv = argv_true, .argc = 1};
static const struct sbx_exec framed = {
    .size = sizeof(framed), .argv = argv_true, .argc = 1, .flags = SBX_EXEC_BACKGROUND};
static const struct sbx_exec with_input = {
    .size = sizeof(with_input), .argv = argv_true, .argc = 1, .flags = SBX_EXEC_STDIN};

static int fds_before;

static int setup(void **state)
{
    signal(SIGPIPE, SIG_IGN); // the scripts write into pipes that are closed
    fds_before = count_fds();
    return 0;
}

static int teardown(void **state)
{
    return count_fds() == fds_before ? 0 : -1;
}

// What a whole run yields.
struct run {
    int code; // of the call that failed, or 0
    char out[64], err[64];
    size_t out_size, err_size;
    struct sbx_outcome outcome;
    struct sbx_error error;
};

static void keep(char *text, size_t *size, const struct sbx_event *event)
{
    for (size_t i = 0; i < event->size && *size + i + 1 < 64; i++)
        text[*size + i] = ((const char *)event->data)[i];
    *size += event->size;
}

static struct run run_to_end(struct box *box, const struct sbx_exec *exec, int64_t timeout_ms)
{
    struct run run = {0};
    struct task *task = NULL;
    struct deadline deadline = deadline_in(timeout_ms);
    struct sbx_event event = {0};
    run.code = task_start(box, exec, deadline, &task, &run.error);
    while (run.code == 0 && event.kind != SBX_EVENT_EXIT) {
        run.code = task_read(task, deadline, &event, &run.error);
        if (run.code == 0 && event.kind == SBX_EVENT_OUTPUT)
            keep(event.stream == SBX_STDOUT ? run.out : run.err,
                 event.stream == SBX_STDOUT ? &run.out_size : &run.err_size, &event);
    }
    run.outcome = event.outcome;
    task_free(task);
    return run;
}

static void play_hello(struct fake *fake, int fd)
{
    struct frame frame;
    int held[3] = {-1, -1, -1};
    while (fake_receive(fake, fd, &frame) == AGENT_EXEC) {
        if (frame.fd_count > 0) {
            fake_started(fd, 7);
            (void)!write(fake->fds[1], "hello", 5);
            (void)!write(fake->fds[2], "oops", 4);
        } else {
            fake_started(fd, 7);
            fake_output(fd, SBX_STDOUT, "hello", 5);
            fake_output(fd, SBX_STDERR, "oops", 4);
        }
        fake_exit(fd, 3, 0, 0); // the pipes stay open: a child of the command has them
        for (int i = 0; i < 3; i++) {
            cleanup_fd_fn(&held[i]);
            held[i] = fake->fds[i];
            fake->fds[i] = -1;
        }
    }
    for (int i = 0; i < 3; i++)
        cleanup_fd_fn(&held[i]);
}

static void output_comes_before_the_end_and_pipes_need_not_close(void **state)
{
    struct fake fake;
    struct box *box = fake_start(&fake, play_hello);
    const struct sbx_exec *execs[] = {&plain, &framed, &plain};
    for (size_t i = 0; i < ARRAY_SIZE(execs); i++) {
        struct run run = run_to_end(box, execs[i], 5000);
        assert_int_equal(run.code, 0);
        assert_string_equal(run.out, "hello");
        assert_string_equal(run.err, "oops");
        assert_int_equal(run.outcome.exit_code, 3);
        assert_int_equal(run.outcome.duration_us, 1234);
    }
    assert_int_equal(fake.connections, 1); // one connection served them all
    box_release(box);
    fake_stop(&fake);
}

// Sends raw bytes as its answer to EXEC, after STARTED if `number` says so.
static void play_raw(struct fake *fake, int fd)
{
    struct frame frame;
    if (fake_receive(fake, fd, &frame) != AGENT_EXEC)
        return;
    if (fake->number)
        fake_started(fd, 7);
    (void)send(fd, fake->data, fake->size, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    fake_linger(fake, fd);
}

#define FRAME(size, type, rest)                                                                    \
    size "\0\0\0" type "\0\0\0"                                                                    \
         "\0\0\0\0" rest
#define BYTES(text) text, sizeof(text) - 1

static const struct {
    const char *what;
    bool started;
    bool framed;
    const char *bytes;
    size_t size;
    int code;
} lies[] = {
    {"nothing", false, false, BYTES(""), SBX_ERR_UNAVAILABLE},
    {"half a header", false, false, BYTES("\4\0\0"), SBX_ERR_UNAVAILABLE},
    {"half a payload", false, false, BYTES(FRAME("\4", "\41", "\7\0")), SBX_ERR_UNAVAILABLE},
    {"4 GiB", false, false, BYTES("\377\377\377\377\41\0\0\0\0\0\0\0"), SBX_ERR_PROTOCOL},
    {"text", false, false, BYTES("HTTP/1.1 200 OK\r\n\r\nhello world"), SBX_ERR_PROTOCOL},
    {"a pid of 0", false, false, BYTES(FRAME("\4", "\41", "\0\0\0\0")), SBX_ERR_PROTOCOL},
    {"no pid", false, false, BYTES(FRAME("\0", "\41", "")), SBX_ERR_PROTOCOL},
    {"DONE", false, false, BYTES(FRAME("\0", "\46", "")), SBX_ERR_PROTOCOL},
    {"a channel", false, false, BYTES("\4\0\0\0\41\0\0\0\1\0\0\0\7\0\0\0"), SBX_ERR_PROTOCOL},
    {"an empty failure", false, false, BYTES(FRAME("\0", "\44", "")), SBX_ERR_PROTOCOL},
    {"then nothing", true, false, BYTES(""), SBX_ERR_UNAVAILABLE},
    {"STARTED again", true, false, BYTES(FRAME("\4", "\41", "\7\0\0\0")), SBX_ERR_PROTOCOL},
    {"a short EXIT", true, false, BYTES(FRAME("\4", "\43", "\0\0\0\0")), SBX_ERR_PROTOCOL},
    {"exit code 256", true, false,
     BYTES(FRAME("\24", "\43", "\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")), SBX_ERR_PROTOCOL},
    {"signal 65", true, false,
     BYTES(FRAME("\24", "\43", "\0\0\0\0\101\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")), SBX_ERR_PROTOCOL},
    {"unknown flags", true, false,
     BYTES(FRAME("\24", "\43", "\0\0\0\0\0\0\0\0\10\0\0\0\0\0\0\0\0\0\0\0")), SBX_ERR_PROTOCOL},
    {"frames of output though direct", true, false, BYTES(FRAME("\5", "\42", "\1\0\0\0x")),
     SBX_ERR_PROTOCOL},
    {"output of stream 3", true, true, BYTES(FRAME("\5", "\42", "\3\0\0\0x")), SBX_ERR_PROTOCOL},
    {"output without a byte", true, true, BYTES(FRAME("\4", "\42", "\1\0\0\0")), SBX_ERR_PROTOCOL},
    {"output without a stream", true, true, BYTES(FRAME("\2", "\42", "\1\0")), SBX_ERR_PROTOCOL},
};

static void no_lie_of_the_agent_is_believed(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        struct fake fake;
        struct box *box = fake_start(&fake, play_raw);
        fake.number = lies[i].started;
        fake.data = lies[i].bytes;
        fake.size = lies[i].size;
        struct run run = run_to_end(box, lies[i].framed ? &framed : &plain, 5000);
        if (run.code != lies[i].code)
            fail_msg("%s: %s (%s)", lies[i].what, sbx_code_name(run.code), run.error.message);
        assert_true(run.error.remedy[0]);
        box_release(box);
        fake_stop(&fake);
    }
}

// Both ends in one piece, so that no chance decides when the second is seen.
static void play_exit_twice(struct fake *fake, int fd)
{
    struct frame frame;
    static const uint8_t end[20], other_end[20] = {9};
    cleanup_buf struct buf out = BUF_INIT(256);
    if (fake_receive(fake, fd, &frame) != AGENT_EXEC)
        return;
    fake_started(fd, 7);
    frame_put(&out, AGENT_EXIT, 0, end, sizeof(end));
    frame_put(&out, AGENT_EXIT, 0, other_end, sizeof(other_end));
    (void)send(fd, out.data, out.size, MSG_NOSIGNAL);
    fake_linger(fake, fd);
}

static void a_second_end_is_not_taken_for_the_next_commands(void **state)
{
    struct fake fake;
    struct box *box = fake_start(&fake, play_exit_twice);
    for (int i = 0; i < 3; i++) {
        struct run run = run_to_end(box, &plain, 5000);
        assert_int_equal(run.code, 0);
        assert_int_equal(run.outcome.exit_code, 0);
    }
    box_release(box);
    fake_stop(&fake);
}

static void play_fds(struct fake *fake, int fd)
{
    struct frame frame;
    if (fake_receive(fake, fd, &frame) != AGENT_EXEC)
        return;
    uint8_t pid[4] = {7, 0, 0, 0};
    const int gifts[] = {0, 0, 0, 0};
    (void)frame_send(fd, AGENT_STARTED, pid, 4, gifts, 4, fake_patience, NULL);
    fake_linger(fake, fd);
}

static void descriptors_from_the_agent_are_refused(void **state)
{
    struct fake fake;
    struct box *box = fake_start(&fake, play_fds);
    assert_int_equal(run_to_end(box, &plain, 5000).code, SBX_ERR_PROTOCOL);
    box_release(box);
    fake_stop(&fake); // teardown counts descriptors
}

#define FLOOD (8 * 1024 * 1024)

static void play_flood(struct fake *fake, int fd)
{
    struct frame frame;
    static char block[65536];
    if (fake_receive(fake, fd, &frame) != AGENT_EXEC)
        return;
    bool direct = frame.fd_count > 0;
    fake_started(fd, 7);
    for (size_t done = 0; done < FLOOD; done += sizeof(block))
        if (direct)
            (void)!write(fake->fds[1], block, sizeof(block));
        else
            fake_output(fd, SBX_STDOUT, block, sizeof(block));
    fake_exit(fd, 0, 0, 0);
    fake_linger(fake, fd);
}

static void floods_arrive_whole(void **state)
{
    const struct sbx_exec *execs[] = {&plain, &framed};
    for (size_t i = 0; i < ARRAY_SIZE(execs); i++) {
        struct fake fake;
        struct box *box = fake_start(&fake, play_flood);
        struct run run = run_to_end(box, execs[i], 20000);
        assert_int_equal(run.code, 0);
        assert_int_equal(run.out_size, FLOOD);
        box_release(box);
        fake_stop(&fake);
    }
}

static atomic_bool child_stop;

static void *write_for_ever(void *argument)
{
    int fd = *(int *)argument;
    char block[4096] = {0};
    while (!child_stop)
        if (write(fd, block, sizeof(block)) < 0)
            break;
    return NULL;
}

// The command ends, its child goes on to fill the pipe as fast as it is read.
static void play_endless_child(struct fake *fake, int fd)
{
    struct frame frame;
    pthread_t thread;
    if (fake_receive(fake, fd, &frame) != AGENT_EXEC)
        return;
    pthread_create(&thread, NULL, write_for_ever, &fake->fds[1]);
    fake_started(fd, 7);
    fake_exit(fd, 0, 0, 0);
    fake_linger(fake, fd);
    child_stop = true;
    pthread_join(thread, NULL);
}

static void a_child_that_goes_on_writing_does_not_hold_up_the_end(void **state)
{
    struct fake fake;
    struct box *box = fake_start(&fake, play_endless_child);
    child_stop = false;
    struct run run = run_to_end(box, &plain, 20000);
    assert_int_equal(run.code, 0);
    box_release(box);
    fake_stop(&fake);
}

static void play_silent(struct fake *fake, int fd)
{
    struct frame frame;
    (void)fake_receive(fake, fd, &frame);
    if (fake->number)
        fake_started(fd, 7);
    fake_linger(fake, fd);
}

static void *trigger(void *cancel)
{
    usleep(20000);
    sbx_cancel_trigger(cancel);
    return NULL;
}

static void deadlines_and_cancelling_end_the_wait(void **state)
{
    struct sbx_error err;
    for (int started = 0; started < 2; started++) {
        struct fake fake;
        struct box *box = fake_start(&fake, play_silent);
        fake.number = started;
        assert_int_equal(run_to_end(box, &plain, 30).code, SBX_ERR_TIMEOUT);
        box_release(box);
        fake_stop(&fake);
    }
    struct fake fake;
    struct box *box = fake_start(&fake, play_silent);
    struct sbx_cancel *cancel;
    struct task *task;
    struct sbx_event event;
    pthread_t thread;
    fake.number = 1;
    assert_int_equal(sbx_cancel_new(&cancel, &err), 0);
    assert_int_equal(task_start(box, &plain, deadline_in(0), &task, &err), 0);
    pthread_create(&thread, NULL, trigger, cancel);
    struct deadline deadline = {.at_ms = DEADLINE_NEVER, .cancel = cancel};
    assert_int_equal(task_read(task, deadline, &event, &err), SBX_ERR_CANCELLED);
    pthread_join(thread, NULL);
    // The command itself lives on.
    assert_int_equal(task_read(task, deadline_in(10), &event, &err), SBX_ERR_TIMEOUT);
    task_free(task);
    sbx_cancel_free(cancel);
    box_release(box);
    fake_stop(&fake);
}

static void a_paused_sandbox_is_said_to_be_paused(void **state)
{
    struct fake fake;
    struct box *box = fake_start(&fake, play_silent);
    struct monitor_state paused = {.state = SBX_STATE_PAUSED};
    cleanup_buf struct buf record = BUF_INIT(4096);
    monitor_state_put(&record, &paused);
    int fd = openat(fake.dir_fd, BOX_FILE_STATE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, record.data, record.size), record.size);
    close(fd);
    assert_int_equal(run_to_end(box, &plain, 5000).code, SBX_ERR_CONFLICT);
    box_release(box);
    fake_stop(&fake);
}

// Reads what the command is given and ends with its number of bytes modulo 200.
static void play_count_input(struct fake *fake, int fd)
{
    struct frame frame;
    char block[65536];
    size_t total = 0;
    if (fake_receive(fake, fd, &frame) != AGENT_EXEC)
        return;
    fake_started(fd, 7);
    if (frame.fd_count == 3) {
        for (ssize_t got; (got = read(fake->fds[0], block, sizeof(block))) > 0;)
            total += (size_t)got;
    } else {
        for (int type; (type = fake_receive(fake, fd, &frame)) != AGENT_INPUT_END && type > 0;)
            total += frame.size;
    }
    fake_exit(fd, (uint32_t)(total % 200), 0, 0);
    fake_linger(fake, fd);
}

static void input_arrives_whole(void **state)
{
    const struct sbx_exec *execs[] = {&with_input, &framed};
    const size_t size = 1000003;
    cleanup_free char *data = calloc(1, size);
    for (size_t i = 0; i < ARRAY_SIZE(execs); i++) {
        struct fake fake;
        struct box *box = fake_start(&fake, play_count_input);
        struct task *task;
        struct sbx_event event;
        struct sbx_error err;
        assert_int_equal(task_start(box, execs[i], deadline_in(5000), &task, &err), 0);
        assert_int_equal(task_write(task, data, size, deadline_in(5000), &err), 0);
        assert_int_equal(task_close_input(task, &err), 0);
        assert_int_equal(task_read(task, deadline_in(5000), &event, &err), 0);
        assert_int_equal(event.kind, SBX_EVENT_EXIT);
        assert_int_equal(event.outcome.exit_code, size % 200);
        assert_int_equal(task_signal(task, SIGTERM, &err), SBX_ERR_NOT_FOUND);
        if (i == 0)
            assert_int_equal(task_write(task, "x", 1, deadline_in(100), &err), SBX_ERR_CONFLICT);
        task_free(task);
        box_release(box);
        fake_stop(&fake);
    }
}

static void play_deaf(struct fake *fake, int fd)
{
    struct frame frame;
    if (fake_receive(fake, fd, &frame) != AGENT_EXEC)
        return;
    if (fake->number)
        cleanup_fd_fn(&fake->fds[0]);
    fake->fds[0] = fake->number ? -1 : fake->fds[0];
    fake_started(fd, 7);
    fake_linger(fake, fd);
}

// The default action of SIGPIPE is in force: it would end the test.
static void input_that_nobody_wants_is_an_error_not_a_signal(void **state)
{
    static char data[1 << 20];
    signal(SIGPIPE, SIG_DFL);
    for (int closed = 0; closed < 2; closed++) {
        struct fake fake;
        struct box *box = fake_start(&fake, play_deaf);
        struct task *task;
        struct sbx_error err;
        sigset_t pending;
        fake.number = closed;
        assert_int_equal(task_start(box, &with_input, deadline_in(5000), &task, &err), 0);
        assert_int_equal(task_write(task, data, sizeof(data), deadline_in(50), &err),
                         closed ? SBX_ERR_UNAVAILABLE : SBX_ERR_TIMEOUT);
        sigpending(&pending);
        assert_false(sigismember(&pending, SIGPIPE));
        task_free(task);
        box_release(box);
        fake_stop(&fake);
    }
}

// Framed input that is stuck must not hold up a signal.
static void a_signal_passes_stuck_input(void **state)
{
    static char data[4 << 20];
    struct fake fake;
    struct box *box = fake_start(&fake, play_silent);
    struct task *task;
    struct sbx_error err;
    fake.number = 1;
    fake.script = play_deaf;
    struct sbx_exec exec = framed;
    assert_int_equal(task_start(box, &exec, deadline_in(5000), &task, &err), 0);
    (void)task_write(task, data, sizeof(data), deadline_in(30), &err);
    assert_int_equal(task_signal(task, SIGKILL, &err), 0);
    task_free(task);
    box_release(box);
    fake_stop(&fake);
}

// Ends after some signals; what comes too late is ignored, as by the real one.
static void play_signalled(struct fake *fake, int fd)
{
    struct frame frame;
    if (fake_receive(fake, fd, &frame) != AGENT_EXEC)
        return;
    fake_started(fd, 7);
    for (int i = 0; i < 100; i++) {
        if (fake_receive(fake, fd, &frame) != AGENT_SIGNAL)
            return;
        (void)!write(fake->fds[1], "x", 1);
    }
    fake_exit(fd, 0, 0, 0);
    fake_linger(fake, fd);
}

static void *signal_to_the_end(void *argument)
{
    struct sbx_error err;
    int code = 0;
    while (code == 0)
        code = task_signal(argument, SIGUSR1, &err);
    return (void *)(intptr_t)code;
}

static void another_thread_may_signal_while_one_reads(void **state)
{
    struct fake fake;
    struct box *box = fake_start(&fake, play_signalled);
    struct task *task;
    struct sbx_event event = {0};
    struct sbx_error err;
    pthread_t thread;
    void *result;
    assert_int_equal(task_start(box, &plain, deadline_in(5000), &task, &err), 0);
    pthread_create(&thread, NULL, signal_to_the_end, task);
    while (event.kind != SBX_EVENT_EXIT)
        assert_int_equal(task_read(task, deadline_in(5000), &event, &err), 0);
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, SBX_ERR_NOT_FOUND);
    task_free(task);
    box_release(box);
    fake_stop(&fake);
}

static void play_failed(struct fake *fake, int fd)
{
    struct frame frame;
    if (fake_receive(fake, fd, &frame) != AGENT_EXEC)
        return;
    struct sbx_error error = {0};
    cleanup_buf struct buf out = BUF_INIT(4096);
    error.code = SBX_ERR_EXEC;
    error.sys_errno = ENOENT;
    snprintf(error.message, sizeof(error.message), "no such program: \x1b]52;evil");
    agent_failed_put(&out, &error);
    fake_send_buf(fd, AGENT_FAILED, &out);
    fake_linger(fake, fd);
}

static void failures_are_passed_on_without_control_characters(void **state)
{
    struct fake fake;
    struct box *box = fake_start(&fake, play_failed);
    struct run run = run_to_end(box, &plain, 5000);
    assert_int_equal(run.code, SBX_ERR_EXEC);
    assert_int_equal(run.error.sys_errno, ENOENT);
    assert_null(strchr(run.error.message, '\x1b'));
    box_release(box);
    fake_stop(&fake);
}

static void a_box_that_is_gone_is_not_found(void **state)
{
    struct fake fake;
    struct box *box = fake_start(&fake, play_silent);
    fake_stop(&fake);
    assert_int_equal(run_to_end(box, &plain, 5000).code, SBX_ERR_NOT_FOUND);
    box_release(box);
}

static void play_list(struct fake *fake, int fd)
{
    struct frame frame;
    cleanup_buf struct buf out = BUF_INIT(4096);
    if (fake_receive(fake, fd, &frame) != AGENT_PROCESSES)
        return;
    for (uint32_t pid = 2; pid < 4; pid++) {
        wire_put_u32(&out, pid);
        wire_put_u32(&out, SBX_EXEC_BACKGROUND);
        wire_put_u32(&out, fake->number ? 5 : 1);
        wire_put_u32(&out, 0);
        wire_put_u64(&out, 99);
        wire_put_text(&out, "sleep 5");
        fake_send_buf(fd, AGENT_PROCESS, &out);
    }
    fake_send(fd, AGENT_DONE, NULL, 0);
    fake_linger(fake, fd);
}

static void commands_are_listed(void **state)
{
    for (int lie = 0; lie < 2; lie++) {
        struct fake fake;
        struct box *box = fake_start(&fake, play_list);
        struct sbx_process_list list;
        struct sbx_error err;
        fake.number = lie;
        assert_int_equal(task_list(box, deadline_in(5000), &list, &err),
                         lie ? SBX_ERR_PROTOCOL : 0);
        if (!lie) {
            assert_int_equal(list.count, 2);
            assert_string_equal(list.items[1].command, "sleep 5");
            task_list_free(&list);
        }
        box_release(box);
        fake_stop(&fake);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(output_comes_before_the_end_and_pipes_need_not_close),
        TEST(no_lie_of_the_agent_is_believed),
        TEST(a_second_end_is_not_taken_for_the_next_commands),
        TEST(descriptors_from_the_agent_are_refused),
        TEST(floods_arrive_whole),
        TEST(a_child_that_goes_on_writing_does_not_hold_up_the_end),
        TEST(deadlines_and_cancelling_end_the_wait),
        TEST(a_paused_sandbox_is_said_to_be_paused),
        TEST(input_arrives_whole),
        TEST(input_that_nobody_wants_is_an_error_not_a_signal),
        TEST(a_signal_passes_stuck_input),
        TEST(another_thread_may_signal_while_one_reads),
        TEST(failures_are_passed_on_without_control_characters),
        TEST(a_box_that_is_gone_is_not_found),
        TEST(commands_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
