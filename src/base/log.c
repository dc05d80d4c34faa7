// SPDX-License-Identifier: Apache-2.0
// The log sink. Layer: base.
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <sandboxes/client.h>

#define LINE_MAX_SIZE 1024

// The only mutable state of the process-wide kind; set before threads exist, by contract of
// sbx_log_set().
static struct {
    sbx_log_fn sink;
    void *payload;
} log_state;

void sbx_log_set(sbx_log_fn sink, void *payload)
{
    log_state.sink = sink;
    log_state.payload = payload;
}

bool log_enabled(void)
{
    return log_state.sink != NULL;
}

void log_write(enum log_level level, const char *origin, const char *format, ...)
{
    if (!log_state.sink)
        return;
    int saved = errno;
    char line[LINE_MAX_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    for (char *at = line; (at = strpbrk(at, "\r\n")) != NULL;)
        *at = ' ';
    log_state.sink(log_state.payload, (int)level, origin, line);
    errno = saved;
}
