// SPDX-License-Identifier: Apache-2.0
// Helper programs that do one thing for their caller and answer with one struct. Layer: engine.
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define HELPER_FDS_MAX 32

struct helper {
    pid_t pid;
    int answer_fd;
};
#define HELPER_NONE                                                                                \
    {                                                                                              \
        -1, -1                                                                                     \
    }

struct helper_fd {
    int ours, theirs; // a number of the helper's, below HELPER_FDS_MAX
};

struct helper_job {
    const char *program;      // its name
    const char *const *argv;  // NULL at the end
    char *const *environment; // NULL: none
    const struct helper_fd *fds;
    size_t fd_count;
    int answer_fd; // of the helper's: where it writes its answer
};

// Standard input and output that are not given, and standard error, are /dev/null. Errors: SETUP.
int helper_start(const struct helper_job *job, struct helper *ret_helper, struct sbx_error *err);

// Waits for the answer. IO if it ends without one; then *ret_answer means nothing.
int helper_hear(const struct helper *helper, void *ret_answer, size_t size,
                struct deadline deadline, struct sbx_error *err);

// Ends it, whatever it is doing.
void helper_end(struct helper *helper);
#define cleanup_helper cleanup(helper_end)
