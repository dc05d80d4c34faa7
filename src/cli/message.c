// SPDX-License-Identifier: Apache-2.0
// Lines for people on standard error. Layer: cli.
#include "cli/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/utf8.h"
#include "cli/term.h"

#define LINE_MAX_BYTES (64 * 1024)

// Without memory for the line something is said all the same.
static void send_line(const struct buf *line)
{
    static const char bare[] = "sandboxes: error: out of memory\n  try: free memory, or raise the "
                               "limit (ulimit -v)\n";
    const char *text = line->failed ? bare : line->data;
    if (fd_write_full(STDERR_FILENO, text, line->failed ? sizeof(bare) - 1 : line->size) < 0) {
        // Nobody to tell.
    }
}

void message_error(const char *message, const char *remedy)
{
    cleanup_buf struct buf line = BUF_INIT(LINE_MAX_BYTES);
    bool colour = term_colour(STDERR_FILENO);
    buf_puts(&line, "sandboxes: ");
    buf_puts(&line, colour ? "\033[1;31merror:\033[0m " : "error: ");
    utf8_add_printable(&line, message, strlen(message));
    if (remedy[0]) {
        buf_puts(&line, colour ? "\n  \033[1mtry:\033[0m " : "\n  try: ");
        utf8_add_printable(&line, remedy, strlen(remedy));
    }
    buf_puts(&line, "\n");
    send_line(&line);
}

void message_note(const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    cleanup_buf struct buf line = BUF_INIT(LINE_MAX_BYTES);
    buf_puts(&line, "sandboxes: ");
    utf8_add_printable(&line, text, strlen(text));
    buf_puts(&line, "\n");
    send_line(&line);
}

void message_log(void *payload, int level, const char *origin, const char *text)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    (void)payload;
    const char *name = level >= 0 && level < 4 ? names[level] : "debug";
    message_note("%s: %s: %s", name, origin ? origin : "", text);
}

void message_warning(void *payload, int level, const char *origin, const char *text)
{
    if (level <= 1)
        message_log(payload, level, origin, text);
}
