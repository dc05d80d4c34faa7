// SPDX-License-Identifier: Apache-2.0
// Running the helper that fetches images. Layer: engine.
#include "engine/fetcher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "engine/launch.h"

extern char **environ;

static void end_child(const pid_t *pid)
{
    if (*pid <= 0)
        return;
    kill(*pid, SIGKILL);
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static int spawn(const char *program, char *const *argv, int answer_fd, pid_t *ret_pid,
                 struct sbx_error *err)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, answer_fd, FETCH_ANSWER_FD);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0); // Ctrl-C is for our caller, who then ends it
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    int failed = posix_spawn(ret_pid, program, &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed ? err_sys(err, SBX_ERR_SETUP, failed, "cannot start '%s'", program) : 0;
}

static int read_answer(int fd, const char *name, struct deadline deadline, struct sbx_error *err)
{
    struct fetch_answer answer;
    int rc = deadline_wait(deadline, fd, POLLIN, NULL, err);
    if (rc < 0)
        return rc;
    if (fd_read_full(fd, &answer, sizeof(answer)) != (ssize_t)sizeof(answer)) {
        err_set(err, SBX_ERR_IO, "fetching the image %s ended without an answer",
                imageref_short(name));
        return err_hint(err, "try it by hand: sandboxes image pull %s", imageref_short(name));
    }
    if (answer.err.code < 0 && err)
        *err = answer.err;
    return answer.err.code < 0 ? answer.err.code : 0;
}

int fetcher_run(const char *name, const char *path, struct deadline deadline, struct sbx_error *err)
{
    char program[PATH_MAX];
    int ends[2];
    if (launch_find_program(FETCH_PROGRAM, program, sizeof(program), err) < 0) {
        err_set(err, SBX_ERR_SETUP, "the part that fetches images (%s) is not installed",
                FETCH_PROGRAM);
        return err_hint(err, "install it: building sandboxes with libcurl and jansson present "
                             "makes it");
    }
    if (fd_pipe(ends) < 0)
        return err_sys(err, 0, errno, "cannot make a pipe");
    cleanup_fd int ours = ends[0], theirs = ends[1];
    // Above the number that it gets there, where dup2() would leave it close-on-exec.
    cleanup_fd int lifted = fcntl(theirs, F_DUPFD_CLOEXEC, FETCH_ANSWER_FD + 1);
    if (lifted < 0)
        return err_sys(err, 0, errno, "cannot make a pipe");
    const char *argv[] = {FETCH_PROGRAM, FETCH_ANSWER_FLAG, name, path, NULL};
    cleanup(end_child) pid_t pid = -1;
    int rc = spawn(program, (char *const *)(uintptr_t)argv, lifted, &pid, err);
    if (rc < 0)
        return rc;
    close(steal_fd(&lifted));
    close(steal_fd(&theirs));
    return read_answer(ours, name, deadline, err);
}
