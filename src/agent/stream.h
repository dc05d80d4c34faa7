// SPDX-License-Identifier: Apache-2.0
/*
 * Input and output of commands that go through the agent. What a command writes is read into its
 * log, and sent from there; reading stops while the log is full of what a connection has not taken
 * yet, so a slow reader slows the command down and memory is bounded. Layer: agent.
 */
#pragma once

#include "agent/proc.h"

#define STREAM_STALL_MS 5000 // how long a background command waits for a slow reader

// Takes over fd as output `index` (0 or 1) or as input.
int stream_open_output(struct agent *agent, struct proc *proc, int index, int fd);
void stream_open_input(struct proc *proc, int fd, bool terminal);
void stream_resume(struct agent *agent, struct proc *proc); // a reader has gone
void stream_close_all(struct agent *agent, struct proc *proc);

// The command has ended: what it has written is read, and no more.
void stream_drain(struct agent *agent, struct proc *proc);
bool stream_all_read(const struct proc *proc);

// Sends what the connection's command has written, as far as the socket takes it.
void stream_send(struct agent *agent, struct conn *conn);
bool stream_output_waits(const struct conn *conn);

// Gives up waiting for readers that make no progress: they lose output from now on.
void stream_drop_slow(struct agent *agent, struct proc *proc);

void stream_write(struct agent *agent, struct proc *proc, const void *data, size_t size);
void stream_end_input(struct agent *agent, struct proc *proc);
bool stream_input_full(const struct proc *proc);
