// SPDX-License-Identifier: Apache-2.0
// Forked helpers that take a connection over. Layer: agent.
#pragma once

#include "agent/conn.h"

struct worker {
    int fd;            // the connection, blocking
    const char *ahead; // bytes that were read from it before
    size_t ahead_size;
};

/*
 * Forks; in the child `work` runs with nothing but that connection open, and never returns. Returns
 * -1 in the agent, where the connection is to be closed, or 0 when it could not be and the host has
 * been told.
 */
int worker_start(struct agent *agent, struct conn *conn,
                 void (*work)(const struct agent *agent, struct worker *worker, void *payload),
                 void *payload);

// Answers as the agent would, from the worker.
void worker_fail(int fd, const struct sbx_error *error);
