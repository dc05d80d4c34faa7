// SPDX-License-Identifier: Apache-2.0
// The HTTP client against a server that says what the test tells it to.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <sandboxes/client.h>

#include "net/http.h"
#include "net/status.h"
#include "net/websocket.h"
#include "unit.h"

static struct sbx_error err;
static struct http *http;

// One answer a connection, in order; a connection that has got its answer is read until the client
// closes it, or cut.
struct answer {
    const char *text; // NULL: closed without a word
    size_t size;      // 0: strlen(text)
    size_t repeat;    // how often the text is sent again
    bool keep;        // next request on the same connection
    bool slow;        // one byte each 20 ms
};

static struct {
    int fd;
    uint16_t port;
    pthread_t thread;
    const struct answer *answers;
    size_t count;
    _Atomic size_t requests;
    char seen[65536]; // of all requests
    size_t seen_size, body_bytes;
} server;

static void send_answer(int fd, const struct answer *answer)
{
    size_t size = answer->size ? answer->size : strlen(answer->text);
    for (size_t i = 0; i <= answer->repeat; i++) {
        const char *at = answer->text;
        for (size_t left = size; left > 0;) {
            ssize_t sent = send(fd, at, answer->slow ? 1 : left, MSG_NOSIGNAL);
            if (sent <= 0)
                return;
            at += sent;
            left -= (size_t)sent;
            if (answer->slow)
                usleep(20000);
        }
    }
}

static bool read_request(int fd)
{
    char text[65536];
    size_t size = 0, need = 0;
    while (!need || size < need) {
        ssize_t got = recv(fd, text + size, sizeof(text) - 1 - size, 0);
        if (got <= 0)
            return false;
        size += (size_t)got;
        text[size] = '\0';
        const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "content-length:");
        if (end)
            need = (size_t)(end + 4 - text) +
                   (length && length < end ? strtoul(length + 15, NULL, 10) : 0);
        if (need > sizeof(text) - 1)
            break;
    }
    size_t room = sizeof(server.seen) - 1 - server.seen_size;
    size_t take = size < room ? size : room;
    memcpy(server.seen + server.seen_size, text, take);
    server.seen_size += take;
    return true;
}

static void *serve(void *unused)
{
    int fd = -1;
    for (size_t i = 0; i < server.count; i++) {
        const struct answer *answer = &server.answers[i];
        if (fd < 0)
            fd = accept(server.fd, NULL, NULL);
        if (fd < 0 || !read_request(fd))
            break;
        server.requests++;
        if (answer->text)
            send_answer(fd, answer);
        if (answer->keep)
            continue;
        close(fd);
        fd = -1;
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

static void begin(const struct answer *answers, size_t count)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    memset(&server, 0, sizeof(server));
    server.answers = answers;
    server.count = count;
    server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server.fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server.fd, 16), 0);
    assert_int_equal(getsockname(server.fd, (struct sockaddr *)&address, &size), 0);
    server.port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
    assert_int_equal(http_open(&(struct http_options){.user_agent = "test"}, &http, &err), 0);
}
#define BEGIN(...)                                                                                 \
    static const struct answer answers[] = {__VA_ARGS__};                                          \
    begin(answers, sizeof(answers) / sizeof(answers[0]))

static void end(void)
{
    http_close(http);
    shutdown(server.fd, SHUT_RDWR);
    close(server.fd);
    pthread_join(server.thread, NULL);
}

static const char *url(const char *path)
{
    static char text[256];
    snprintf(text, sizeof(text), "http://127.0.0.1:%u%s", server.port, path);
    return text;
}

static struct http_request get(const char *path)
{
    return (struct http_request){.method = "GET", .url = url(path), .flags = HTTP_IDEMPOTENT};
}

static int call(const struct http_request *request, struct http_reply *reply)
{
    *reply = (struct http_reply)HTTP_REPLY_INIT;
    return http_call(http, request, deadline_in(5000), reply, &err);
}

