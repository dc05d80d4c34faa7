// SPDX-License-Identifier: Apache-2.0
// Layer: metaflow.
#include "metaflow/service/mfdaemon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "metaflow/service/mfserve.h"

#define STOP_MS 5000
#define INHERITED_MAX 1024 // descriptors that a starter may have open

int mfdaemon_root(const char *parent, bool make, char ret_root[PATH_MAX], struct sbx_error *err)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof(path), "%s/.metaflow", parent) >= sizeof(path))
        return err_set(err, SBX_ERR_INVALID, "%s: the path is too long", parent);
    if (make && mkdir(path, 0777) < 0 && errno != EEXIST)
        return err_sys(err, 0, errno, "can't make %s", path);
    if (!realpath(path, ret_root))
        return err_sys(err, 0, errno, "can't use %s", path);
    return 0;
}

// Other machines never reach it: it listens on the loopback address alone.
static int make_socket(uint16_t *port, int *ret_fd, struct sbx_error *err)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int one = 1;
    cleanup_fd int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || fd_set_cloexec(fd, true) < 0 || fd_set_nonblock(fd, true) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 512) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
        int reason = errno;
        err_sys(err, reason == EADDRINUSE ? SBX_ERR_CONFLICT : 0, reason,
                "can't listen on 127.0.0.1 port %u", *port);
        return err_hint(err, "end what listens there, or leave out --port");
    }
    *port = ntohs(address.sin_port);
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int open_log(const struct mfdaemon *daemon)
{
    char name[MFSTATE_ID_SIZE + 8];
    snprintf(name, sizeof(name), "%s.log", daemon->id);
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW;
    return daemon->options.debug ? openat(daemon->dir_fd, name, flags, 0600)
                                 : open("/dev/null", O_WRONLY | O_CLOEXEC);
}

// The starter's terminal and pipes are not ours to hold, nor its signals ours to get.
static void detach(const struct mfdaemon *daemon)
{
    setsid();
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int log_fd = open_log(daemon);
    dup2(null_fd, STDIN_FILENO);
    dup2(null_fd, STDOUT_FILENO);
    dup2(log_fd >= 0 ? log_fd : null_fd, STDERR_FILENO);
    // Among them is the starter's own share in the service, see mfstate_join().
    for (int fd = STDERR_FILENO + 1; fd < INHERITED_MAX; fd++)
        if (fd != daemon->dir_fd && fd != daemon->lock_fd && fd != daemon->listen_fd)
            close(fd);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
}

static int spawn(struct mfdaemon *daemon, struct sbx_error *err)
{
    pid_t pid = fork();
    if (pid < 0)
        return err_sys(err, 0, errno, "can't start the service");
    if (pid == 0) {
        detach(daemon);
        const struct mfserve serve = {.root = daemon->root,
                                      .listen_fd = daemon->listen_fd,
                                      .dir_fd = daemon->dir_fd,
                                      .lock_fd = daemon->lock_fd,
                                      .id = daemon->id,
                                      .idle_ms = daemon->options.idle_ms,
                                      .debug = daemon->options.debug};
        _exit(mfserve_run(&serve));
    }
    daemon->state.pid = pid;
    return mfstate_write(daemon->lock_fd, &daemon->state, err);
}

static int start_new(struct mfdaemon *daemon, struct sbx_error *err)
{
    uint16_t port = daemon->options.port;
    int code = make_socket(&port, &daemon->listen_fd, err);
    if (code == 0) {
        daemon->state = (struct mfstate){
            .port = port, .kept = daemon->options.kept, .started_ms = clock_unix_ms()};
        snprintf(daemon->state.root, sizeof(daemon->state.root), "%s", daemon->root);
        code = spawn(daemon, err);
    }
    if (code < 0) {
        mfstate_drop(daemon->dir_fd, daemon->id);
        mfdaemon_release(daemon);
    }
    daemon->ours = code == 0;
    return code;
}

int mfdaemon_start(const struct mfdaemon_options *options, int dir_fd, struct mfdaemon *ret_daemon,
                   struct sbx_error *err)
{
    struct mfdaemon daemon = {
        .options = *options, .dir_fd = dir_fd, .lock_fd = -1, .listen_fd = -1};
    snprintf(daemon.root, sizeof(daemon.root), "%s", options->root);
    mfstate_id(daemon.root, daemon.id);
    int code = SBX_ERR_NOT_FOUND;
    // Who looks at a file that is about to go holds its lock for a moment.
    for (int i = 0; i < 100 && code == SBX_ERR_NOT_FOUND; i++) {
        code = mfstate_claim(dir_fd, daemon.id, &daemon.lock_fd, err);
        if (code == 0)
            code = start_new(&daemon, err);
        else if (code == SBX_ERR_CONFLICT)
            code = mfstate_read(dir_fd, daemon.id, &daemon.state, err);
    }
    if (code == 0)
        *ret_daemon = daemon;
    return code;
}

int mfdaemon_restart(struct mfdaemon *daemon, struct sbx_error *err)
{
    return spawn(daemon, err);
}

void mfdaemon_release(struct mfdaemon *daemon)
{
    if (daemon->listen_fd >= 0)
        close(steal_fd(&daemon->listen_fd));
    if (daemon->lock_fd >= 0)
        close(steal_fd(&daemon->lock_fd));
}

static bool ends_within(int dir_fd, const char *id, pid_t pid, int64_t patience_ms)
{
    struct mfstate state;
    for (int64_t end = clock_boot_ms() + patience_ms; clock_boot_ms() < end; usleep(1000))
        if (mfstate_read(dir_fd, id, &state, NULL) < 0 || state.pid != pid)
            return true;
    return false;
}

int mfdaemon_stop(int dir_fd, const char *id, struct sbx_error *err)
{
    struct mfstate state;
    int code = mfstate_read(dir_fd, id, &state, err);
    if (code < 0)
        return code;
    // The lock is held, so the number in the file is that of a living process.
    if (kill(state.pid, SIGTERM) < 0 && errno != ESRCH)
        return err_sys(err, 0, errno, "can't end the service, process %d", (int)state.pid);
    if (ends_within(dir_fd, id, state.pid, STOP_MS))
        return 0;
    kill(state.pid, SIGKILL);
    if (ends_within(dir_fd, id, state.pid, STOP_MS))
        return 0;
    return err_set(err, SBX_ERR_TIMEOUT, "the service, process %d, does not end", (int)state.pid);
}
