// SPDX-License-Identifier: Apache-2.0
// Requests of the host: one row each in request.c. Layer: agent.
#pragma once

#include "agent/conn.h"

// Handles one frame. -1 when the connection must end: it broke the protocol, or a worker owns it
// now.
int request_handle(struct agent *agent, struct conn *conn, struct frame *frame);

// Answers with the command's number: to EXEC and ATTACH.
void request_started(struct agent *agent, struct conn *conn, const struct proc *proc);

// Handlers in files of their own; as request_handle.
int exec_request(struct agent *agent, struct conn *conn, struct frame *frame);
int usage_request(struct agent *agent, struct conn *conn, struct frame *frame);
int connect_request(struct agent *agent, struct conn *conn, struct frame *frame);
int files_request(struct agent *agent, struct conn *conn, struct frame *frame);
