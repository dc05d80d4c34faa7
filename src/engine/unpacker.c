// SPDX-License-Identifier: Apache-2.0
// Running the helper that unpacks archives. Layer: engine.
#include "engine/unpacker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "engine/launch.h"

#define BYTES_MAX (UINT64_C(16) << 30)
#define ABOVE 16 // of all numbers that the helper's descriptors get

void unpacker_end(struct unpacker *unpacker)
{
    if (unpacker->answer_fd >= 0)
        close(steal_fd(&unpacker->answer_fd));
    if (unpacker->pid <= 0)
        return;
    kill(unpacker->pid, SIGKILL);
    while (waitpid(unpacker->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    unpacker->pid = -1;
}

// The helper's descriptors, each first moved out of the way of the others' numbers.
struct fds {
    int from[4];
};

static const int targets[4] = {STDIN_FILENO, STDOUT_FILENO, UNPACK_DIR_FD, UNPACK_LOCK_FD};

static void close_fds(struct fds *fds)
{
    for (size_t i = 0; i < ARRAY_SIZE(fds->from); i++)
        if (fds->from[i] >= 0)
            close(fds->from[i]);
}

static int lift_fds(struct fds *fds, const int given[4], struct sbx_error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(fds->from); i++) {
        fds->from[i] = fcntl(given[i], F_DUPFD_CLOEXEC, ABOVE);
        if (fds->from[i] < 0)
            return err_sys(err, 0, errno, "cannot prepare the unpacker");
    }
    return 0;
}

static int spawn_helper(const char *program, const struct fds *fds, const struct unpacker_job *job,
                        pid_t *ret_pid, struct sbx_error *err)
{
    char limit[32];
    static char *const envp[] = {NULL};
    const char *kind = job->layer ? "layer" : "tree";
    char *argv[] = {(char *)(uintptr_t)UNPACK_PROGRAM, limit, (char *)(uintptr_t)kind, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    snprintf(limit, sizeof(limit), "%llu", (unsigned long long)job->bytes_max);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
        posix_spawn_file_actions_adddup2(&actions, fds->from[i], targets[i]);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    // A group of its own: Ctrl-C at the terminal is for our caller, who then ends it.
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    int failed = posix_spawn(ret_pid, program, &actions, &attributes, argv, envp);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (failed)
        return err_sys(err, SBX_ERR_SETUP, failed, "cannot start '%s'", program);
    return 0;
}

static int read_answer(int fd, struct deadline deadline, struct unpack_answer *ret_answer,
                       struct sbx_error *err)
{
    struct unpack_answer answer;
    int rc = deadline_wait(deadline, fd, POLLIN, NULL, err);
    if (rc < 0)
        return err_wrap(err, "while the archive was unpacked");
    if (fd_read_full(fd, &answer, sizeof(answer)) != (ssize_t)sizeof(answer)) {
        err_set(err, SBX_ERR_IO, "the unpacker ended without an answer");
        return err_hint(err, "the archive may need more than 2 GB of memory to unpack; try again, "
                             "and if it stays, unpack it yourself and name the directory");
    }
    // It has read hostile bytes: its own are checked too.
    answer.digest[sizeof(answer.digest) - 1] = '\0';
    answer.err.message[sizeof(answer.err.message) - 1] = '\0';
    answer.err.remedy[sizeof(answer.err.remedy) - 1] = '\0';
    answer.err.origin[sizeof(answer.err.origin) - 1] = '\0';
    bool digest = strspn(answer.digest, "0123456789abcdef") == SHA256_HEX_SIZE - 1;
    if (answer.err.code == 0 ? !digest : answer.err.code > 0 || answer.err.code < SBX_ERR_LAST)
        return err_set(err, SBX_ERR_PROTOCOL, "the unpacker's answer makes no sense");
    if (answer.err.code < 0 && err)
        *err = answer.err;
    if (answer.err.code == 0)
        *ret_answer = answer;
    return answer.err.code;
}

int unpacker_start(const struct unpacker_job *job, struct unpacker *ret_unpacker,
                   struct sbx_error *err)
{
    char program[PATH_MAX];
    int ends[2];
    int rc = launch_find_program(UNPACK_PROGRAM, program, sizeof(program), err);
    if (rc < 0)
        return rc;
    if (fd_pipe(ends) < 0)
        return err_sys(err, 0, errno, "cannot make a pipe for the unpacker");
    cleanup_fd int ours = ends[0], theirs = ends[1];
    cleanup(close_fds) struct fds fds = {{-1, -1, -1, -1}};
    const int given[4] = {job->archive_fd, theirs, job->new_fd, job->lock_fd};
    pid_t pid = -1;
    rc = lift_fds(&fds, given, err);
    if (rc == 0)
        rc = spawn_helper(program, &fds, job, &pid, err);
    if (rc < 0)
        return rc;
    *ret_unpacker = (struct unpacker){pid, steal_fd(&ours)};
    return 0;
}

int unpacker_finish(struct unpacker *unpacker, struct deadline deadline,
                    struct unpack_answer *ret_answer, struct sbx_error *err)
{
    int rc = read_answer(unpacker->answer_fd, deadline, ret_answer, err);
    unpacker_end(unpacker);
    return rc;
}

int unpacker_run(int archive_fd, int new_fd, int lock_fd, uint64_t bytes_max,
                 struct deadline deadline, struct unpack_answer *ret_answer, struct sbx_error *err)
{
    cleanup_unpacker struct unpacker unpacker = UNPACKER_NONE;
    const struct unpacker_job job = {archive_fd, new_fd, lock_fd, bytes_max, false};
    int rc = unpacker_start(&job, &unpacker, err);
    return rc < 0 ? rc : unpacker_finish(&unpacker, deadline, ret_answer, err);
}

uint64_t unpacker_room(int dir_fd)
{
    struct statvfs info;
    if (fstatvfs(dir_fd, &info) < 0)
        return BYTES_MAX;
    uint64_t half = (uint64_t)info.f_bavail * info.f_frsize / 2;
    return half < BYTES_MAX ? half : BYTES_MAX;
}
