// SPDX-License-Identifier: Apache-2.0
// Secrets out of addresses and headers. Layer: net.
#include "net/redact.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

// Parts of names; better one too many shown as "***" than one too few.
static const char *const secrets[] = {"auth",   "key",       "token",    "cookie",
                                      "secret", "signature", "password", "credential"};

static bool sounds_secret(const char *name, size_t size)
{
    for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
        size_t length = strlen(secrets[i]);
        for (size_t at = 0; at + length <= size; at++)
            if (strncasecmp(name + at, secrets[i], length) == 0)
                return true;
    }
    return false;
}

static void header(const char *name, size_t name_size, const char *value, size_t value_size,
                   struct buf *out)
{
    buf_puts(out, " {");
    buf_add(out, name, name_size);
    buf_puts(out, ": ");
    if (sounds_secret(name, name_size))
        buf_puts(out, "***");
    else
        buf_add(out, value, value_size);
    buf_puts(out, "}");
}

void redact_header(const char *name, const char *value, struct buf *out)
{
    header(name, strlen(name), value, strlen(value), out);
}

void redact_header_lines(const struct buf *lines, struct buf *out)
{
    const char *at = lines->data, *end = at ? at + lines->size : NULL;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end)
            line_end = end;
        const char *colon = memchr(at, ':', (size_t)(line_end - at));
        const char *value = colon ? colon + 1 : line_end;
        while (value < line_end && *value == ' ')
            value++;
        header(at, (size_t)((colon ? colon : line_end) - at), value, (size_t)(line_end - value),
               out);
        at = line_end + 1;
    }
}

static void query(const char *text, struct buf *out)
{
    while (*text) {
        size_t size = strcspn(text, "&");
        size_t name = strcspn(text, "=&");
        if (name < size && sounds_secret(text, name)) {
            buf_add(out, text, name);
            buf_puts(out, "=***");
        } else {
            buf_add(out, text, size);
        }
        text += size;
        if (*text == '&') {
            buf_puts(out, "&");
            text++;
        }
    }
}

void redact_url(const char *url, struct buf *out)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    buf_add(out, url, (size_t)(host - url));
    size_t authority = strcspn(host, "/?#");
    for (const char *at; (at = memchr(host, '@', authority)) != NULL;) {
        authority -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    size_t path = strcspn(host, "?");
    buf_add(out, host, path);
    if (!host[path])
        return;
    buf_puts(out, "?");
    query(host + path + 1, out);
}
