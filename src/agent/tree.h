// SPDX-License-Identifier: Apache-2.0
/*
 * Killing all that a command started. Its processes are known by a tag that survives fork, exec,
 * setsid and the death of parents: the soft limit RLIMIT_LOCKS, which Linux has ignored since 2.4
 * (getrlimit(2)) and shows to everyone in /proc/PID/limits. A program may lower its own tag, so the
 * session and the parents count too. This is for order, not for security: what ends all is the end
 * of the sandbox. Layer: agent.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

// Tags the calling process; async-signal-safe. Failure is harmless. max is tree_tag_max().
void tree_tag_self(uint64_t tag, uint64_t max);
uint64_t tree_tag_max(void);

// Sends SIGKILL to every process of the command. The number of those found alive, or -1 without
// /proc.
int tree_kill(pid_t main_pid, uint64_t tag);
