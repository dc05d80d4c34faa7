// SPDX-License-Identifier: Apache-2.0
/*
 * Commands in a local sandbox.
 *
 * Theory of operation. A command in the foreground without a terminal is given descriptors of ours:
 * the agent starts it and later says how it ended, but its output never passes through the agent
 * ("direct"). Pipes, not sockets, so that /dev/stdout can be opened by the program. Everything else
 * is framed: output and input travel in frames on the command's connection. Either way the
 * connection is in use until EXIT has come; then it is idle again and goes back to the box. Layer:
 * engine.
 */
#pragma once

#include <sandboxes/process.h>

#include "engine/box.h"

struct task;

// Errors: EXEC (the program could not be started), CONFLICT (paused), NOT_FOUND, UNAVAILABLE,
// TIMEOUT, ...
int task_start(struct box *box, const struct sbx_exec *exec, struct deadline deadline,
               struct task **ret_task, struct sbx_error *err);
int task_attach(struct box *box, uint32_t pid, struct deadline deadline, struct task **ret_task,
                struct sbx_error *err);

// Ends the handle. Closing its connection makes the agent kill what does not run in the background.
void task_free(struct task *task);

uint32_t task_pid(const struct task *task);

// One thread may read while others write, signal and resize.
int task_read(struct task *task, struct deadline deadline, struct sbx_event *ret_event,
              struct sbx_error *err);
int task_write(struct task *task, const void *data, size_t size, struct deadline deadline,
               struct sbx_error *err);
int task_close_input(struct task *task, struct sbx_error *err);
int task_resize(struct task *task, uint16_t rows, uint16_t cols, struct sbx_error *err);
int task_signal(struct task *task, int32_t signal, struct sbx_error *err);

int task_list(struct box *box, struct deadline deadline, struct sbx_process_list *ret_list,
              struct sbx_error *err);
void task_list_free(struct sbx_process_list *list);
