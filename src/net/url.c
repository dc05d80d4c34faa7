// SPDX-License-Identifier: Apache-2.0
// Putting addresses together. Layer: net.
#include "net/url.h"

#include <string.h>

#include "base/text.h"

void url_add(struct buf *url, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        char escaped[3] = {'%', digits[byte >> 4], digits[byte & 15]};
        if (strchr(TEXT_ALNUM "-._~", byte))
            buf_add(url, text, 1);
        else
            buf_add(url, escaped, 3);
    }
}

void url_query(struct buf *url, const char *name, const char *value)
{
    if (!value)
        return;
    bool first = !url->size || !memchr(url->data, '?', url->size);
    buf_puts(url, first ? "?" : "&");
    url_add(url, name);
    buf_puts(url, "=");
    url_add(url, value);
}
