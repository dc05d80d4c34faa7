// SPDX-License-Identifier: Apache-2.0
// A ring of lines about a sandbox. Layer: serve.
#include "serve/logbook.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

void logbook_init(struct logbook *book)
{
    *book = (struct logbook){0};
    pthread_mutex_init(&book->lock, NULL);
}

void logbook_deinit(struct logbook *book)
{
    for (size_t i = 0; book->lines && i < LOGBOOK_LINES; i++)
        free(book->lines[i].text);
    free(book->lines);
    pthread_mutex_destroy(&book->lock);
}

static void add(struct logbook *book, enum logbook_kind kind, const char *text, size_t size)
{
    char *copy = strndup(text, size < LOGBOOK_LINE_MAX ? size : LOGBOOK_LINE_MAX);
    pthread_mutex_lock(&book->lock);
    if (!book->lines)
        book->lines = calloc(LOGBOOK_LINES, sizeof(*book->lines));
    if (book->lines && copy) {
        struct logbook_line *line = &book->lines[book->count++ % LOGBOOK_LINES];
        free(line->text);
        *line = (struct logbook_line){clock_unix_ms(), kind, copy};
        copy = NULL;
    }
    pthread_mutex_unlock(&book->lock);
    free(copy);
}

void logbook_event(struct logbook *book, const char *format, ...)
{
    char text[LOGBOOK_LINE_MAX];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof(text), format, values);
    va_end(values);
    add(book, LOG_EVENT, text, strlen(text));
}

void logbook_output(struct logbook *book, enum logbook_kind kind, const char *data, size_t size)
{
    const char *end = data + size;
    while (data < end) {
        const char *stop = memchr(data, '\n', (size_t)(end - data));
        const char *line_end = stop ? stop : end;
        add(book, kind, data, (size_t)(line_end - data));
        data = stop ? stop + 1 : end;
    }
}

uint64_t logbook_each(struct logbook *book, uint64_t from,
                      void (*take)(void *payload, const struct logbook_line *line), void *payload)
{
    pthread_mutex_lock(&book->lock);
    uint64_t count = book->count, oldest = count > LOGBOOK_LINES ? count - LOGBOOK_LINES : 0;
    for (uint64_t i = from > oldest ? from : oldest; i < count; i++)
        take(payload, &book->lines[i % LOGBOOK_LINES]);
    pthread_mutex_unlock(&book->lock);
    return count;
}

const char *logbook_kind_name(enum logbook_kind kind)
{
    return kind == LOG_STDOUT ? "stdout" : kind == LOG_STDERR ? "stderr" : "event";
}
