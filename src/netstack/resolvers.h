// SPDX-License-Identifier: Apache-2.0
// The name servers that this machine uses, from /etc/resolv.conf. Layer: netstack.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define RESOLVERS_FILE "/etc/resolv.conf"
#define RESOLVERS_MAX 3 // as resolv.conf(5)

struct resolver {
    struct sockaddr_storage addr;
    socklen_t size;
};

struct resolvers {
    size_t count;
    struct resolver item[RESOLVERS_MAX];
    struct stat seen; // the file as it was
    bool stale;       // it changed, and can't be read any more
    int64_t looked_ms;
};

// The servers that a file's text names, at port 53; without any, the local one (resolv.conf(5)).
void resolvers_parse(struct resolvers *resolvers, const char *text);

void resolvers_init(struct resolvers *resolvers, int64_t now_ms);

// Reads the file again when it has changed (looked at each few seconds). When it can't be read (it
// was replaced, and we are confined to what was there) the servers stay as they were.
void resolvers_refresh(struct resolvers *resolvers, int64_t now_ms);
