// SPDX-License-Identifier: Apache-2.0
/*
 * Commands in a local sandbox.
 *
 * Theory of operation. A command in the foreground without a terminal is given three descriptors of
 * ours: the agent starts it and later says how it ended, but its output never passes through the
 * agent
 * ("direct"). Pipes, not sockets, so that /dev/stdout can be opened by the program. Everything else
 * is framed: output and input travel in frames on the command's connection. Either way the
 * connection is in use until EXIT has come; then it is idle again and goes back to the box. Layer:
 * engine.
 */
#pragma once

#include <sandboxes/process.h>

#include "engine/box.h"

struct command;

// Errors: EXEC (the program could not be started), CONFLICT (paused), NOT_FOUND, UNAVAILABLE,
// TIMEOUT, ...
int command_start(struct box *box, const struct sbx_exec *exec, struct deadline deadline,
                  struct command **ret_command, struct sbx_error *err);
int command_attach(struct box *box, uint32_t pid, struct deadline deadline,
                   struct command **ret_command, struct sbx_error *err);

// Ends the handle. Closing its connection makes the agent kill what does not run in the background.
void command_free(struct command *command);

uint32_t command_pid(const struct command *command);

// One thread may read while others write, signal and resize.
int command_read(struct command *command, struct deadline deadline, struct sbx_event *ret_event,
                 struct sbx_error *err);
int command_write(struct command *command, const void *data, size_t size, struct deadline deadline,
                  struct sbx_error *err);
int command_close_input(struct command *command, struct sbx_error *err);
int command_resize(struct command *command, uint16_t rows, uint16_t cols, struct sbx_error *err);
int command_signal(struct command *command, int32_t signal, struct sbx_error *err);

int command_list(struct box *box, struct deadline deadline, struct sbx_process_list *ret_list,
                 struct sbx_error *err);
void command_list_free(struct sbx_process_list *list);
