// SPDX-License-Identifier: Apache-2.0
// Starting a sandbox: the jail is spawned and answers. Layer: engine.
#include "engine/launch.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "engine/doctor.h"
#include "engine/libexec_dir.h"
#include "engine/scope.h"
#include "wire/agent_msg.h"
#include "wire/frame.h"

#define BOOT_FD 3 // where the jail expects its socket
#define CANCEL_MS 2000

// PATH of DIRECTORY/NAME if it can be executed.
static bool try_program(const char *directory, size_t length, const char *name, char *ret_path,
                        size_t size)
{
    int written = snprintf(ret_path, size, "%.*s/%s", (int)length, directory, name);
    return written > 0 && (size_t)written < size && access(ret_path, X_OK) == 0;
}

// The directory that holds this very code: the command or the shared library.
static size_t own_directory(char *path, size_t size)
{
    Dl_info info;
    const char *file = dladdr((void *)(uintptr_t)&launch_find_program, &info) ? info.dli_fname : "";
    ssize_t length = -1;
    if (strchr(file, '/'))
        length = snprintf(path, size, "%s", file);
    if (length <= 0 || (size_t)length >= size)
        length = readlink("/proc/self/exe", path, size - 1);
    if (length <= 0)
        return 0;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

// Where helpers lie relative to us: installed beside, in a wheel, in a build tree (one folder
// each).
static const char *const places[] = {
    "",
    "/..",
    "/../src",
    "/../../src",
    "/libexec",
    "/../libexec/sandboxes",
    "/../../../../libexec/sandboxes", // of lib/python/site-packages
    "/sandboxes",
    "/jail",
    "/agent",
    "/netstack",
    "/vmm",
    "/engine/keep",
    "/engine/unpack",
    "/serve",
    "/../serve",
    "/registry",
    "/../registry",
    "/src/registry",
    "/../src/registry",
    "/../../src/registry",
    "/src/serve",
    "/../src/serve",
    "/../../src/serve",
    "/../jail",
    "/../agent",
    "/../netstack",
    "/../vmm",
    "/../engine/keep",
    "/../engine/unpack",
    "/src/jail",
    "/src/agent",
    "/src/netstack",
    "/src/vmm",
    "/src/engine/keep",
    "/src/engine/unpack",
    "/../src/jail",
    "/../src/agent",
    "/../src/netstack",
    "/../src/vmm",
    "/../src/engine/keep",
    "/../src/engine/unpack",
    "/../../src/jail",
    "/../../src/agent",
    "/../../src/netstack",
    "/../../src/vmm",
    "/../../src/engine/keep",
    "/../../src/engine/unpack"};

int launch_find_program(const char *name, char *ret_path, size_t size, struct sbx_error *err)
{
    const char *named = getenv("SANDBOXES_LIBEXEC");
    if (named && named[0])
        if (try_program(named, strlen(named), name, ret_path, size))
            return 0;
    char own[4096];
    size_t length = own_directory(own, sizeof(own) - 64);
    for (size_t i = 0; length && i < ARRAY_SIZE(places); i++) {
        snprintf(own + length, sizeof(own) - length, "%s", places[i]);
        if (try_program(own, strlen(own), name, ret_path, size))
            return 0;
    }
    if (try_program(SBX_LIBEXEC_DIR, strlen(SBX_LIBEXEC_DIR), name, ret_path, size))
        return 0;
    err_set(err, SBX_ERR_SETUP, "the helper program '%s' is not installed", name);
    return err_hint(err,
                    "install sandboxes again, or set SANDBOXES_LIBEXEC to the directory of its "
                    "helper programs");
}

struct pair {
    int ours, theirs;
};

static void close_pair(struct pair *pair)
{
    if (pair->ours >= 0)
        close(pair->ours);
    if (pair->theirs >= 0)
        close(pair->theirs);
}
#define cleanup_pair cleanup(close_pair)

static int make_pair(int type, struct pair *pair, struct sbx_error *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0)
        return err_sys(err, 0, errno, "cannot make a socket pair");
    *pair = (struct pair){ends[0], ends[1]};
    return 0;
}

// Spawns a program with the boot socket and nothing else of ours: descriptor 3.
static int spawn(const char *path, char *const *argv, char *const *envp, int boot_fd,
                 pid_t *ret_pid, struct sbx_error *err)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, boot_fd, BOOT_FD);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int failed = posix_spawn(ret_pid, path, &actions, &attributes, argv, envp);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (failed)
        return err_sys(err, SBX_ERR_SETUP, failed, "cannot start '%s'", path);
    return 0;
}

static int spawn_jail(const char *path, uint32_t network, const char *mode, int boot_fd,
                      pid_t *ret_pid, struct sbx_error *err)
{
    static char *const envp[] = {NULL};
    char kind[16];
    char *argv[] = {(char *)(uintptr_t) "sandboxes-jail", kind, (char *)(uintptr_t)mode, NULL};
    snprintf(kind, sizeof(kind), "%u", network);
    return spawn(path, argv, envp, boot_fd, ret_pid, err);
}

