// SPDX-License-Identifier: Apache-2.0
/*
 * How a command is run in a session of Daytona, whose log is lines of text with two streams mixed.
 * A small shell script goes around the program: it checks for it, and sends what it writes as lines
 * of Base64, so that every byte arrives as it is. Lines that begin with "!" are the script's own
 * words. Layer: provider.
 */
#pragma once

#include <sandboxes/process.h>

#include "base/buf.h"
#include "net/json.h"

#define SCRIPT_MAX (4u << 20)

// The name of a command's session or terminal: it tells the flags, the start and the number by
// which the command is known.
#define NAME_SIZE 80
void script_name(uint32_t flags, int64_t started_ms, uint32_t id, char ret_name[NAME_SIZE]);
bool script_name_parse(const char *name, uint32_t *ret_flags, int64_t *ret_started_ms,
                       uint32_t *ret_id);

// A shell's word.
void script_quote(struct buf *out, const char *text);
void script_argv(struct buf *out, const char *const *argv, size_t argc);

// The line for a session's shell. `workdir` is used where exec names no directory.
void script_session(struct buf *out, const struct sbx_exec *exec, const char *workdir);
// The line for a command without a session, whose log comes whole: "!begin", or a word of failure;
// stdout in Base64, a dot, stderr with "!STATUS" and the end of its line somewhere in it, a dot.
// `name` is where it can be found among the processes.
void script_whole(struct buf *out, const char *name, const struct sbx_exec *exec,
                  const char *workdir);
// What a terminal's shell becomes.
void script_terminal(struct buf *out, const struct sbx_exec *exec, const char *workdir);
// What people wrote, out of a session's line; may be cut.
void script_shown(const char *line, struct buf *out);
