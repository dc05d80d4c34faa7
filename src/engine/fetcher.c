// SPDX-License-Identifier: Apache-2.0
// Running the helper that fetches images. Layer: engine.
#include "engine/fetcher.h"

#include <limits.h>
#include <unistd.h>

#include "engine/helper.h"
#include "engine/launch.h"

extern char **environ;

int fetcher_run(const char *name, const char *path, const struct imageturn *turn,
                struct deadline deadline, struct sbx_error *err)
{
    char program[PATH_MAX];
    const char *const argv[] = {FETCH_PROGRAM, FETCH_ANSWER_FLAG, name, path, NULL};
    const struct helper_fd fd = {turn->fd, FETCH_TURN_FD};
    const struct helper_job job = {.program = FETCH_PROGRAM,
                                   .argv = argv,
                                   .environment = environ,
                                   .fds = &fd,
                                   .fd_count = 1,
                                   .answer_fd = FETCH_ANSWER_FD};
    cleanup_helper struct helper helper = HELPER_NONE;
    struct fetch_answer answer;
    if (launch_find_program(FETCH_PROGRAM, program, sizeof(program), err) < 0) {
        err_set(err, SBX_ERR_SETUP, "the part that fetches images (%s) is not installed",
                FETCH_PROGRAM);
        return err_hint(err, "install it: building sandboxes with libcurl and jansson present "
                             "makes it");
    }
    int rc = helper_start(&job, &helper, err);
    if (rc == 0)
        rc = helper_hear(&helper, &answer, sizeof(answer), deadline, err);
    if (rc == SBX_ERR_IO) {
        err_set(err, SBX_ERR_IO, "fetching the image %s ended without an answer",
                imageref_short(name));
        return err_hint(err, "try it by hand: sandboxes image pull %s", imageref_short(name));
    }
    if (rc == 0 && answer.err.code < 0 && err)
        *err = answer.err;
    return rc == 0 && answer.err.code < 0 ? answer.err.code : rc;
}
