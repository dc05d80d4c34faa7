// SPDX-License-Identifier: Apache-2.0
// The terminal we run on: width, colour, raw mode that is always undone. Layer: cli.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// A terminal that can move its cursor: TERM is set and not "dumb".
bool term_smart(int fd);

// As term_smart(), and NO_COLOR is not set.
bool term_colour(int fd);

// Columns of the terminal at fd, or 0 when it is none. COLUMNS overrides it.
unsigned term_columns(int fd);

// Size of the terminal at stdin, stdout or stderr; 0 x 0 when there is none.
void term_size(uint16_t *ret_rows, uint16_t *ret_cols);

// Passes every key of stdin's terminal on as it is. Nothing happens when stdin is no terminal.
void term_raw(void);

// Undoes term_raw(). Safe in a signal handler and when nothing is to be undone.
void term_restore(void);
