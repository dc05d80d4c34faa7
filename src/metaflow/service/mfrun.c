// SPDX-License-Identifier: Apache-2.0
// Layer: metaflow.
#include "metaflow/service/mfrun.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define RESTARTS_MAX 20
#define OWN_FAILURE 125
#define NO_PROXY_MAX 65536

extern char **environ;

struct run {
    struct mfdaemon daemon;
    bool serving; // our child serves
    int restarts;
    int share_fd;
    pid_t program;
    sigset_t before; // signals blocked when we were started
};

static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

static void wanted_signals(sigset_t *ret_signals)
{
    sigemptyset(ret_signals);
    sigaddset(ret_signals, SIGCHLD);
    for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
        sigaddset(ret_signals, forwarded[i]);
}

// The client would send even what is for this machine to a proxy, if one is set.
static int avoid_proxy(struct sbx_error *err)
{
    const char *before = getenv("no_proxy");
    before = before && *before ? before : getenv("NO_PROXY");
    cleanup_buf struct buf value = BUF_INIT(NO_PROXY_MAX);
    buf_printf(&value, "%s%s127.0.0.1", before ? before : "", before && *before ? "," : "");
    const char *text = buf_text(&value);
    return text && setenv("no_proxy", text, 1) == 0 ? 0 : err_nomem(err);
}

static int set_environment(const struct run *run, struct sbx_error *err)
{
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", run->daemon.state.port);
    if (setenv("METAFLOW_SERVICE_URL", url, 1) < 0 ||
        setenv("METAFLOW_DEFAULT_METADATA", "service", 1) < 0)
        return err_nomem(err);
    bool proxy =
        getenv("http_proxy") || getenv("HTTP_PROXY") || getenv("all_proxy") || getenv("ALL_PROXY");
    return proxy ? avoid_proxy(err) : 0;
}

static int spawn_program(struct run *run, char *const *command, struct sbx_error *err)
{
    posix_spawnattr_t how;
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&how, &run->before);
    int reason = posix_spawnp(&run->program, command[0], NULL, &how, command, environ);
    posix_spawnattr_destroy(&how);
    if (reason == 0)
        return 0;
    err_sys(err, SBX_ERR_EXEC, reason, "can't start %s", command[0]);
    return err_hint(err, "check its name, and that it is on the PATH and executable");
}

// A service that was killed comes back while the program runs; one that ended by itself does not.
static void service_ended(struct run *run, int status)
{
    run->serving = false;
    bool by_itself = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!by_itself && run->restarts++ < RESTARTS_MAX && mfdaemon_restart(&run->daemon, NULL) == 0) {
        run->serving = true;
        return;
    }
    if (!by_itself)
        mfstate_drop(run->daemon.dir_fd, run->daemon.id);
    mfdaemon_release(&run->daemon);
}

// True with *ret_status when the program has ended.
static bool reap(struct run *run, int *ret_status)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == run->program) {
            *ret_status = status;
            return true;
        }
        if (run->serving && pid == run->daemon.state.pid)
            service_ended(run, status);
    }
    return false;
}

// What a terminal sends reaches the program by itself.
static void forward(const struct run *run, const siginfo_t *info)
{
    if (info->si_code <= 0 || info->si_code == SI_USER)
        kill(run->program, info->si_signo);
}

static int wait_program(struct run *run)
{
    sigset_t signals;
    wanted_signals(&signals);
    int status = 0;
    while (!reap(run, &status)) {
        siginfo_t info;
        int number = sigwaitinfo(&signals, &info);
        if (number > 0 && number != SIGCHLD)
            forward(run, &info);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The last one stops the service, unless `start` began it.
static void leave(struct run *run)
{
    struct mfdaemon *daemon = &run->daemon;
    mfdaemon_release(daemon);
    if (!mfstate_leave(run->share_fd)) {
        close(run->share_fd);
        return;
    }
    struct mfstate state;
    bool stop = mfstate_read(daemon->dir_fd, daemon->id, &state, NULL) == 0 && !state.kept;
    if (stop)
        mfdaemon_stop(daemon->dir_fd, daemon->id, NULL);
    mfstate_left(daemon->dir_fd, daemon->id, run->share_fd);
    while (stop && run->serving && waitpid(daemon->state.pid, NULL, WNOHANG) == 0)
        usleep(1000);
}

static int run_program(struct run *run, char *const *command, struct sbx_error *err)
{
    fprintf(stderr, "metaflow-local-service running at http://127.0.0.1:%u (pid=%d)\n",
            run->daemon.state.port, (int)run->daemon.state.pid);
    if (set_environment(run, err) < 0)
        return OWN_FAILURE;
    if (spawn_program(run, command, err) < 0)
        return err->sys_errno == ENOENT ? 127 : 126;
    return wait_program(run);
}

int mfrun(const struct mfdaemon_options *options, char *const *command, struct sbx_error *err)
{
    struct run run = {.share_fd = -1};
    sigset_t signals;
    wanted_signals(&signals);
    sigprocmask(SIG_BLOCK, &signals, &run.before);
    cleanup_fd int dir_fd = -1;
    char id[MFSTATE_ID_SIZE];
    mfstate_id(options->root, id);
    int code = mfstate_open_dir(&dir_fd, err);
    if (code == 0)
        code = mfstate_join(dir_fd, id, &run.share_fd, err);
    if (code < 0)
        return OWN_FAILURE;
    code = mfdaemon_start(options, dir_fd, &run.daemon, err);
    if (code < 0) {
        close(run.share_fd);
        return OWN_FAILURE;
    }
    err_clear(err); // that another one serves already was no failure
    run.serving = run.daemon.ours;
    int status = run_program(&run, command, err);
    leave(&run);
    return status;
}
