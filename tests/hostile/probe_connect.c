// SPDX-License-Identifier: Apache-2.0
// Tries one address, for tests of network policies: prints `reached`, or why not.
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 4000

// "[v6]:port" or "v4:port".
static socklen_t parse(const char *text, struct sockaddr_storage *address)
{
    char host[64];
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    const char *colon = strrchr(text, ':');
    bool bracket = text[0] == '[';
    if (!colon || colon - text >= (long)sizeof(host))
        return 0;
    snprintf(host, sizeof(host), "%.*s", (int)(colon - text - 2 * bracket), text + bracket);
    memset(address, 0, sizeof(*address));
    if (bracket && inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)atoi(colon + 1));
        return sizeof(*v6);
    }
    if (inet_pton(AF_INET, host, &v4->sin_addr) != 1)
        return 0;
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)atoi(colon + 1));
    return sizeof(*v4);
}

static int fail(const char *where)
{
    printf("%s: %s\n", where, strerrorname_np(errno));
    return 1;
}

// Connected is not yet reached: a user-space network may accept before it has asked anybody.
static int listen_for(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char byte;
    if (poll(&ready, 1, PATIENCE_MS) <= 0) {
        printf("silence\n");
        return 1;
    }
    ssize_t got = recv(fd, &byte, 1, 0);
    if (got < 0)
        return fail("receive");
    printf(got ? "reached\n" : "closed\n");
    return got == 0;
}

static int connect_stream(int fd, const struct sockaddr *address, socklen_t size)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    int error = 0;
    if (connect(fd, address, size) < 0 && errno != EINPROGRESS)
        return fail("connect");
    if (poll(&ready, 1, PATIENCE_MS) <= 0) {
        printf("silence\n");
        return 1;
    }
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)});
    errno = error;
    return error ? fail("connect") : listen_for(fd);
}

int connect_run(const char *text, bool datagram)
{
    struct sockaddr_storage storage;
    const struct sockaddr *address = (const struct sockaddr *)&storage;
    socklen_t size = parse(text, &storage);
    if (!size) {
        fprintf(stderr, "not an address: %s\n", text);
        return 2;
    }
    int type = datagram ? SOCK_DGRAM : SOCK_STREAM;
    int fd = socket(storage.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail("socket");
    if (!datagram)
        return connect_stream(fd, address, size);
    if (sendto(fd, "?", 1, 0, address, size) < 0)
        return fail("send");
    return listen_for(fd);
}