// The same process becomes the jail, in a group whose children can hold limits.
static int spawn_scoped(const char *path, uint32_t network, int boot_fd, struct scope *scope,
                        pid_t *ret_pid, struct sbx_error *err)
{
    char kind[16];
    char *argv[SCOPE_ARGS + 3];
    size_t count = 0;
    snprintf(kind, sizeof(kind), "%u", network);
    while (scope->argv[count]) {
        argv[count] = scope->argv[count];
        count++;
    }
    argv[count++] = (char *)(uintptr_t)path;
    argv[count++] = kind;
    argv[count] = NULL;
    return spawn(argv[0], argv, scope->envp, boot_fd, ret_pid, err);
}

static int send_request(const struct box_spec *spec, int boot_fd, int dir_fd, int first_fd,
                        struct deadline deadline, struct sbx_error *err)
{
    cleanup_buf struct buf request = BUF_INIT(BOX_SPEC_MAX);
    const int fds[] = {dir_fd, first_fd};
    box_spec_put(&request, spec);
    if (request.failed && request.size > BOX_SPEC_MAX / 2)
        return err_set(err, SBX_ERR_INVALID, "the specification is over %d KiB",
                       BOX_SPEC_MAX / 1024);
    if (request.failed)
        return err_nomem(err);
    return frame_send(boot_fd, BOX_REQUEST, request.data, request.size, fds, 2, deadline, err);
}

// The jail says why it failed, after it removed all it had made.
static int read_failure(int boot_fd, struct deadline deadline, struct sbx_error *err)
{
    struct frame_in in;
    struct frame frame;
    frame_in_init(&in);
    int code = frame_receive(boot_fd, &in, deadline, &frame, err);
    if (code == SBX_ERR_UNAVAILABLE)
        code = err_set(err, SBX_ERR_UNAVAILABLE, "the sandbox's monitor was killed");
    else if (code == 0 && (frame.type != BOX_FAILED || frame.size != sizeof(*err)))
        code = err_set(err, SBX_ERR_BUG, "the jail's answer is malformed");
    else if (code == 0) {
        memcpy(err, frame.payload, sizeof(*err));
        code = err->code < 0 ? err->code : SBX_ERR_BUG;
        if (code == SBX_ERR_SETUP || code == SBX_ERR_QUOTA)
            doctor_explain(err->sys_errno, err->origin, err);
    }
    frame_in_deinit(&in);
    return code;
}

// A guest machine that does not come up says why in the agent's stead; then the jail ends.
static int read_refusal(const struct frame *refusal, int boot_fd, struct deadline deadline,
                        struct sbx_error *err)
{
    struct frame_in in;
    struct frame frame;
    int code = agent_failed_get(refusal->payload, refusal->size, err);
    frame_in_init(&in);
    (void)frame_receive(boot_fd, &in, deadline, &frame, NULL);
    frame_in_deinit(&in);
    return code;
}

// READY on the agent's connection, or a failure on the boot socket, whichever comes.
static int await_ready(int conn_fd, int boot_fd, struct deadline deadline, struct sbx_error *err)
{
    struct pollfd fds[] = {{.fd = conn_fd, .events = POLLIN},
                           {.fd = boot_fd, .events = POLLIN},
                           {.fd = cancel_fd(deadline.cancel), .events = POLLIN}};
    for (;;) {
        int ready = poll(fds, ARRAY_SIZE(fds), deadline_poll_ms(deadline));
        if (ready < 0 && errno != EINTR)
            return err_sys(err, 0, errno, "cannot wait for the sandbox");
        if (ready == 0)
            return err_set(err, SBX_ERR_TIMEOUT, "the sandbox was not ready in time");
        if (ready > 0 && fds[2].revents)
            return err_set(err, SBX_ERR_CANCELLED, "creating the sandbox was cancelled");
        if (ready > 0 && (fds[0].revents & POLLIN))
            break;
        if (ready > 0 && (fds[0].revents || fds[1].revents))
            return read_failure(boot_fd, deadline, err);
    }
    struct frame_in in;
    struct frame frame;
    frame_in_init(&in);
    int code = frame_receive(conn_fd, &in, deadline, &frame, err);
    if (code == 0 && frame.type == AGENT_FAILED)
        code = read_refusal(&frame, boot_fd, deadline, err);
    else if (code == 0 && frame.type != AGENT_READY)
        code = err_set(err, SBX_ERR_PROTOCOL, "the agent did not greet");
    frame_in_deinit(&in);
    return code == SBX_ERR_UNAVAILABLE ? read_failure(boot_fd, deadline, err) : code;
}

// The starter ends at once; the monitor is not our child.
static bool reap_starter(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status == 0;
}

