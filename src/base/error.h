// SPDX-License-Identifier: Apache-2.0
// Filling struct sbx_error. Each function returns the code it stored, so that sites read
// `return err_set(err, ...)`. err may be NULL. Nothing here allocates. Layer: base.
#pragma once

#include <sandboxes/error.h>

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

// Sets code and message; the remedy is the code's general one until err_hint() replaces it.
int err_set(struct sbx_error *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

// As err_set, with errno's text appended and sys_errno stored. A code of 0 chooses one from errno.
int err_sys(struct sbx_error *err, int code, int sys_errno, const char *format, ...)
    PRINTF_LIKE(4, 5);

// Replaces the remedy: the next command, setting or link.
int err_hint(struct sbx_error *err, const char *format, ...) PRINTF_LIKE(2, 3);

// Puts context before the message: "context: message".
int err_wrap(struct sbx_error *err, const char *format, ...) PRINTF_LIKE(2, 3);

// Names the part that failed, if no deeper part has done so.
int err_origin(struct sbx_error *err, const char *origin);

int err_nomem(struct sbx_error *err);

void err_clear(struct sbx_error *err);

// The code that fits an errno best, e.g. ENOENT: SBX_ERR_NOT_FOUND.
int err_code_of_errno(int sys_errno);
