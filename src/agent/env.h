// SPDX-License-Identifier: Apache-2.0
// The environment of one command. Layer: agent.
#pragma once

#include "agent/config.h"
#include "agent/user.h"
#include "wire/agent_msg.h"

struct env {
    char **vars; // owned array, NULL-terminated; entries borrowed from config, texts or literals
    size_t count;
    char *texts;      // owned
    char **pwd;       // the entry PWD
    const char *path; // value of PATH, borrowed
};

/*
 * The sandbox's variables, then HOME, USER, LOGNAME, SHELL and PWD from user and cwd, then the
 * command's own. What the sandbox's owner set for the default user's HOME or SHELL holds for that
 * user. `config` must outlive ret_env. Errors: INVALID, NOMEM.
 */
int env_build(const struct config *config, const struct agent_exec *exec, const struct user *user,
              const char *cwd, struct env *ret_env, struct sbx_error *err);
void env_deinit(struct env *env);
