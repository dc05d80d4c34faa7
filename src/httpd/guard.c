// SPDX-License-Identifier: Apache-2.0
/*
 * A page of another site must not speak to us through a visitor's browser. A name of theirs that
 * resolves to our address (DNS rebinding) is told by its Host, their scripts by their Origin.
 * Addresses as Host are fine: rebinding needs a name. Layer: httpd.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "httpd/request.h"

void guard_host_name(const char *header, char *ret_name, size_t size)
{
    size_t length = header[0] == '[' ? strcspn(header, "]") + 1 : strcspn(header, ":");
    if (length > strlen(header) || length >= size)
        length = 0;
    for (size_t i = 0; i < length; i++)
        ret_name[i] = (char)tolower((unsigned char)header[i]);
    ret_name[length] = '\0';
}

static bool is_address(const char *host)
{
    struct in6_addr address;
    char inner[64];
    size_t size = strlen(host);
    if (host[0] != '[')
        return inet_pton(AF_INET, host, &address) == 1;
    if (size < 3 || size - 1 > sizeof(inner) || host[size - 1] != ']')
        return false;
    memcpy(inner, host + 1, size - 2);
    inner[size - 2] = '\0';
    return inet_pton(AF_INET6, inner, &address) == 1;
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size > end_size && strcasecmp(text + size - end_size, end) == 0;
}

bool guard_host_known(const struct httpd_options *options, const char *host)
{
    if (is_address(host) || strcmp(host, "localhost") == 0 || ends_with(host, ".localhost"))
        return true;
    for (size_t i = 0; i < options->host_count; i++) {
        const char *known = options->hosts[i];
        if (known[0] == '*' ? ends_with(host, known + 1) : strcasecmp(host, known) == 0)
            return true;
    }
    return false;
}

static bool origin_fits(const struct httpd_request *request, const char *origin)
{
    const char *host = httpd_header(request, "Host");
    const char *at = strstr(origin, "://");
    return at && host && strcasecmp(at + 3, host) == 0;
}

bool guard_allows(const struct httpd_request *request)
{
    const char *origin = httpd_header(request, "Origin");
    if (!guard_host_known(&request->server->options, request->host))
        return false;
    return !origin || (request->site && request->site->foreign) || origin_fits(request, origin);
}
