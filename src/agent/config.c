// SPDX-License-Identifier: Apache-2.0
// What the agent is told at its start. Layer: agent.
#include "agent/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/tree.h"
#include "base/caps.h"
#include "base/cleanup.h"
#include "wire/agent_msg.h"

static char *join_pair(const struct sbx_pair *pair)
{
    size_t size = strlen(pair->name) + strlen(pair->value) + 2;
    char *text = malloc(size);
    if (text)
        snprintf(text, size, "%s=%s", pair->name, pair->value);
    return text;
}

// The agent lives as long as its sandbox, and ends at once when this fails: nothing is freed.
static int copy_config(const struct agent_config *told, struct config *config)
{
    config->user = strdup(told->user);
    config->workdir = strdup(told->workdir);
    config->env = calloc(told->env_count + 1, sizeof(char *));
    if (!config->user || !config->workdir || !config->env)
        return -1;
    for (size_t i = 0; i < told->env_count; i++)
        if (!(config->env[i] = join_pair(&told->env[i])))
            return -1;
    config->env_count = told->env_count;
    return 0;
}

static void read_rights(bool ready, struct config *config)
{
    int groups = getgroups(0, NULL);
    config->uid = geteuid();
    config->gid = getegid();
    config->group_count = groups > 0 ? (size_t)groups : 0;
    config->bounding = ready ? 0 : caps_bounding();
    config->powerless = config->bounding == 0 && caps_are_gone();
    config->tag_max = tree_tag_max();
}

int config_read(int fd, bool ready, struct config *ret_config)
{
    struct agent_config told;
    char probe;
    ssize_t size = recv(fd, &probe, 1, MSG_PEEK | MSG_TRUNC);
    if (size <= 0)
        return -1;
    cleanup_free char *datagram = malloc((size_t)size);
    if (!datagram || recv(fd, datagram, (size_t)size, 0) != size)
        return -1;
    if (agent_config_get(datagram, (size_t)size, &told) < 0)
        return -1;
    int result = copy_config(&told, ret_config);
    agent_config_deinit(&told);
    read_rights(ready, ret_config);
    return result;
}
