// SPDX-License-Identifier: Apache-2.0
// Passwords, tokens and keys taken out of configuration files. Layer: engine.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// Where a secret is looked for, and what is left out. Private keys and URLs with a password in them
// are looked for in every file; assignments such as TOKEN=... only with LINES and WHOLE.
enum redact_scan {
    REDACT_URLS = 0,   // leaves out the file
    REDACT_LINES = 1,  // leaves out the line
    REDACT_WHOLE = 2,  // leaves out the file
    REDACT_PUBLIC = 3, // as URLS, for files of public keys
};

// Takes secrets out of a file's contents. False when the whole file must be left out.
bool redact_content(const char *name, enum redact_scan scan, char *content, size_t *size);

// "://user:password@" or "://token@" in the line.
bool redact_has_userinfo(const char *line, size_t size);

// As above, or an assignment to a name that speaks of a password, token or key.
bool redact_line_secret(const char *line, size_t size);
