// SPDX-License-Identifier: Apache-2.0
// Reading /etc/resolv.conf. Layer: netstack.
#include "netstack/resolvers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"

#define PORT 53
#define LOOK_AGAIN_MS 5000
#define FILE_MAX 16384

static int parse_ipv6(char *text, struct sockaddr_in6 *ret)
{
    char *scope = strchr(text, '%');
    if (scope) {
        *scope = '\0';
        ret->sin6_scope_id = if_nametoindex(scope + 1);
    }
    ret->sin6_family = AF_INET6;
    ret->sin6_port = htons(PORT);
    return inet_pton(AF_INET6, text, &ret->sin6_addr) == 1 ? 0 : -1;
}

static int parse_server(char *text, struct resolver *ret)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    struct sockaddr_in6 ipv6 = {0};
    if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1) {
        memcpy(&ret->addr, &ipv4, sizeof(ipv4));
        ret->size = sizeof(ipv4);
        return 0;
    }
    if (parse_ipv6(text, &ipv6) < 0)
        return -1;
    memcpy(&ret->addr, &ipv6, sizeof(ipv6));
    ret->size = sizeof(ipv6);
    return 0;
}

static void parse_line(struct resolvers *resolvers, const char *line)
{
    char server[80];
    struct resolver *item = &resolvers->item[resolvers->count];
    if (resolvers->count == RESOLVERS_MAX || sscanf(line, "nameserver%*[ \t]%79s", server) != 1)
        return;
    *item = (struct resolver){0};
    if (parse_server(server, item) == 0)
        resolvers->count++;
}

void resolvers_parse(struct resolvers *resolvers, const char *text)
{
    resolvers->count = 0;
    while (text && *text) {
        parse_line(resolvers, text);
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    if (resolvers->count == 0)
        parse_line(resolvers, "nameserver 127.0.0.1");
}

static void read_file(struct resolvers *resolvers)
{
    char text[FILE_MAX];
    resolvers->stale = fd_read_file(AT_FDCWD, RESOLVERS_FILE, text, sizeof(text)) < 0;
    if (!resolvers->stale)
        resolvers_parse(resolvers, text);
}

void resolvers_init(struct resolvers *resolvers, int64_t now_ms)
{
    memset(resolvers, 0, sizeof(*resolvers));
    resolvers_parse(resolvers, "");
    resolvers->looked_ms = now_ms;
    stat(RESOLVERS_FILE, &resolvers->seen);
    read_file(resolvers);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

void resolvers_refresh(struct resolvers *resolvers, int64_t now_ms)
{
    struct stat now = {0};
    if (now_ms - resolvers->looked_ms < LOOK_AGAIN_MS)
        return;
    resolvers->looked_ms = now_ms;
    if (stat(RESOLVERS_FILE, &now) < 0 || same_file(&now, &resolvers->seen))
        return;
    resolvers->seen = now;
    read_file(resolvers);
}
