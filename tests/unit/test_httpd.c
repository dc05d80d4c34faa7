// SPDX-License-Identifier: Apache-2.0
// The HTTP server layer: routes, refusals, bodies, streams, WebSockets; over a real socket.
#include "unit.h"

#include <stdatomic.h>

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "httpd/ws.h"

static atomic_int lines;

static void count_line(void *context, const char *line)
{
    assert_non_null(strstr(line, "\"id\":\"req-"));
    assert_null(strstr(line, "secret"));
    atomic_fetch_add(&lines, 1);
}

static void echo(struct httpd_request *request)
{
    size_t size;
    const char *body = httpd_body(request, &size);
    const char *query = httpd_query(request, "q");
    cleanup_buf struct buf buf = BUF_INIT(4096);
    buf_printf(&buf, "%s %s %s ", httpd_method(request), httpd_param(request, "id"),
               query ? query : "-");
    buf_add(&buf, body, size);
    httpd_reply_buf(request, 200, "text/plain", &buf);
}

static void rest(struct httpd_request *request)
{
    httpd_reply_text(request, 200, httpd_param(request, "*"));
}

static ssize_t read_three(void *payload, char *data, size_t size)
{
    int *left = payload;
    if (*left == 0)
        return HTTPD_SOURCE_END;
    data[0] = (char)('0' + (*left)--);
    return 1;
}

static void stream(struct httpd_request *request)
{
    int *left = malloc(sizeof(*left));
    assert_non_null(left);
    *left = 3;
    struct httpd_source source = {read_three, free, left, 0};
    httpd_reply_stream(request, 200, "text/plain", &source);
}

static int take(void *payload, const void *data, size_t size)
{
    *(size_t *)payload += size;
    return 0;
}

static void sink_begin(struct httpd_request *request)
{
    size_t *sum = calloc(1, sizeof(*sum));
    assert_non_null(sum);
    httpd_set_state(request, sum, free);
    httpd_set_sink(request, take, sum);
}

static void sink(struct httpd_request *request)
{
    char text[32];
    snprintf(text, sizeof(text), "%zu", *(size_t *)httpd_state(request));
    httpd_reply_text(request, 200, text);
}

static void mirror(struct ws *ws, void *payload)
{
    int kind;
    const char *data;
    ssize_t size;
    while ((size = ws_read(ws, -1, &kind, &data)) >= 0)
        ws_send(ws, (enum ws_kind)kind, data, (size_t)size);
}

static void open_ws(struct httpd_request *request)
{
    ws_accept(request, NULL, mirror, NULL, NULL);
}

static void silent(struct httpd_request *request)
{
}

static bool allow(struct httpd_request *request)
{
    const char *key = httpd_bearer(request);
    if (key && strcmp(key, "secret") == 0)
        return true;
    httpd_fail(request, 401, "no key");
    return false;
}

static const struct httpd_route routes[] = {
    {.method = "GET", .pattern = "/things/{id}", .handler = echo},
    {.method = "POST", .pattern = "/things/{id}", .handler = echo, .body_limit = 100},
    {.method = "*", .pattern = "/rest/*", .handler = rest},
    {.method = "GET", .pattern = "/stream", .handler = stream},
    {.method = "PUT",
     .pattern = "/sink",
     .handler = sink,
     .begin = sink_begin,
     .body_limit = 1 << 20},
    {.method = "GET", .pattern = "/ws", .handler = open_ws},
    {.method = "GET", .pattern = "/silent", .handler = silent},
};
static const struct httpd_site site = {routes, ARRAY_SIZE(routes), allow, NULL};

static int start_server(void **state)
{
    struct httpd_options options = HTTPD_OPTIONS_INIT;
    static const char *const hosts[] = {"*.sbx.test"};
    options.site = &site;
    options.hosts = hosts;
    options.host_count = 1;
    options.access_log = count_line;
    struct sbx_error err;
    struct httpd *server = NULL;
    assert_int_equal(httpd_start(&options, &server, &err), 0);
    *state = server;
    return 0;
}

