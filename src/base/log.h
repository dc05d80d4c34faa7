// SPDX-License-Identifier: Apache-2.0
// Log lines to the one sink that sbx_log_set() installed; nothing is formatted without one. Never
// log a secret: providers print them as "***". Layer: base.
#pragma once

#include <stdbool.h>

#include "base/error.h"

enum log_level { LOG_ERROR = 0, LOG_WARN = 1, LOG_INFO = 2, LOG_DEBUG = 3 };

bool log_enabled(void);
void log_write(enum log_level level, const char *origin, const char *format, ...) PRINTF_LIKE(3, 4);

#define log_line(level, origin, ...)                                                               \
    do {                                                                                           \
        if (log_enabled())                                                                         \
            log_write(level, origin, __VA_ARGS__);                                                 \
    } while (0)
#define log_error(origin, ...) log_line(LOG_ERROR, origin, __VA_ARGS__)
#define log_warn(origin, ...) log_line(LOG_WARN, origin, __VA_ARGS__)
#define log_info(origin, ...) log_line(LOG_INFO, origin, __VA_ARGS__)
#define log_debug(origin, ...) log_line(LOG_DEBUG, origin, __VA_ARGS__)
