// SPDX-License-Identifier: Apache-2.0
// What the agent is told at its start, and what rights it has itself. Layer: agent.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct config {
    char *user;    // owned, as all of these; default user
    char *workdir; // "" = that user's home
    char **env;    // "NAME=VALUE"
    size_t env_count;
    uid_t uid; // the agent's own
    gid_t gid;
    size_t group_count; // its supplementary groups
    uint64_t bounding;  // its capability bounding set
    bool powerless;     // it has no capability left that a command could lose
    bool keeps_nice;    // children do not inherit its preference
    uint64_t tag_max;   // see tree.h
};

// Reads the first datagram of fd. -1 when there is none or it is malformed. ready: as
// AGENT_READY_ARGUMENT says.
int config_read(int fd, bool ready, struct config *ret_config);
