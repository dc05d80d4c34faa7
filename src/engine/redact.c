// SPDX-License-Identifier: Apache-2.0
// Finding secrets in configuration files. Rather one line too many than one too few. Layer: engine.
#include "engine/redact.h"

#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"

bool redact_has_userinfo(const char *line, size_t size)
{
    const char *end = line + size;
    for (const char *at = line; (at = memmem(at, (size_t)(end - at), "://", 3)); at += 3)
        for (const char *c = at + 3; c < end && *c && !strchr("/ \t\"'<>", *c); c++)
            if (*c == '@')
                return true;
    return false;
}

static bool name_secret(const char *name, size_t size)
{
    static const char *const hints[] = {"password", "passwd",     "passphrase", "secret",
                                        "token",    "apikey",     "api_key",    "access_key",
                                        "_auth",    "credential", "private_key"};
    char lower[256];
    if (size >= sizeof(lower))
        size = sizeof(lower) - 1;
    for (size_t i = 0; i < size; i++)
        lower[i] = (char)tolower((unsigned char)name[i]);
    lower[size] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(hints); i++)
        if (strstr(lower, hints[i]))
            return true;
    return false;
}

bool redact_line_secret(const char *line, size_t size)
{
    if (redact_has_userinfo(line, size))
        return true;
    const char *equals = memchr(line, '=', size);
    return equals && equals + 1 < line + size && name_secret(line, (size_t)(equals - line));
}

static bool has_private_key(const char *content, size_t size)
{
    return memmem(content, size, "-----BEGIN", 10) && memmem(content, size, "PRIVATE KEY", 11);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

bool redact_content(const char *name, enum redact_scan scan, char *content, size_t *size)
{
    if (has_private_key(content, *size))
        return false;
    bool assignments = scan == REDACT_LINES || scan == REDACT_WHOLE;
    // A paragraph of a .sources file is an error without one of its lines.
    bool whole = scan != REDACT_LINES || ends_with(name, ".sources");
    size_t kept = 0, line;
    for (size_t at = 0; at < *size; at += line) {
        char *newline = memchr(content + at, '\n', *size - at);
        line = newline ? (size_t)(newline - (content + at)) + 1 : *size - at;
        bool drop = assignments ? redact_line_secret(content + at, line)
                                : redact_has_userinfo(content + at, line);
        if (drop && whole)
            return false;
        if (drop)
            continue;
        memmove(content + kept, content + at, line);
        kept += line;
    }
    *size = kept;
    return true;
}
