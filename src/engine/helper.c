// SPDX-License-Identifier: Apache-2.0
// Starting helper programs, hearing them, ending them. Layer: engine.
#include "engine/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/launch.h"

void helper_end(struct helper *helper)
{
    if (helper->answer_fd >= 0)
        close(steal_fd(&helper->answer_fd));
    if (helper->pid <= 0)
        return;
    kill(helper->pid, SIGKILL);
    while (waitpid(helper->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    helper->pid = -1;
}

// The helper's descriptors, each first moved out of the way of the others' numbers.
struct lifted {
    struct helper_fd fds[HELPER_FDS_MAX];
    size_t count;
};

static void close_lifted(struct lifted *lifted)
{
    for (size_t i = 0; i < lifted->count; i++)
        close(lifted->fds[i].ours);
}

static int lift(struct lifted *lifted, int ours, int theirs, struct sbx_error *err)
{
    int high = lifted->count < HELPER_FDS_MAX ? fcntl(ours, F_DUPFD_CLOEXEC, HELPER_FDS_MAX)
                                              : (errno = EMFILE, -1);
    if (high < 0)
        return err_sys(err, 0, errno, "cannot prepare a helper program");
    lifted->fds[lifted->count++] = (struct helper_fd){high, theirs};
    return 0;
}

static int lift_all(struct lifted *lifted, const struct helper_job *job, int answer_fd,
                    struct sbx_error *err)
{
    int rc = lift(lifted, answer_fd, job->answer_fd, err);
    for (size_t i = 0; rc == 0 && i < job->fd_count; i++)
        rc = lift(lifted, job->fds[i].ours, job->fds[i].theirs, err);
    return rc;
}

static int spawn(const char *path, const struct helper_job *job, const struct lifted *lifted,
                 pid_t *ret_pid, struct sbx_error *err)
{
    static char *const no_environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    for (size_t i = 0; i < lifted->count; i++)
        posix_spawn_file_actions_adddup2(&actions, lifted->fds[i].ours, lifted->fds[i].theirs);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    // A group of its own: Ctrl-C at the terminal is for our caller, who then ends it.
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    int failed =
        posix_spawn(ret_pid, path, &actions, &attributes, (char *const *)(uintptr_t)job->argv,
                    job->environment ? job->environment : no_environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed ? err_sys(err, SBX_ERR_SETUP, failed, "cannot start '%s'", path) : 0;
}

int helper_start(const struct helper_job *job, struct helper *ret_helper, struct sbx_error *err)
{
    char path[PATH_MAX];
    int ends[2];
    int rc = launch_find_program(job->program, path, sizeof(path), err);
    if (rc < 0)
        return rc;
    if (fd_pipe(ends) < 0)
        return err_sys(err, 0, errno, "cannot make a pipe for '%s'", job->program);
    cleanup_fd int ours = ends[0], theirs = ends[1];
    cleanup(close_lifted) struct lifted lifted = {.count = 0};
    pid_t pid = -1;
    rc = lift_all(&lifted, job, theirs, err);
    if (rc == 0)
        rc = spawn(path, job, &lifted, &pid, err);
    if (rc == 0)
        *ret_helper = (struct helper){pid, steal_fd(&ours)};
    return rc;
}

int helper_hear(const struct helper *helper, void *ret_answer, size_t size,
                struct deadline deadline, struct sbx_error *err)
{
    int rc = deadline_wait(deadline, helper->answer_fd, POLLIN, NULL, err);
    if (rc < 0)
        return rc;
    if (fd_read_full(helper->answer_fd, ret_answer, size) != (ssize_t)size)
        return err_set(err, SBX_ERR_IO, "a helper program ended without an answer");
    return 0;
}
