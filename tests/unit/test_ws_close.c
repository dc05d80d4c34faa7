// SPDX-License-Identifier: Apache-2.0
// Many WebSockets that end at once, with a libmicrohttpd that is slow where it hands a connection
// back: it must not have been freed by then.
#include "unit.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <malloc.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "httpd/ws.h"

#define CLIENTS 24
#define ROUNDS 4

static void (*hand_back)(struct MHD_Connection *connection);

// In the place of libmicrohttpd's own, which MHD_upgrade_action() and its threads call.
__attribute__((visibility("default"))) void MHD_resume_connection(struct MHD_Connection *connection)
{
    usleep(3000);
    hand_back(connection);
}

static void say_nothing(struct ws *ws, void *payload)
{
    usleep(10000); // the connection's own thread is through by then
    ws_send(ws, WS_TEXT, "x", 1);
}

static void open_ws(struct httpd_request *request)
{
    ws_accept(request, NULL, say_nothing, NULL, NULL);
}

static const struct httpd_route routes[] = {
    {.method = "GET", .pattern = "/ws", .handler = open_ws},
};
static const struct httpd_site site = {routes, ARRAY_SIZE(routes), NULL, NULL};

static void connect_once(uint16_t port)
{
    static const char shake[] = "GET /ws HTTP/1.1\r\nHost: localhost\r\n"
                                "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                                "Sec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    static const uint8_t expected[] = {0x81, 1, 'x', 0x88, 2, 3, 0xe8};
    char answer[1024];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t size = 0;
    ssize_t got;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        send(fd, shake, sizeof(shake) - 1, MSG_NOSIGNAL) < 0)
        abort();
    while ((got = recv(fd, answer + size, sizeof(answer) - size, 0)) > 0)
        size += (size_t)got;
    if (size < sizeof(expected) ||
        memcmp(answer + size - sizeof(expected), expected, sizeof(expected)) != 0)
        abort();
}

static void *client(void *argument)
{
    for (int i = 0; i < ROUNDS; i++)
        connect_once(*(uint16_t *)argument);
    return NULL;
}

static void closing_at_once_harms_nobody(void **state)
{
    struct httpd_options options = HTTPD_OPTIONS_INIT;
    struct sbx_error err;
    struct httpd *server = NULL;
    struct httpd_stats stats;
    pthread_t threads[CLIENTS];
    options.site = &site;
    assert_int_equal(httpd_start(&options, &server, &err), 0);
    uint16_t port = httpd_port(server);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, client, &port), 0);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    httpd_stats(server, &stats);
    assert_int_equal(stats.failures, 0);
    httpd_stop(server, 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(closing_at_once_harms_nobody)};
    *(void **)&hand_back = dlsym(RTLD_NEXT, "MHD_resume_connection");
    assert_non_null(hand_back);
    mallopt(M_PERTURB, 0x5a); // what is freed becomes garbage
    return cmocka_run_group_tests(tests, NULL, NULL);
}
