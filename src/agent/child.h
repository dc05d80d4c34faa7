// SPDX-License-Identifier: Apache-2.0
// From the agent to a running program: a child that shares the agent's memory until it execs.
// Layer: agent.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/config.h"
#include "agent/rights.h"
#include "agent/user.h"

enum start_step {
    START_OK,
    START_CLONE,
    START_SESSION,
    START_TERMINAL,
    START_FDS,
    START_RIGHTS, // rights_step says which
    START_CWD,
    START_EXEC,
    START_STUCK // stopped or blocked by someone for too long, and killed
};

struct child_memory;

// What to start. All borrowed.
struct start {
    char *const *argv;
    char **env;
    char **env_pwd;   // entry of env that is set to PWD=/ when the fallback is taken
    const char *path; // searched for argv[0]
    const char *cwd;
    bool cwd_may_fail; // "/" instead
    const struct config *config;
    const struct user *user;
    int fds[3];    // all above 2
    bool terminal; // fds[0] becomes the controlling terminal
    bool merge;    // stderr is a copy of stdout
    int await_ms;  // return at an event of await_fd only, or after so long; 0: not so
    int await_fd;  // epoll(7)
    uint64_t tag;  // see tree.h
    struct child_memory **memory; // kept by the agent from one start to the next; NULL at first
    // Results on failure.
    enum start_step step;
    enum rights_step rights_step;
    int sys_errno;
};

// Starts it, returns once the program runs. 0 and its pid, or -1 with step and sys_errno set.
int child_start(struct start *start, pid_t *ret_pid);
