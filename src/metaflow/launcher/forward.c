// SPDX-License-Identifier: Apache-2.0
// The program that passes metadata on. Layer: metaflow.
#include "metaflow/launcher/forward.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "engine/launch.h"

extern char **environ;

static bool wanted(const struct stage *stage)
{
    const char *url = getenv("METAFLOW_SANDBOX_RELAY_URL");
    return url && *url && stage->task_fd >= 0 &&
           faccessat(stage->task_fd, "_meta/_self.json", F_OK, 0) < 0;
}

int forward_start(const struct step_options *options, const struct stage *stage,
                  struct forward *ret_forward, struct sbx_error *err)
{
    char program[PATH_MAX], directory[PATH_MAX + 8];
    int ends[2];
    *ret_forward = (struct forward){.input_fd = -1};
    if (!wanted(stage))
        return 0;
    int code = launch_find_program("sandboxes-metadata", program, sizeof(program), err);
    if (code < 0)
        return code;
    snprintf(directory, sizeof(directory), "%s/_meta", stage->stage_task);
    char *argv[] = {program, directory, (char *)options->task, NULL};
    posix_spawn_file_actions_t actions;
    if (fd_pipe(ends) < 0)
        return err_sys(err, SBX_ERR_IO, errno, "cannot make a pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
    int failed = posix_spawn(&ret_forward->pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[0]);
    ret_forward->input_fd = ends[1];
    if (failed)
        return err_sys(err, SBX_ERR_SETUP, failed, "cannot start '%s'", program);
    return 0;
}

void forward_end(struct forward *forward)
{
    if (forward->input_fd >= 0)
        close(steal_fd(&forward->input_fd));
    while (forward->pid > 0 && waitpid(forward->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    forward->pid = 0;
}
