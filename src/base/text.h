// SPDX-License-Identifier: Apache-2.0
// Questions about text of unknown origin. Layer: base.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// A byte below 0x20, or 0x7f.
bool text_has_control(const char *text, size_t size);

// 1 to `max` characters, all of them from `allowed`.
bool text_of(const char *text, const char *allowed, size_t max);

// Whether a list with blanks, commas, colons or lines between its words holds this one.
bool text_has_word(const char *list, size_t size, const char *word);

bool text_equal(const char *a, const char *b); // NULL equals only NULL

#define TEXT_DIGITS "0123456789"
#define TEXT_ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" TEXT_DIGITS
