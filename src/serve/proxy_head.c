// SPDX-License-Identifier: Apache-2.0
// Heads of requests and answers on their way through. Layer: serve.
#include "serve/proxy_head.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"

#define LOOK_MS 1000 // how often it is seen whether the client is still there
#define READ_SIZE 16384

// What is between two neighbours only (RFC 9110, section 7.6.1), and what is for this server.
static const char *const not_passed[] = {
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Content-Length",
    "Host",
    "X-Access-Token",
    "E2b-Sandbox-Id",
    "E2b-Sandbox-Port",
    "X-Daytona-Preview-Token",
    "E2b-Traffic-Access-Token",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
};

// What holds for all of a name, where others have it too.
static const char *const for_a_name[] = {
    "Alt-Svc",   "Clear-Site-Data",        "NEL",
    "Report-To", "Service-Worker-Allowed", "Strict-Transport-Security",
};

static bool is_among(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

static bool stays_here(const char *name)
{
    return is_among(name, not_passed, ARRAY_SIZE(not_passed));
}

static void put_cookies(struct buf *out, const char *value)
{
    const char *before = "Cookie: ";
    for (const char *at = value; *at;) {
        at += strspn(at, "; ");
        size_t size = strcspn(at, ";");
        if (size > 0 && strncmp(at, PROXY_COOKIE "=", strlen(PROXY_COOKIE "=")) != 0) {
            buf_printf(out, "%s%.*s", before, (int)size, at);
            before = "; ";
        }
        at += size;
    }
    if (before[0] == ';')
        buf_puts(out, "\r\n");
}

static void put_header(void *payload, const char *name, const char *value)
{
    if (strcasecmp(name, "Cookie") == 0 && !strpbrk(value, "\r\n"))
        put_cookies(payload, value);
    else if (!stays_here(name) && !strpbrk(name, "\r\n :") && !strpbrk(value, "\r\n"))
        buf_printf(payload, "%s: %s\r\n", name, value);
}

void proxy_write_head(struct httpd_request *request, const char *path, const char *host,
                      int64_t body_size, bool switches, struct buf *out)
{
    const char *asked = httpd_header(request, "Host"), *upgrade = httpd_header(request, "Upgrade");
    buf_printf(out, "%s %s HTTP/1.%d\r\nHost: %s\r\n", httpd_method(request), path, switches, host);
    httpd_each_header(request, put_header, out);
    buf_printf(out, "X-Forwarded-For: %s\r\nX-Forwarded-Proto: %s\r\n", httpd_peer(request),
               httpd_scheme(httpd_server(request)));
    if (asked && !strpbrk(asked, "\r\n"))
        buf_printf(out, "X-Forwarded-Host: %s\r\n", asked);
    if (body_size >= 0)
        buf_printf(out, "Content-Length: %lld\r\n", (long long)body_size);
    if (switches && upgrade)
        buf_printf(out, "Connection: Upgrade\r\nUpgrade: %s\r\n\r\n", upgrade);
    else
        buf_puts(out, "Connection: close\r\n\r\n");
}

static ssize_t read_more(struct httpd_request *request, int fd, struct buf *bytes)
{
    struct pollfd poll_fd = {fd, POLLIN, 0};
    char *room = buf_reserve(bytes, READ_SIZE);
    int ready = 0;
    while (room && (ready = poll(&poll_fd, 1, LOOK_MS)) == 0)
        if (httpd_gone(request))
            return -1;
    if (!room || (ready < 0 && errno != EINTR))
        return -1;
    ssize_t got = read(fd, room, READ_SIZE);
    if (got > 0)
        buf_commit(bytes, (size_t)got);
    return got < 0 && errno == EINTR ? 1 : got;
}

// Other sandboxes of the same name neither get it nor are given one. The last path counts: RFC
// 6265, section 5.3.
static void add_cookie(struct httpd_request *request, const char *value, size_t prefix)
{
    cleanup_free char *bound = NULL;
    if (asprintf(&bound, "%s; Path=%.*s", value, (int)prefix, httpd_path(request)) < 0)
        bound = NULL;
    if (bound)
        httpd_add_header(request, "Set-Cookie", bound);
}

static int take_header(struct httpd_request *request, char *line, struct proxy_answer *answer)
{
    char *value = strchr(line, ':');
    if (!value)
        return -1;
    *value++ = '\0';
    value += strspn(value, " \t");
    if (strpbrk(line, " \t"))
        return 0; // others would take "Content-Length :" for a header of ours: RFC 9112, 5.1
    if (strcasecmp(line, "Transfer-Encoding") == 0 && strcasecmp(value, "identity") != 0)
        return -1; // not in HTTP/1.0
    if (strcasecmp(line, "Content-Length") == 0)
        answer->size = strtoll(value, NULL, 10);
    bool switching = answer->status == 101 && (strcasecmp(line, "Upgrade") == 0);
    if (answer->prefix && strcasecmp(line, "Set-Cookie") == 0)
        add_cookie(request, value, answer->prefix);
    else if (answer->prefix && is_among(line, for_a_name, ARRAY_SIZE(for_a_name)))
        return 0;
    else if (switching || !stays_here(line))
        httpd_add_header(request, line, value);
    return 0;
}

// The head is text[0..size), with the empty line at its end.
static int take_head(struct httpd_request *request, char *text, size_t size,
                     struct proxy_answer *answer)
{
    unsigned minor;
    char *rest = text;
    text[size - 1] = '\0';
    char *line = strsep(&rest, "\n");
    if (sscanf(line, "HTTP/1.%u %3u", &minor, &answer->status) != 2 || answer->status < 100)
        return -1;
    while ((line = strsep(&rest, "\n"))) {
        line[strcspn(line, "\r")] = '\0';
        if (line[0] && take_header(request, line, answer) < 0)
            return -1;
    }
    return 0;
}

int proxy_read_head(struct httpd_request *request, int fd, struct proxy_answer *answer)
{
    struct buf *bytes = &answer->bytes;
    answer->size = -1;
    for (;;) {
        char *end = bytes->size ? memmem(bytes->data, bytes->size, "\r\n\r\n", 4) : NULL;
        if (end) {
            answer->body = (size_t)(end - bytes->data) + 4;
            return take_head(request, bytes->data, answer->body, answer);
        }
        if (read_more(request, fd, bytes) <= 0)
            return -1;
    }
}
