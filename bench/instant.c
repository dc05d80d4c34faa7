// SPDX-License-Identifier: Apache-2.0
/*
 * A server that speaks as much of E2B's and Daytona's APIs as a sandbox with commands needs, and
 * answers every request at once with the same words: what clients take against it is their own
 * time. One thread, epoll(7), no TLS. usage: instant; prints its address, ends with its standard
 * input.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/sha1.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455, 1.3
#define CONNECTIONS_MAX 4096
#define REQUEST_MAX 65536
#define ID "6f2a9b1c-0000-4000-8000-0123456789ab"

struct connection {
    size_t size;
    char data[REQUEST_MAX + 1];
};

static int port;
static struct connection *connections[CONNECTIONS_MAX]; // by descriptor

static const char daytona_box[] =
    "{\"id\":\"" ID "\",\"organizationId\":\"o\",\"name\":\"" ID "\",\"user\":\"daytona\","
    "\"snapshot\":\"s\",\"env\":{},\"labels\":{},\"public\":false,\"networkBlockAll\":false,"
    "\"target\":\"us\",\"cpu\":1,\"gpu\":0,\"memory\":1,\"disk\":3,\"state\":\"started\","
    "\"desiredState\":\"started\",\"volumes\":[],\"kvm\":false,\"autoStopInterval\":15,"
    "\"createdAt\":\"2026-11-21T03:09:54.4Z\",\"updatedAt\":\"2026-11-21T03:09:54.4Z\","
    "\"toolboxProxyUrl\":\"http://127.0.0.1:%d/toolbox\"}";
// To those who asked for no streams apart this is a command's output like any other.
static const char daytona_run[] = "{\"exitCode\":0,\"result\":\"!begin\\n.\\n!0\\n.\\n\"}";
// A session's log of a command without output, and the end of the stream.
static const char daytona_log[] = "\x82\x1c\1\1\1!start 77\n!exit 0\n.\n\2\2\2.\n\x88\2\x03\xe8";
static const char e2b_box[] =
    "{\"sandboxID\":\"i0123456789\",\"templateID\":\"base\",\"alias\":\"base\",\"clientID\":\"c\","
    "\"envdVersion\":\"0.5.7\",\"envdAccessToken\":\"t\",\"domain\":null}";
static const char *const e2b_run[] = {
    "{\"event\":{\"start\":{\"pid\":77}}}",
    "{\"event\":{\"data\":{\"stderr\":\"HnNhbmRib3hlczowHg==\"}}}",
    "{\"event\":{\"end\":{\"exitCode\":0,\"exited\":true,\"status\":\"exit status 0\"}}}"};

static const struct {
    const char *method, *path;
    int status;
    const char *type, *body; // body NULL: the stream of a command
} routes[] = {
    {"POST", "/api/sandbox", 200, "application/json", daytona_box},
    {"GET", "/api/sandbox/", 200, "application/json", daytona_box},
    {"DELETE", "/api/sandbox/", 200, "application/json", daytona_box},
    {"POST", "/toolbox/" ID "/process/execute", 200, "application/json", daytona_run},
    {"POST", "/toolbox/" ID "/process/session/", 202, "application/json", "{\"cmdId\":\"c-1\"}"},
    {"POST", "/toolbox/" ID "/process/session", 201, "application/json", ""},
    {"DELETE", "/toolbox/" ID "/process/session", 204, NULL, ""},
    {"POST", "/sandboxes", 201, "application/json", e2b_box},
    {"POST", "/v2/sandboxes", 201, "application/json", e2b_box},
    {"DELETE", "/sandboxes/", 204, NULL, ""},
    {"POST", "/process.Process/Start", 200, "application/connect+json", NULL},
};

static size_t put_frame(char *out, char flags, const char *text)
{
    size_t size = strlen(text);
    const char head[5] = {flags, (char)(size >> 24), (char)(size >> 16), (char)(size >> 8),
                          (char)size};
    memcpy(out, head, sizeof(head));
    // A frame tells its size. NOLINTNEXTLINE(bugprone-not-null-terminated-result)
    memcpy(out + sizeof(head), text, size);
    return sizeof(head) + size;
}

static size_t put_stream(char *out)
{
    size_t size = 0;
    for (size_t i = 0; i < sizeof(e2b_run) / sizeof(e2b_run[0]); i++)
        size += put_frame(out + size, 0, e2b_run[i]);
    return size + put_frame(out + size, 2, "{}");
}

static const char *header(const char *request, const char *end, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = strstr(request, "\r\n"); at && at < end; at = strstr(at + 2, "\r\n"))
        if (strncasecmp(at + 2, name, size) == 0)
            return at + 2 + size + strspn(at + 2 + size, " ");
    return NULL;
}

// The log over a WebSocket.
static void follow(int fd, const char *key)
{
    struct buf reply = BUF_INIT(4096);
    struct sha1 hash;
    unsigned char digest[SHA1_SIZE];
    sha1_init(&hash);
    sha1_update(&hash, key, strcspn(key, "\r"));
    sha1_update(&hash, GUID, strlen(GUID));
    sha1_end(&hash, digest);
    buf_puts(&reply, "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: ");
    base64_encode(&reply, digest, sizeof(digest));
    buf_puts(&reply, "\r\n\r\n");
    buf_add(&reply, daytona_log, sizeof(daytona_log) - 1);
    if (write(fd, reply.data, reply.size) < 0)
        perror("instant");
    buf_deinit(&reply);
}

static void answer(int fd, const char *request)
{
    const char *key = header(request, request + strlen(request), "sec-websocket-key:");
    if (key && strstr(request, "/logs")) {
        follow(fd, key);
        return;
    }
    static char body[4096], reply[8192];
    int status = 404;
    const char *type = "application/json";
    int size = snprintf(body, sizeof(body), "{\"message\":\"no such route\"}");
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        size_t method = strlen(routes[i].method);
        if (strncmp(request, routes[i].method, method) != 0 || request[method] != ' ' ||
            strncmp(request + method + 1, routes[i].path, strlen(routes[i].path)) != 0)
            continue;
        status = routes[i].status;
        type = routes[i].type;
        size = routes[i].body ? snprintf(body, sizeof(body), routes[i].body, port)
                              : (int)put_stream(body);
        break;
    }
    int used = snprintf(reply, sizeof(reply), "HTTP/1.1 %d X\r\n", status);
    if (type)
        used += snprintf(reply + used, sizeof(reply) - (size_t)used,
                         "Content-Type: %s\r\nContent-Length: %d\r\n", type, size);
    used += snprintf(reply + used, sizeof(reply) - (size_t)used, "\r\n");
    memcpy(reply + used, body, (size_t)size);
    if (write(fd, reply, (size_t)used + (size_t)size) < 0)
        return; // it will be told as closed
}

// The size of the first request, 0 when more must come. Chunked bodies are those of one piece.
static size_t request_size(const struct connection *connection)
{
    const char *end = strstr(connection->data, "\r\n\r\n");
    if (!end)
        return 0;
    const char *length = header(connection->data, end, "content-length:");
    size_t size = (size_t)(end + 4 - connection->data) + (length ? strtoul(length, NULL, 10) : 0);
    if (!length && header(connection->data, end, "transfer-encoding:")) {
        const char *last =
            memmem(end, connection->size - (size_t)(end - connection->data), "\r\n0\r\n\r\n", 7);
        return last ? (size_t)(last + 7 - connection->data) : 0;
    }
    return size <= connection->size ? size : 0;
}

// False when it is over.
static bool serve(int fd)
{
    struct connection *connection = connections[fd];
    ssize_t got = read(fd, connection->data + connection->size, REQUEST_MAX - connection->size);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    connection->size += (size_t)got;
    connection->data[connection->size] = '\0';
    for (size_t size; (size = request_size(connection)) > 0;) {
        answer(fd, connection->data);
        connection->size -= size;
        memmove(connection->data, connection->data + size, connection->size + 1);
    }
    return connection->size < REQUEST_MAX;
}

static void watch(int poll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
}

static void admit(int poll, int listener)
{
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (fd >= CONNECTIONS_MAX || !(connections[fd] = calloc(1, sizeof(struct connection)))) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    watch(poll, fd);
}

static int listen_somewhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 1024) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return -1;
    port = ntohs(address.sin_port);
    return fd;
}

int main(void)
{
    int listener = listen_somewhere(), poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[64];
    if (listener < 0 || poll < 0) {
        perror("instant");
        return 1;
    }
    watch(poll, listener);
    watch(poll, STDIN_FILENO);
    printf("http://127.0.0.1:%d\n", port);
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(poll, events, 64, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == STDIN_FILENO)
                return 0;
            if (fd == listener) {
                admit(poll, listener);
            } else if (!serve(fd)) {
                free(connections[fd]);
                connections[fd] = NULL;
                close(fd);
            }
        }
    }
}
