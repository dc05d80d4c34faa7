// SPDX-License-Identifier: Apache-2.0
// The agent's state and limits. Single-threaded: everything hangs from one struct agent. Layer:
// agent.
#pragma once

#include "agent/config.h"
#include "agent/conn.h"
#include "agent/loop.h"
#include "agent/proc.h"

#define AGENT_CONNS_MAX 512
#define AGENT_WORKERS_MAX 256   // connections that a helper process has taken over
#define AGENT_COMMANDS_MAX 1024 // running ones and kept ones
#define AGENT_FINISHED_MAX 64   // finished background commands whose output is kept

struct agent {
    struct loop loop;
    struct config config;
    struct watch listen, monitor, signals;
    int64_t listen_again_ms; // out of descriptors: no connection is taken until then; 0: not so
    struct conns conns;
    struct procs procs;
    struct user *user_cache;           // owned, NULL: empty
    bool root_ran;                     // since then anyone may have changed what belongs to root
    struct child_memory *child_memory; // owned, see child.h
    // /dev/null to read from, shared by all commands: it has no state. Opened ahead of them: one
    // may put something else in its place, which we would wait for. -1: none.
    int null_fd;
};