int launch_helper(const char *jail, uint32_t network)
{
    struct sbx_error ignored;
    cleanup_pair struct pair boot = {-1, -1};
    pid_t pid;
    int code = make_pair(SOCK_SEQPACKET, &boot, &ignored); // none is read with the one before
    if (code == 0)
        code = spawn_jail(jail, network, "spares", boot.theirs, &pid, &ignored);
    if (code < 0)
        return -1;
    (void)reap_starter(pid);
    return steal_fd(&boot.ours);
}

// A fresh jail; scope: where it shall be, or NULL.
static int begin(const char *jail, uint32_t network, struct scope *scope, struct launch *ret_launch,
                 struct sbx_error *err)
{
    cleanup_pair struct pair boot = {-1, -1};
    pid_t pid;
    int code = make_pair(SOCK_STREAM, &boot, err);
    if (code == 0 && scope)
        code = spawn_scoped(jail, network, boot.theirs, scope, &pid, err);
    else if (code == 0)
        code = spawn_jail(jail, network, NULL, boot.theirs, &pid, err);
    if (code < 0)
        return code;
    *ret_launch = (struct launch){.boot_fd = steal_fd(&boot.ours), .starter = pid};
    return 0;
}

int launch_begin(struct launcher *launcher, uint32_t network, struct launch *ret_launch,
                 struct sbx_error *err)
{
    if (geteuid() != 0) { // its jail has nothing to begin with, and may want a group first
        spares_drop(&launcher->spares);
        return 0;
    }
    int boot_fd = spares_take(&launcher->spares, network, launcher->jail);
    if (boot_fd < 0)
        return begin(launcher->jail, network, NULL, ret_launch, err);
    *ret_launch = (struct launch){.boot_fd = boot_fd};
    return 0;
}

void launch_cancel(struct launch *launch)
{
    if (launch->boot_fd < 0)
        return;
    struct deadline patience = deadline_in(CANCEL_MS);
    shutdown(launch->boot_fd, SHUT_WR);
    (void)deadline_wait(patience, launch->boot_fd, POLLIN, NULL, NULL);
    if (launch->starter)
        (void)reap_starter(launch->starter);
    close(steal_fd(&launch->boot_fd));
}

struct request {
    const struct box_spec *spec;
    int dir_fd, first_fd;
};

static int ask(struct launch *launch, const struct request *request, struct deadline deadline,
               struct sbx_error *err)
{
    int code = send_request(request->spec, launch->boot_fd, request->dir_fd, request->first_fd,
                            deadline, err);
    if (launch->starter)
        (void)reap_starter(launch->starter);
    launch->starter = 0;
    return code;
}

// False if there is no scope to be had: then the jail says what is missing, with the remedy.
static bool ask_scoped(const char *jail, struct launch *launch, const struct request *request,
                       struct deadline deadline)
{
    struct scope scope;
    struct sbx_error ignored;
    if (!scope_find(&scope) || begin(jail, request->spec->network, &scope, launch, &ignored) < 0)
        return false;
    pid_t starter = launch->starter;
    launch->starter = 0;
    int code = ask(launch, request, deadline, &ignored);
    if (reap_starter(starter) && code == 0)
        return true;
    close(steal_fd(&launch->boot_fd));
    return false;
}

// With the jail that has begun, if it still lives: a spare may have died of old age, so to speak.
static int ask_any(const char *jail, struct launch *launch, const struct request *request,
                   struct deadline deadline, struct sbx_error *err)
{
    const struct box_spec *spec = request->spec;
    bool spare = !launch->starter;
    int code = launch->boot_fd < 0 ? SBX_ERR_UNAVAILABLE : ask(launch, request, deadline, err);
    if (code == 0 || !spare)
        return code;
    if (launch->boot_fd >= 0)
        close(steal_fd(&launch->boot_fd));
    if (spec->flags & BOX_LIMITS_ASKED && ask_scoped(jail, launch, request, deadline))
        return 0;
    code = begin(jail, spec->network, NULL, launch, err);
    return code < 0 ? code : ask(launch, request, deadline, err);
}

int launch_box(struct launcher *launcher, struct launch *launch, const struct box_spec *spec,
               int dir_fd, struct deadline deadline, int *ret_conn, int *ret_leash,
               struct sbx_error *err)
{
    cleanup_pair struct pair first = {-1, -1};
    int code = make_pair(SOCK_STREAM, &first, err);
    if (code < 0)
        return code;
    const struct request request = {spec, dir_fd, first.theirs};
    if (launch->boot_fd < 0)
        code = launch_begin(launcher, spec->network, launch, err);
    if (code == 0)
        code = ask_any(launcher->jail, launch, &request, deadline, err);
    cleanup_fd int boot = steal_fd(&launch->boot_fd);
    close(steal_fd(&first.theirs));
    if (code == 0)
        code = await_ready(first.ours, boot, deadline, err);
    if (code < 0)
        return code;
    *ret_conn = steal_fd(&first.ours);
    *ret_leash = spec->lifetime == SBX_LIFETIME_TIED ? steal_fd(&boot) : -1;
    spares_refill(&launcher->spares, spec->network);
    return 0;
}
