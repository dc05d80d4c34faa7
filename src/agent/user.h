// SPDX-License-Identifier: Apache-2.0
// Users as the sandbox's /etc/passwd and /etc/group have them. Both are hostile. Layer: agent.
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <sandboxes/error.h>

#define USER_GROUPS_MAX 64

struct agent;

struct user {
    uid_t uid;
    gid_t gid;
    gid_t groups[USER_GROUPS_MAX];
    size_t group_count;
    char name[64];
    char home[256];
    char shell[256];
    char asked[64];             // name or number that was looked up
    struct timespec changed[2]; // of passwd and group when they were read
    bool fixed;                 // nobody but root could have changed them since
};

/*
 * Looks up a name or number; "" is the sandbox's default user. *ret_user is owned by the agent and
 * valid until the next call. Errors: NOT_FOUND, INVALID, NOMEM.
 */
int user_find(struct agent *agent, const char *asked, const struct user **ret_user,
              struct sbx_error *err);
