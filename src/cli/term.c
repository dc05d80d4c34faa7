// SPDX-License-Identifier: Apache-2.0
// The terminal we run on. Layer: cli.
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/units.h"

// Of the process, because a signal handler must find it.
static struct termios saved;
static volatile int is_raw;

bool term_smart(int fd)
{
    const char *term = getenv("TERM");
    return isatty(fd) && term && term[0] && strcmp(term, "dumb") != 0;
}

bool term_colour(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    return (!no_color || !no_color[0]) && term_smart(fd);
}

unsigned term_columns(int fd)
{
    struct winsize size;
    int64_t columns;
    const char *text = getenv("COLUMNS");
    if (text && units_parse_int(text, 1, 100000, &columns) == 0)
        return (unsigned)columns;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

void term_size(uint16_t *ret_rows, uint16_t *ret_cols)
{
    struct winsize size;
    *ret_rows = 0;
    *ret_cols = 0;
    for (int fd = 0; fd <= 2; fd++)
        if (ioctl(fd, TIOCGWINSZ, &size) == 0) {
            *ret_rows = size.ws_row;
            *ret_cols = size.ws_col;
            return;
        }
}

void term_raw(void)
{
    struct termios raw;
    if (is_raw || tcgetattr(STDIN_FILENO, &raw) < 0)
        return;
    saved = raw;
    cfmakeraw(&raw);
    is_raw = 1;
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
        is_raw = 0;
}

void term_restore(void)
{
    if (!is_raw)
        return;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
    is_raw = 0;
}
