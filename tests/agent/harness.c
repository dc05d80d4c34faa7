// SPDX-License-Identifier: Apache-2.0
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

#define SKIPPED 77

static const char *program_path(const char *variable)
{
    const char *path = getenv(variable);
    if (!path) {
        fprintf(stderr, "%s is not set: run it by meson test\n", variable);
        exit(1);
    }
    return path;
}

const char *probe_path(void)
{
    return program_path("AGENT_PROBE");
}

static int enter_namespaces(uid_t uid, gid_t gid)
{
    char line[64];
    if (unshare(CLONE_NEWPID | CLONE_NEWNS | (uid ? CLONE_NEWUSER : 0)) < 0)
        return -1;
    if (uid == 0)
        return 0;
    fd_write_file(AT_FDCWD, "/proc/self/setgroups", "deny");
    snprintf(line, sizeof(line), "0 %u 1", uid);
    if (fd_write_file(AT_FDCWD, "/proc/self/uid_map", line) < 0)
        return -1;
    snprintf(line, sizeof(line), "0 %u 1", gid);
    return fd_write_file(AT_FDCWD, "/proc/self/gid_map", line);
}

// Files of the box's directory over those of the machine.
static int mount_users(const struct box *box)
{
    static const char *const names[] = {"passwd", "group"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char source[96], target[32];
        snprintf(source, sizeof(source), "%s/%s", box->dir, names[i]);
        snprintf(target, sizeof(target), "/etc/%s", names[i]);
        if (access(source, F_OK) == 0 && mount(source, target, NULL, MS_BIND, NULL) < 0)
            return -1;
    }
    return 0;
}

static void run_agent(const struct box *box, const int fds[3])
{
    char mem[80];
    char *argv[] = {(char *)(uintptr_t)program_path("AGENT"), NULL};
    char *env[] = {NULL};
    int high[3];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        _exit(SKIPPED);
    snprintf(mem, sizeof(mem), "%s/mem", box->dir);
    if (mount_users(box) < 0)
        _exit(SKIPPED);
    if (mount("tmpfs", mem, "tmpfs", MS_NOSUID | MS_NODEV, "size=16m,nr_inodes=200000,mode=0777") <
        0)
        _exit(SKIPPED);
    for (int i = 0; i < 3; i++)
        high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 100);
    for (int i = 0; i < 3; i++)
        dup2(high[i], AGENT_FD_LISTEN + i);
    // What an agent must not hand on to its commands.
    signal(SIGPIPE, SIG_IGN);
    fcntl(open("/etc/passwd", O_RDONLY), F_DUPFD, 50);
    execve(argv[0], argv, env);
    _exit(1);
}

static pid_t fork_agent(const struct box *box, const int fds[3])
{
    uid_t uid = getuid();
    gid_t gid = getgid();
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (enter_namespaces(uid, gid) < 0)
        _exit(SKIPPED);
    pid_t agent = fork();
    if (agent == 0)
        run_agent(box, fds);
    for (int fd = 3; fd < 200; fd++)
        close(fd);
    int status = 0;
    waitpid(agent, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static int listen_at(struct box *box)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(box->path, sizeof(box->path), "%s/agent", box->dir);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", box->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 64), 0);
    return fd;
}

static struct link *link_new(int fd)
{
    struct link *link = calloc(1, sizeof(*link));
    assert_non_null(link);
    link->fd = fd;
    frame_in_init(&link->in);
    return link;
}

static void await_ready(struct box *box, int fd)
{
    struct link *link = link_new(fd);
    if (!link_receive(link)) {
        int status = 0;
        waitpid(box->pid, &status, 0);
        fprintf(stderr, "the agent did not start (status %d)\n", status);
        if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
            exit(SKIPPED);
        fail();
    }
    assert_int_equal(link->frame.type, AGENT_READY);
    link_close(link);
}

static struct box *box_new(void)
{
    struct box *box = calloc(1, sizeof(*box));
    assert_non_null(box);
    strcpy(box->dir, "/tmp/sbx-agent-test-XXXXXX");
    assert_non_null(mkdtemp(box->dir));
    chmod(box->dir, 0777);
    snprintf(box->path, sizeof(box->path), "%s/mem", box->dir);
    assert_int_equal(mkdir(box->path, 0777), 0);
    return box;
}

static struct box *box_run(struct box *box, const struct agent_config *config)
{
    int first[2], monitor[2];
    cleanup_buf struct buf data = BUF_INIT(65536);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, first), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, monitor), 0);
    int listen_fd = listen_at(box);
    agent_config_put(&data, config);
    assert_int_equal(send(monitor[0], data.data, data.size, 0), data.size);
    box->pid = fork_agent(box, (int[3]){listen_fd, first[1], monitor[1]});
    box->monitor = monitor[0];
    close(listen_fd);
    close(first[1]);
    close(monitor[1]);
    await_ready(box, first[0]);
    return box;
}

struct box *box_start(const struct agent_config *config)
{
    return box_run(box_new(), config);
}

struct box *box_start_with_users(const struct agent_config *config)
{
    static const char *const names[] = {"passwd", "group"};
    struct box *box = box_new();
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char path[96];
        snprintf(path, sizeof(path), "%s/%s", box->dir, names[i]);
        close(open(path, O_CREAT | O_WRONLY, 0644));
    }
    return box_run(box, config);
}

void box_stop(struct box *box)
{
    char command[128];
    close(box->monitor);
    waitpid(box->pid, NULL, 0);
    snprintf(command, sizeof(command), "rm -rf %s", box->dir);
    assert_int_equal(system(command), 0);
    free(box);
}

