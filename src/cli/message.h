// SPDX-License-Identifier: Apache-2.0
// Lines for people on standard error. Each goes out in one write; text from sandboxes is made
// printable. Layer: cli.
#pragma once

#include "base/error.h"

// "sandboxes: error: MESSAGE" and, if there is one, "  try: REMEDY".
void message_error(const char *message, const char *remedy);

// "sandboxes: TEXT".
void message_note(const char *format, ...) PRINTF_LIKE(1, 2);

// A line of the library's log, for --debug.
void message_log(void *payload, int level, const char *origin, const char *text);
// Of that log what nobody should miss.
void message_warning(void *payload, int level, const char *origin, const char *text);