static void an_answer_comes_back(void **state)
{
    BEGIN({.text = "HTTP/1.1 201 Created\r\nX-Request-Id: r1\r\nContent-Length: 5\r\n\r\nhello"});
    struct http_reply reply;
    struct http_request request = {
        .method = "POST", .url = url("/a?b=c"), .body = "{}", .body_size = 2};
    struct http_header headers[] = {{"X-API-KEY", "k"}, {"Left-Out", NULL}};
    request.headers = headers;
    request.header_count = 2;
    assert_int_equal(call(&request, &reply), 0);
    assert_int_equal(reply.status, 201);
    assert_string_equal(buf_text(&reply.body), "hello");
    char id[16];
    assert_true(http_header_get(&reply.headers, "x-request-id", id, sizeof(id)));
    assert_string_equal(id, "r1");
    assert_non_null(strstr(server.seen, "POST /a?b=c HTTP/1.1\r\n"));
    assert_non_null(strstr(server.seen, "X-API-KEY: k\r\n"));
    assert_non_null(strstr(server.seen, "\r\n\r\n{}"));
    assert_null(strstr(server.seen, "Left-Out"));
    assert_null(strstr(server.seen, "Expect"));
    http_reply_deinit(&reply);
    end();
}

static void a_connection_is_used_again(void **state)
{
    BEGIN({.text = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", .keep = true},
          {.text = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb"});
    struct http_request request = get("/");
    struct http_reply reply;
    assert_int_equal(call(&request, &reply), 0);
    http_reply_deinit(&reply);
    assert_int_equal(call(&request, &reply), 0);
    assert_string_equal(buf_text(&reply.body), "b");
    http_reply_deinit(&reply);
    assert_int_equal(server.requests, 2);
    end();
}

static void what_may_be_repeated_is(void **state)
{
    BEGIN({.text = NULL},
          {.text = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
          {.text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"});
    struct http_request request = get("/");
    struct http_reply reply;
    assert_int_equal(call(&request, &reply), 0);
    assert_int_equal(reply.status, 200);
    assert_int_equal(server.requests, 3);
    http_reply_deinit(&reply);
    end();
}

static void what_may_not_be_repeated_is_not(void **state)
{
    BEGIN({.text = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", .keep = true}, {.text = NULL},
          {.text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"});
    struct http_request request = {.method = "POST", .url = url("/"), .body = "{}", .body_size = 2};
    struct http_reply reply;
    assert_int_equal(call(&request, &reply), 0);
    http_reply_deinit(&reply);
    // On a connection that was kept, where libcurl itself would send it again.
    assert_int_equal(call(&request, &reply), SBX_ERR_UNAVAILABLE);
    assert_int_equal(server.requests, 2);
    end();
}

static void a_reply_past_its_ceiling_is_refused(void **state)
{
    BEGIN({.text = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789", .repeat = 0});
    struct http_request request = get("/");
    struct http_reply reply;
    request.flags = 0;
    request.reply_max = 5;
    assert_int_equal(call(&request, &reply), SBX_ERR_QUOTA);
    end();
}

static void endless_headers_are_refused(void **state)
{
    static char text[200000] = "HTTP/1.1 200 OK\r\n";
    for (size_t at = strlen(text); at < sizeof(text) - 100; at += 32)
        memcpy(text + at, "X-Header-Of-Many: 012345678901\r\n", 32);
    const struct answer answers[] = {{.text = text, .size = 190000}};
    begin(answers, 1);
    struct http_request request = get("/");
    struct http_reply reply;
    request.flags = 0;
    assert_int_equal(call(&request, &reply), SBX_ERR_PROTOCOL);
    end();
}

static void what_is_no_http_is_told(void **state)
{
    BEGIN({.text = "hello, I am no web server\r\n\r\n"});
    struct http_request request = get("/");
    struct http_reply reply;
    request.flags = 0;
    assert_int_equal(call(&request, &reply), SBX_ERR_PROTOCOL);
    end();
}

static void a_body_cut_short_is_an_error(void **state)
{
    BEGIN({.text = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"});
    struct http_request request = get("/");
    struct http_reply reply;
    request.flags = 0;
    assert_int_equal(call(&request, &reply), SBX_ERR_UNAVAILABLE);
    end();
}

static void redirects_are_not_followed(void **state)
{
    BEGIN({.text =
               "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"});
    struct http_request request = get("/");
    struct http_reply reply;
    assert_int_equal(call(&request, &reply), 0);
    assert_int_equal(reply.status, 302);
    assert_int_equal(status_error("x", &reply, &err), SBX_ERR_PROTOCOL);
    http_reply_deinit(&reply);
    end();
}

static void a_deadline_ends_a_slow_answer(void **state)
{
    BEGIN({.text =
               "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
           .slow = true});
    struct http_request request = get("/");
    struct http_reply reply;
    assert_int_equal(http_call(http, &request, deadline_in(100), &reply, &err), SBX_ERR_TIMEOUT);
    end();
}

static void *trigger(void *cancel)
{
    usleep(50000);
    sbx_cancel_trigger(cancel);
    return NULL;
}

static void a_cancelled_call_returns(void **state)
{
    BEGIN({.text = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", .keep = true},
          {.text = NULL});
    struct http_request request = get("/");
    struct http_reply reply;
    struct sbx_cancel *cancel;
    pthread_t thread;
    assert_int_equal(sbx_cancel_new(&cancel, &err), 0);
    struct deadline deadline = {.at_ms = DEADLINE_NEVER, .cancel = cancel};
    assert_int_equal(pthread_create(&thread, NULL, trigger, cancel), 0);
    assert_int_equal(http_call(http, &request, deadline, &reply, &err), SBX_ERR_CANCELLED);
    pthread_join(thread, NULL);
    sbx_cancel_free(cancel);
    end();
}

static void nobody_listening_is_unavailable(void **state)
{
    BEGIN({.text = NULL});
    struct http_request request = {.method = "GET", .url = "http://127.0.0.1:1/"};
    struct http_reply reply;
    assert_int_equal(call(&request, &reply), SBX_ERR_UNAVAILABLE);
    assert_non_null(strstr(err.message, "127.0.0.1:1"));
    request.url = "ftp://x/";
    assert_int_equal(call(&request, &reply), SBX_ERR_INVALID);
    request.url = "http://no-such-host.invalid/";
    assert_int_equal(call(&request, &reply), SBX_ERR_UNAVAILABLE);
    end();
}

// The server gets no further than what the client holds, until the reader goes on.
static void a_reader_that_stops_makes_the_server_wait(void **state)
{
    static char piece[65536];
    memset(piece, 'x', sizeof(piece));
    static struct answer answers[] = {{.text = "HTTP/1.1 200 OK\r\n\r\n", .keep = false}};
    static char whole[sizeof(piece) + 64];
    memcpy(whole, "HTTP/1.1 200 OK\r\n\r\n", 19);
    memcpy(whole + 19, piece, sizeof(piece));
    answers[0] = (struct answer){.text = whole, .size = 19 + sizeof(piece), .repeat = 400};
    begin(answers, 1);
    struct http_request request = get("/");
    struct http_stream *stream;
    int status;
    assert_int_equal(http_start(http, &request, &stream, &err), 0);
    assert_int_equal(http_wait(stream, deadline_in(5000), &status, &err), 0);
    usleep(200000); // all that fits has come by now
    size_t total = 0, got = 1;
    char data[4096];
    while (got) {
        assert_int_equal(http_read(stream, data, sizeof(data), deadline_in(5000), &got, &err), 0);
        total += got;
    }
    assert_int_equal(total, 401 * (19 + sizeof(piece)) - 19);
    http_stream_close(stream);
    end();
}

static void an_upload_streams(void **state)
{
    BEGIN({.text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"});
    struct http_request request = {
        .method = "PUT", .url = url("/up"), .flags = HTTP_UPLOAD, .upload_size = 30000};
    struct http_stream *stream;
    int status;
    char data[3000];
    memset(data, 'u', sizeof(data));
    assert_int_equal(http_start(http, &request, &stream, &err), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(http_send(stream, data, sizeof(data), deadline_in(5000), &err), 0);
    http_send_end(stream);
    assert_int_equal(http_wait(stream, deadline_in(5000), &status, &err), 0);
    assert_int_equal(status, 200);
    http_stream_close(stream);
    end();
    assert_true(server.seen_size > 30000);
    assert_non_null(strstr(server.seen, "Content-Length: 30000"));
}

static void a_bare_connection_carries_bytes(void **state)
{
    BEGIN({.text = "echo\r\n", .keep = true}, {.text = "second", .keep = false});
    struct http_request request = {.method = "GET", .url = url("/"), .flags = HTTP_SOCKET};
    struct http_stream *stream;
    int status;
    char data[64];
    size_t got;
    assert_int_equal(http_start(http, &request, &stream, &err), 0);
    assert_int_equal(http_wait(stream, deadline_in(5000), &status, &err), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(http_send(stream, "x\r\n\r\n", 5, deadline_in(5000), &err), 0);
        assert_int_equal(http_read(stream, data, sizeof(data), deadline_in(5000), &got, &err), 0);
        assert_int_equal(got, 6);
        assert_memory_equal(data, i ? "second" : "echo\r\n", 6);
    }
    assert_int_equal(http_read(stream, data, sizeof(data), deadline_in(5000), &got, &err),
                     SBX_ERR_UNAVAILABLE);
    http_stream_close(stream);
    end();
}

// libcurl may not take for idle what carries bytes that it knows nothing of.
static void a_bare_connection_lives_as_long_as_it_is_used(void **state)
{
    static const struct answer answers[] = {{.text = "later\n", .keep = false}};
    const struct http_options options = {.kept_s = 1};
    struct http_stream *stream;
    char data[64];
    size_t got;
    int status;
    begin(answers, 1);
    http_close(http);
    assert_int_equal(http_open(&options, &http, &err), 0);
    struct http_request bare = {.method = "GET", .url = url("/"), .flags = HTTP_SOCKET};
    assert_int_equal(http_start(http, &bare, &stream, &err), 0);
    assert_int_equal(http_wait(stream, deadline_in(5000), &status, &err), 0);
    usleep(2100000);
    struct http_request other = {.method = "GET", .url = "http://127.0.0.1:1/"};
    struct http_reply reply = HTTP_REPLY_INIT;
    assert_int_equal(call(&other, &reply), SBX_ERR_UNAVAILABLE);
    assert_int_equal(http_send(stream, "x\r\n\r\n", 5, deadline_in(5000), &err), 0);
    assert_int_equal(http_read(stream, data, sizeof(data), deadline_in(5000), &got, &err), 0);
    assert_memory_equal(data, "later\n", 6);
    http_stream_close(stream);
    end();
}

// The answer depends on the request's key: a server of its own.
static void *serve_websocket(void *argument)
{
    static const char first[] = "\x01\x02ot\x89\x01p",
                      rest[] = "\x80\x03her\x82\x02xy\x88\x02\x03\xe8";
    char text[4096], accept_key[32], pong[64];
    int fd = accept(server.fd, NULL, NULL);
    ssize_t size = recv(fd, text, sizeof(text) - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    const char *key = strstr(text, "Sec-WebSocket-Key: ");
    if (key) {
        ws_accept(argument ? "AAAAAAAAAAAAAAAAAAAAAA==" : key + 19, accept_key);
        size = snprintf(text, sizeof(text),
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
                        "Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                        accept_key);
        send(fd, text, (size_t)size, MSG_NOSIGNAL);
        send(fd, first, sizeof(first) - 1, MSG_NOSIGNAL);
        if (!argument)
            server.requests = (size_t)recv(fd, pong, sizeof(pong), 0); // the answer to the ping
        send(fd, rest, sizeof(rest) - 1, MSG_NOSIGNAL);
    }
    close(fd);
    return NULL;
}

static struct ws *open_websocket(void *bad_key, int want)
{
    struct ws *ws = NULL;
    begin(NULL, 0);
    pthread_join(server.thread, NULL); // it had nothing to say
    assert_int_equal(pthread_create(&server.thread, NULL, serve_websocket, bad_key), 0);
    struct http_header header = {"X-Own", "1"};
    struct ws_request request = {.url = url("/path?q"), .headers = &header, .header_count = 1};
    assert_int_equal(ws_open(http, &request, deadline_in(5000), &ws, &err), want);
    return ws;
}

static void a_websocket_carries_messages(void **state)
{
    static const struct {
        enum ws_kind kind;
        const char *data;
        size_t size;
    } rows[] = {{WS_TEXT, "other", 5}, {WS_BINARY, "xy", 2}, {WS_CLOSE, "\x03\xe8", 2}};
    struct ws *ws = open_websocket(NULL, 0);
    enum ws_kind kind;
    const char *data;
    size_t size;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(ws_read(ws, deadline_in(5000), &kind, &data, &size, &err), 0);
        assert_int_equal(kind, rows[i].kind);
        assert_int_equal(size, rows[i].size);
        assert_memory_equal(data, rows[i].data, size);
    }
    assert_int_equal(ws_read(ws, deadline_in(5000), &kind, &data, &size, &err),
                     SBX_ERR_UNAVAILABLE);
    ws_close(ws);
    end();
    assert_int_equal(server.requests, 7); // a pong of one byte, masked
}

static void a_wrong_handshake_is_refused(void **state)
{
    assert_null(open_websocket(&server, SBX_ERR_PROTOCOL));
    end();
}

static void the_service_s_words_are_in_the_error(void **state)
{
    static const struct {
        const char *body, *want;
    } rows[] = {
        {"{\"code\":429,\"message\":\"too many\\nsandboxes\"}",
         "create: too many sandboxes (request r9)"},
        {"{\"error\":{\"message\":\"inner\"}}", "create: inner (request r9)"},
        {"plain words", "create: plain words (request r9)"},
        {"<html>no</html>", "create: the service answered with status 429 (request r9)"},
        {"", "create: the service answered with status 429 (request r9)"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_reply reply = {
            .status = 429, .body = BUF_INIT(1000), .headers = BUF_INIT(1000)};
        buf_puts(&reply.body, rows[i].body);
        buf_puts(&reply.headers, "retry-after: 3\nx-request-id: r9\n");
        assert_int_equal(status_error("create", &reply, &err), SBX_ERR_QUOTA);
        assert_string_equal(err.message, rows[i].want);
        assert_int_equal(err.retry_after_ms, 3000);
        assert_int_equal(err.http_status, 429);
        http_reply_deinit(&reply);
    }
}

static void absurd_waits_are_bounded(void **state)
{
    static const struct {
        const char *header;
        int64_t least, most;
    } rows[] = {
        {"retry-after: 1.5\n", 1500, 1500},
        {"retry-after: 99999999999999999999\n", 86400000, 86400000},
        {"retry-after: Mon, 01 Jan 2001 00:00:00 GMT\n", 0, 0},
        {"retry-after: Fri, 01 Jan 2100 00:00:00 GMT\n", 86400000, 86400000},
        {"retry-after: soon\n", 0, 0},
        {"retry-after: -5\n", 0, 0},
        {"other: 5\n", 0, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf headers = BUF_INIT(100);
        buf_puts(&headers, rows[i].header);
        int64_t ms = status_retry_after_ms(&headers);
        assert_true(ms >= rows[i].least && ms <= rows[i].most);
        buf_deinit(&headers);
    }
}

static void note(void *payload, int level, const char *origin, const char *text)
{
    char *seen = payload;
    snprintf(seen + strlen(seen), 8192 - strlen(seen), "%s\n", text);
}

static void secrets_stay_out_of_the_log(void **state)
{
    static char seen[8192];
    setenv("SANDBOXES_DEBUG", "http", 1);
    sbx_log_set(note, seen);
    BEGIN({.text =
               "HTTP/1.1 200 OK\r\nSet-Cookie: canary\r\nX-Ok: fine\r\nContent-Length: 0\r\n\r\n"});
    char address[128];
    snprintf(address, sizeof(address),
             "http://u:canary@127.0.0.1:%u/p?a=1&signature=canary&access_token=canary",
             server.port);
    struct http_header headers[] = {{"X-API-KEY", "canary"},
                                    {"Authorization", "Bearer canary"},
                                    {"X-Access-Token", "canary"},
                                    {"Accept", "shown"}};
    struct http_request request = {
        .method = "GET", .url = address, .headers = headers, .header_count = 4};
    struct http_reply reply;
    assert_int_equal(call(&request, &reply), 0);
    sbx_log_set(NULL, NULL);
    unsetenv("SANDBOXES_DEBUG");
    http_reply_deinit(&reply);
    end();
    assert_null(strstr(seen, "canary"));
    assert_non_null(strstr(seen, "shown"));
    assert_non_null(strstr(seen, "?a=1&signature=***&access_token=***"));
    assert_non_null(strstr(seen, "{x-ok: fine}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes_back),
        cmocka_unit_test(a_connection_is_used_again),
        cmocka_unit_test(what_may_be_repeated_is),
        cmocka_unit_test(what_may_not_be_repeated_is_not),
        cmocka_unit_test(a_reply_past_its_ceiling_is_refused),
        cmocka_unit_test(endless_headers_are_refused),
        cmocka_unit_test(what_is_no_http_is_told),
        cmocka_unit_test(a_body_cut_short_is_an_error),
        cmocka_unit_test(redirects_are_not_followed),
        cmocka_unit_test(a_deadline_ends_a_slow_answer),
        cmocka_unit_test(a_cancelled_call_returns),
        cmocka_unit_test(nobody_listening_is_unavailable),
        cmocka_unit_test(a_reader_that_stops_makes_the_server_wait),
        cmocka_unit_test(an_upload_streams),
        cmocka_unit_test(a_bare_connection_carries_bytes),
        cmocka_unit_test(a_bare_connection_lives_as_long_as_it_is_used),
        cmocka_unit_test(a_websocket_carries_messages),
        cmocka_unit_test(a_wrong_handshake_is_refused),
        cmocka_unit_test(the_service_s_words_are_in_the_error),
        cmocka_unit_test(absurd_waits_are_bounded),
        cmocka_unit_test(secrets_stay_out_of_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