bool box_is_alive(const struct box *box)
{
    return waitpid(box->pid, NULL, WNOHANG) == 0;
}

int box_set_up(void **state)
{
    struct sbx_pair env[] = {{"FROM_BOX", "yes"}, {"TWICE", "box"}};
    struct agent_config config = {.user = "root", .workdir = "", .env = env, .env_count = 2};
    *state = box_start(&config);
    return 0;
}

int box_tear_down(void **state)
{
    if (*state)
        box_stop(*state);
    return 0;
}

struct link *link_open(const struct box *box)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", box->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return link_new(fd);
}

void link_close(struct link *link)
{
    frame_in_deinit(&link->in);
    close(link->fd);
    free(link);
}

static void must(int code, const struct sbx_error *error)
{
    if (code < 0)
        fail_msg("%s", error->message);
}

void link_send_fds(struct link *link, uint32_t type, const struct buf *payload, const int fds[3])
{
    struct sbx_error error;
    struct buf none = {0};
    payload = payload ? payload : &none;
    assert_false(payload->failed);
    must(frame_send(link->fd, type, payload->data, payload->size, fds, fds ? 3 : 0,
                    deadline_in(BOX_PATIENCE_MS), &error),
         &error);
}

void link_send(struct link *link, uint32_t type, const struct buf *payload)
{
    link_send_fds(link, type, payload, NULL);
}

void link_send_u32(struct link *link, uint32_t type, uint32_t value)
{
    cleanup_buf struct buf payload = BUF_INIT(16);
    wire_put_u32(&payload, value);
    link_send(link, type, &payload);
}

const struct frame *link_receive(struct link *link)
{
    struct sbx_error error;
    int code =
        frame_receive(link->fd, &link->in, deadline_in(BOX_PATIENCE_MS), &link->frame, &error);
    if (code == SBX_ERR_UNAVAILABLE)
        return NULL;
    must(code, &error);
    return &link->frame;
}

const struct frame *link_expect(struct link *link, uint32_t type)
{
    struct sbx_error error;
    const struct frame *frame = link_receive(link);
    if (!frame)
        fail_msg("the connection ended, but a frame %u was expected", type);
    if (frame->type == AGENT_FAILED && type != AGENT_FAILED) {
        agent_failed_get(frame->payload, frame->size, &error);
        fail_msg("frame %u was expected, but it failed: %s", type, error.message);
    }
    if (frame->type != type)
        fail_msg("frame %u was expected, but it is %u", type, frame->type);
    return frame;
}

const struct sbx_error *link_expect_failed(struct link *link, int code)
{
    static struct sbx_error error;
    const struct frame *frame = link_expect(link, AGENT_FAILED);
    int got = agent_failed_get(frame->payload, frame->size, &error);
    if (got != code)
        fail_msg("code %d was expected, but it is %d: %s", code, got, error.message);
    return &error;
}

void link_expect_end(struct link *link)
{
    const struct frame *frame = link_receive(link);
    if (frame)
        fail_msg("the end of the connection was expected, but there is a frame %u", frame->type);
}

static uint32_t expect_started(struct link *link)
{
    const struct frame *frame = link_expect(link, AGENT_STARTED);
    struct wire_reader in = wire_reader(frame->payload, frame->size);
    uint32_t pid = wire_u32(&in);
    assert_true(wire_end(&in));
    return pid;
}

uint32_t start_exec(struct link *link, const struct agent_exec *exec)
{
    struct agent_exec full = *exec;
    const char **texts[] = {&full.cwd, &full.user, &full.shell};
    cleanup_buf struct buf payload = BUF_INIT(4 * 1024 * 1024);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (!*texts[i])
            *texts[i] = "";
    agent_exec_put(&payload, &full);
    link_send(link, AGENT_EXEC, &payload);
    return expect_started(link);
}

uint32_t start_shell(struct link *link, const char *line, uint32_t flags)
{
    return start_exec(link, &(struct agent_exec){.shell = line, .flags = flags});
}

static struct ended read_exit(const struct frame *frame)
{
    struct wire_reader in = wire_reader(frame->payload, frame->size);
    struct ended ended = {.code = wire_u32(&in)};
    ended.signal = wire_u32(&in);
    ended.flags = wire_u32(&in);
    ended.duration_us = wire_u64(&in);
    assert_true(wire_end(&in));
    return ended;
}

struct ended expect_exit(struct link *link)
{
    return read_exit(link_expect(link, AGENT_EXIT));
}

struct ended collect(struct link *link, struct buf *out, struct buf *err_out)
{
    for (;;) {
        const struct frame *frame = link_receive(link);
        if (!frame)
            fail_msg("the connection ended before the command did");
        if (frame->type == AGENT_EXIT)
            return read_exit(frame);
        assert_int_equal(frame->type, AGENT_OUTPUT);
        struct wire_reader in = wire_reader(frame->payload, frame->size);
        struct buf *target = wire_u32(&in) == SBX_STDOUT ? out : err_out;
        assert_true(in.left > 0);
        if (target)
            buf_add(target, in.at, in.left);
    }
}

struct ended run_line(struct box *box, const char *line, uint32_t flags, char *ret_text,
                      size_t size)
{
    cleanup_buf struct buf out = BUF_INIT(16 * 1024 * 1024);
    struct link *link = link_open(box);
    start_shell(link, line, flags);
    struct ended ended = collect(link, &out, NULL);
    link_close(link);
    snprintf(ret_text, size, "%s", out.size ? buf_text(&out) : "");
    return ended;
}
