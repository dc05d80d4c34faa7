// SPDX-License-Identifier: Apache-2.0
/*
 * What happened in a sandbox, for people who look: when it was made, its commands with the
 * beginning of their output, how they ended. A ring of lines in memory; it does not outlive the
 * server. Layer: serve.
 */
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define LOGBOOK_LINES 256
#define LOGBOOK_LINE_MAX 512
#define LOGBOOK_OUTPUT_MAX 4096 // bytes of a command's output that are kept

enum logbook_kind { LOG_EVENT, LOG_STDOUT, LOG_STDERR };

struct logbook_line {
    int64_t time_ms;
    enum logbook_kind kind;
    char *text; // owned
};

struct logbook {
    pthread_mutex_t lock;
    struct logbook_line *lines; // a ring; NULL until there are some
    uint64_t count;             // ever written
};

void logbook_init(struct logbook *book);
void logbook_deinit(struct logbook *book);

void logbook_event(struct logbook *book, const char *format, ...) PRINTF_LIKE(2, 3);
// Cut into lines. No memory: the lines are missing.
void logbook_output(struct logbook *book, enum logbook_kind kind, const char *data, size_t size);

// Calls take for what is still there, oldest first, beginning with number `from` of all ever
// written. The number of the next one to come.
uint64_t logbook_each(struct logbook *book, uint64_t from,
                      void (*take)(void *payload, const struct logbook_line *line), void *payload);
const char *logbook_kind_name(enum logbook_kind kind);