static int stop_server(void **state)
{
    httpd_stop(*state, 100);
    return 0;
}

static int connect_to(struct httpd *server)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(httpd_port(server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static char reply[65536];

// Sends raw bytes and reads until the server has nothing more to say for this request.
static const char *ask_raw(struct httpd *server, const char *text)
{
    cleanup_fd int fd = connect_to(server);
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    size_t size = 0;
    ssize_t got;
    while ((got = recv(fd, reply + size, sizeof(reply) - 1 - size, 0)) > 0)
        size += (size_t)got;
    reply[size] = '\0';
    return reply;
}

static const char *ask(struct httpd *server, const char *line, const char *more)
{
    char text[4096];
    snprintf(text, sizeof(text),
             "%s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer secret\r\n"
             "Connection: close\r\n%s",
             line, more);
    return ask_raw(server, text);
}

static void expect(const char *answer, const char *status, const char *part)
{
    if (strncmp(answer + 9, status, 3) != 0 || !strstr(answer, part))
        fail_msg("not %s with '%s': %s", status, part, answer);
}

static void test_routes(void **state)
{
    expect(ask(*state, "GET /things/a%20b?q=x%26y", "\r\n"), "200", "GET a b x&y ");
    expect(ask(*state, "POST /things/1", "Content-Length: 4\r\n\r\nbody"), "200", "POST 1 - body");
    expect(ask(*state, "POST /things/1",
               "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"),
           "200", "POST 1 - abcd");
    expect(ask(*state, "PATCH /rest/a/b", "\r\n"), "200", "\r\n\r\na/b");
    expect(ask(*state, "GET /things", "\r\n"), "404", "not found");
    expect(ask(*state, "GET /things/", "\r\n"), "404", "not found");
    expect(ask(*state, "GET /things/a/b", "\r\n"), "404", "not found");
    expect(ask(*state, "DELETE /things/a", "\r\n"), "405", "not allowed");
    expect(ask(*state, "GET /silent", "\r\n"), "500", "not answered");
    expect(ask(*state, "GET /stream", "\r\n"), "200", "1\r\n3");
    expect(ask(*state, "GET /things/a%00b", "\r\n"), "400", "NUL");
}

static void test_refusals(void **state)
{
    expect(
        ask_raw(*state, "GET /things/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        "401", "no key");
    expect(
        ask_raw(*state, "GET /things/a HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n"),
        "403", "Host");
    expect(ask_raw(*state,
                   "GET /things/a HTTP/1.1\r\nHost: sbx.test.evil\r\nConnection: close\r\n\r\n"),
           "403", "Host");
    expect(
        ask_raw(*state, "GET /things/a HTTP/1.1\r\nHost: a.sbx.test\r\nConnection: close\r\n\r\n"),
        "401", "no key");
    expect(ask(*state, "GET /things/a", "Origin: http://evil.test\r\n\r\n"), "403", "Origin");
    expect(ask(*state, "GET /things/a", "Origin: null\r\n\r\n"), "403", "Origin");
    expect(ask(*state, "GET /things/a", "Origin: http://127.0.0.1\r\n\r\n"), "200", "GET a");
}

static void test_ceilings(void **state)
{
    char more[512];
    snprintf(more, sizeof(more), "Content-Length: 200\r\n\r\n%0200d", 1);
    expect(ask(*state, "POST /things/1", more), "413", "too large");
    snprintf(more, sizeof(more), "Transfer-Encoding: chunked\r\n\r\nc8\r\n%0200d\r\n0\r\n\r\n", 1);
    expect(ask(*state, "POST /things/1", more), "413", "too large");
    expect(ask(*state, "POST /things/1", "Content-Length: 99999999999\r\n\r\n"), "413",
           "too large");
    expect(ask(*state, "PUT /sink", "Content-Length: 5\r\n\r\nhello"), "200", "\r\n\r\n5");
}

static void test_ws(void **state)
{
    static const char shake[] =
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    // A text in two frames with a ping between them, then a close.
    static const uint8_t frames[] = {0x01, 0x82,    0,    0,    0,   0,    'a',  'b', 0x89, 0x81,
                                     1,    1,       1,    1,    'q', 0x80, 0x81, 2,   2,    2,
                                     2,    'c' ^ 2, 0x88, 0x80, 0,   0,    0,    0};
    static const uint8_t answer[] = {0x8a, 1, 'p', 0x81, 3, 'a', 'b', 'c', 0x88, 2, 3, 0xe8};
    cleanup_fd int fd = connect_to(*state);
    assert_int_equal(send(fd, shake, sizeof(shake) - 1, 0), sizeof(shake) - 1);
    assert_int_equal(send(fd, frames, sizeof(frames), 0), sizeof(frames));
    size_t size = 0;
    ssize_t got;
    while ((got = recv(fd, reply + size, sizeof(reply) - 1 - size, 0)) > 0)
        size += (size_t)got;
    reply[size] = '\0';
    expect(reply, "101", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); // RFC 6455, section 1.3
    const char *end = strstr(reply, "\r\n\r\n");
    assert_non_null(end);
    assert_int_equal(size - (size_t)(end + 4 - reply), sizeof(answer));
    assert_memory_equal(end + 4, answer, sizeof(answer));
    expect(ask(*state, "GET /ws", "\r\n"), "426", "WebSocket");
}

// An open WebSocket does not keep the server from stopping.
static void test_stop(void **state)
{
    void *server;
    start_server(&server);
    cleanup_fd int fd = connect_to(server);
    static const char shake[] =
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    assert_int_equal(send(fd, shake, sizeof(shake) - 1, 0), sizeof(shake) - 1);
    assert_true(recv(fd, reply, sizeof(reply), 0) > 0);
    httpd_stop(server, 0);
    while (recv(fd, reply, sizeof(reply), 0) > 0)
        ;
}

static void test_ws_heads(void **state)
{
    struct ws_frame frame;
    static const struct {
        uint8_t data[14];
        size_t size;
        int expected;
    } rows[] = {
        {{0x81, 0x80, 1, 2, 3, 4}, 6, 6},
        {{0x81, 0x80, 1, 2, 3}, 5, 0},
        {{0x81}, 1, 0},
        {{0x81, 0x01, 'a'}, 3, -1},              // not masked
        {{0xc1, 0x80, 0, 0, 0, 0}, 6, -1},       // extension bit
        {{0x83, 0x80, 0, 0, 0, 0}, 6, -1},       // unknown opcode
        {{0x8b, 0x80, 0, 0, 0, 0}, 6, -1},       // unknown control
        {{0x09, 0x80, 0, 0, 0, 0}, 6, -1},       // control in parts
        {{0x89, 0xfe, 0, 0, 0, 0, 0, 0}, 8, -1}, // long control
        {{0x82, 0xfe, 1, 0, 0, 0, 0, 0}, 8, 8},
        {{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 14, -1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(ws_parse_head(rows[i].data, rows[i].size, &frame), rows[i].expected);
    ws_parse_head(rows[9].data, 8, &frame);
    assert_int_equal(frame.size, 256);
}

static void test_counts(void **state)
{
    struct httpd_stats stats;
    httpd_stats(*state, &stats);
    assert_true(stats.requests > 10);
    assert_true(stats.refused > 3);
    assert_true(stats.failures > 0);
    assert_true(atomic_load(&lines) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),   cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_ceilings), cmocka_unit_test(test_ws),
        cmocka_unit_test(test_counts),   cmocka_unit_test(test_stop),
        cmocka_unit_test(test_ws_heads),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
