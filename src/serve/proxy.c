// SPDX-License-Identifier: Apache-2.0
// Ports of sandboxes, for whoever has their address. Layer: serve.
#include "serve/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"
#include "httpd/ws.h"
#include "serve/auth.h"
#include "serve/envd.h"
#include "serve/ports.h"
#include "serve/proxy_head.h"
#include "serve/sites.h"

#define BODY_MAX ((size_t)64 << 30)
#define SLICE_MS 1000
#define PIPE_SIZE 16384
#define READ_MS 10000                    // of the list of open ports
#define BODY_KEPT_MAX (16 * 1024 * 1024) // of a body whose size is not known before
#define STALL_S 30                       // that a server inside may not read

// --- Signed addresses: tokens on the sheet, "PORT EXPIRY" each

int proxy_sign(struct place *box, unsigned port, int64_t seconds, char ret_token[PROXY_TOKEN_SIZE],
               struct sbx_error *err)
{
    uint8_t data[(PROXY_TOKEN_SIZE - 1) / 2];
    char text[64], token[PROXY_TOKEN_SIZE];
    if (id_random(data, sizeof(data)) < 0)
        return err_sys(err, 0, errno, "cannot make a token");
    for (size_t i = 0; i < sizeof(data); i++)
        snprintf(token + 2 * i, 3, "%02x", data[i]);
    snprintf(text, sizeof(text), "%u %" PRId64, port, clock_unix_ms() / 1000 + seconds);
    pthread_mutex_lock(&box->lock);
    struct pairlist *tokens = &box->sheet.tokens;
    if (tokens->count >= PROXY_TOKENS_MAX)
        pairlist_remove(tokens, tokens->items[0].name);
    int code = pairlist_add(tokens, token, text, err);
    pthread_mutex_unlock(&box->lock);
    if (code == 0)
        code = place_save(box, err);
    if (code == 0)
        snprintf(ret_token, PROXY_TOKEN_SIZE, "%s", token);
    return code;
}

// Under the lock: whether the token is good for the port now.
static bool token_fits(const struct place *box, unsigned port, const char *token)
{
    const char *text = pairlist_get(&box->sheet.tokens, token);
    unsigned own_port;
    long long expiry;
    return text && sscanf(text, "%u %lld", &own_port, &expiry) == 2 && own_port == port &&
           clock_unix_ms() / 1000 < expiry;
}

bool proxy_expire(struct place *box, unsigned port, const char *token)
{
    struct sbx_error ignored;
    pthread_mutex_lock(&box->lock);
    bool known = token_fits(box, port, token);
    if (known)
        pairlist_remove(&box->sheet.tokens, token);
    pthread_mutex_unlock(&box->lock);
    return known && place_save(box, &ignored) == 0;
}

// The sandbox of a token, with a reference; NULL when no one has it.
static struct place *place_of_token(struct serve *serve, unsigned port, const char *token)
{
    struct place **all = NULL, *found = NULL;
    size_t count = 0;
    struct sbx_error ignored;
    if (strlen(token) != PROXY_TOKEN_SIZE - 1 || places_all(serve, &all, &count, &ignored) < 0)
        return NULL;
    for (size_t i = 0; i < count && !found; i++) {
        pthread_mutex_lock(&all[i]->lock);
        bool fits = token_fits(all[i], port, token);
        pthread_mutex_unlock(&all[i]->lock);
        if (fits)
            found = place_ref(all[i]);
    }
    places_free(all, count);
    return found;
}

void proxy_url(struct httpd_request *request, const char *who, unsigned port, char *ret_url,
               size_t size)
{
    const struct serve *serve = serve_of(request);
    const char *scheme = httpd_scheme(serve->httpd), *host = httpd_header(request, "Host");
    const char *number = host ? strrchr(host, ':') : NULL;
    if (serve->settings.domain)
        snprintf(ret_url, size, "%s://%u-%s.%s%s", scheme, port, who, serve->settings.domain,
                 number && !strchr(number, ']') ? number : "");
    else if (serve->settings.proxy_url)
        snprintf(ret_url, size, "%s" PROXY_PREFIX "%u-%s", serve->settings.proxy_url, port, who);
    else
        snprintf(ret_url, size, "%s://%s" PROXY_PREFIX "%u-%s", scheme, host ? host : "127.0.0.1",
                 port, who);
}

// --- Which port, and who may

struct through {
    struct httpd_request *request;
    struct buf body; // that is kept until its size is known
    struct place *box;
    unsigned port;
    size_t prefix; // of the path that is not for the sandbox
    int fd;        // to the port; -1: not yet
    struct proxy_answer answer;
    int64_t left; // of the answer's body; -1: until the end
};

static void through_free(void *payload)
{
    struct through *through = payload;
    if (through->fd >= 0)
        close(through->fd);
    buf_deinit(&through->answer.bytes);
    buf_deinit(&through->body);
    atomic_fetch_sub(&through->box->active, 1);
    if (through->box->sheet.api == API_DAYTONA)
        place_touch(through->box);
    place_unref(through->box);
    free(through);
}

// "/preview/PORT-WHO": the length of it, 0 if it is none.
static size_t parse_path(const char *path, char ret_who[SHEET_ID_SIZE], unsigned *ret_port)
{
    size_t prefix = strlen(PROXY_PREFIX), size;
    char *end;
    if (strncmp(path, PROXY_PREFIX, prefix) != 0)
        return 0;
    unsigned long port = strtoul(path + prefix, &end, 10);
    size = *end == '-' ? strcspn(end + 1, "/?") : 0;
    if (port < 1 || port > 65535 || size < 1 || size >= SHEET_ID_SIZE)
        return 0;
    snprintf(ret_who, SHEET_ID_SIZE, "%.*s", (int)size, end + 1);
    *ret_port = (unsigned)port;
    return (size_t)(end + 1 + size - path);
}

static bool has_cookie(struct httpd_request *request, const char *value)
{
    const char *text = httpd_header(request, "Cookie");
    char shown[SHA256_HEX_SIZE];
    for (const char *at = text; at && (at = strstr(at, PROXY_COOKIE "=")); at++) {
        const char *begin = at + strlen(PROXY_COOKIE "=");
        snprintf(shown, sizeof(shown), "%.*s", (int)strcspn(begin, "; "), begin);
        if (keys_equal(value, shown))
            return true;
    }
    return false;
}

// A browser shows a token of the address once, and then the cookie, which the ports of other
// sandboxes at the same name must not get.
static bool shows_preview_token(struct httpd_request *request, const struct through *through)
{
    const struct place *box = through->box;
    char token[SHA256_HEX_SIZE], cookie[384];
    int prefix = (int)through->prefix;
    const char *header = httpd_header(request, "X-Daytona-Preview-Token");
    const char *query = httpd_query(request, "DAYTONA_SANDBOX_AUTH_KEY");
    auth_token(box->serve, "preview", box->sheet.id, token);
    if (header)
        return keys_equal(token, header);
    if (!query)
        return has_cookie(request, token);
    if (!keys_equal(token, query))
        return false;
    snprintf(cookie, sizeof(cookie), PROXY_COOKIE "=%s; Path=%.*s; HttpOnly; SameSite=Lax", token,
             prefix ? prefix : 1, prefix ? httpd_path(request) : "/");
    httpd_add_header(request, "Set-Cookie", cookie);
    return true;
}

// E2B's sandboxes are open unless asked for otherwise, Daytona's are not.
static bool may(struct httpd_request *request, const struct through *through)
{
    const struct place *box = through->box;
    if (box->sheet.open)
        return true;
    return box->sheet.api == API_E2B ? envd_shows_traffic_token(request, box)
                                     : shows_preview_token(request, through);
}

static void fail_port(struct httpd_request *request, const struct place *box, unsigned port)
{
    cleanup_buf struct buf buf = BUF_INIT(4096);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_put_text(&json, "message", "The sandbox is running but port is not open");
    json_put_text(&json, "sandboxId", box->sheet.id);
    json_put_uint(&json, "port", port);
    json_put_uint(&json, "code", 502);
    json_end_object(&json);
    httpd_reply_json(request, 502, &buf);
}

static bool is_there(struct httpd_request *request, struct place *box)
{
    if (box->sheet.state == SHEET_AS_IS)
        return envd_wake(request, box);
    httpd_fail(request, 502, "The sandbox was not found: it is stopped");
    return false;
}

static bool authorize(struct httpd_request *request)
{
    char who[SHEET_ID_SIZE], text[256];
    unsigned port = 0;
    struct sbx_error err;
    struct serve *serve = serve_of(request);
    // Paths of a sandbox that has a name of its own are all its own.
    bool named = sites_target(request, who, &port);
    size_t prefix = named ? 0 : parse_path(httpd_path(request), who, &port);
    if (!named && prefix == 0) {
        httpd_fail(request, 404, "not found");
        return false;
    }
    struct place *box = place_of_token(serve, port, who);
    bool by_token = box != NULL;
    if (!box && place_get(serve, who, &box, &err) < 0) {
        snprintf(text, sizeof(text), "The %s", err.message);
        httpd_fail(request, 502, text);
        return false;
    }
    struct through *through = calloc(1, sizeof(*through));
    if (!through) {
        place_unref(box);
        httpd_fail(request, 503, "memory is short");
        return false;
    }
    *through = (struct through){.request = request,
                                .body = BUF_INIT(BODY_KEPT_MAX),
                                .box = box,
                                .port = port,
                                .prefix = prefix,
                                .fd = -1};
    through->answer.bytes = (struct buf)BUF_INIT(PROXY_HEAD_MAX + PIPE_SIZE);
    atomic_fetch_add(&box->active, 1);
    httpd_set_state(request, through, through_free);
    httpd_set_user(request, box->sheet.owner);
    if (!by_token && !may(request, through)) {
        httpd_fail(request, box->sheet.api == API_E2B ? 403 : 401,
                   "the token of this port is missing or wrong");
        return false;
    }
    return is_there(request, box);
}

// --- The connection

static int connect_to(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval stall = {.tv_sec = STALL_S};
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof(stall));
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -1;
    return steal_fd(&fd);
}

static bool was_reached(struct place *box, unsigned port, bool now)
{
    bool found = false;
    pthread_mutex_lock(&box->lock);
    for (size_t i = 0; i < box->reached_count; i++)
        found |= box->reached[i] == port;
    if (now && !found && box->reached_count < ARRAY_SIZE(box->reached))
        box->reached[box->reached_count++] = (uint16_t)port;
    pthread_mutex_unlock(&box->lock);
    return found;
}

// A port that is exposed stays so, and a sandbox has few: none for those that a visitor just tries.
static int check_listener(struct through *through, struct sbx_error *err)
{
    struct sbx_call call = serve_call(through->request, READ_MS);
    cleanup_free bool *ports = calloc(PORTS_END, sizeof(*ports));
    int code = ports ? ports_read(through->box, &call, ports, err) : err_nomem(err);
    if (code < 0 || !ports[through->port])
        return code < 0 ? code : err_set(err, SBX_ERR_UNAVAILABLE, "nobody listens on the port");
    was_reached(through->box, through->port, true);
    return 0;
}

static int open_port(struct through *through, struct sbx_error *err)
{
    int code = was_reached(through->box, through->port, false) ? 0 : check_listener(through, err);
    if (code < 0)
        return code;
    struct sbx_port port = {(uint16_t)through->port, 0};
    char address[128];
    if (sbx_sandbox_expose(through->box->sandbox, &port, NULL, address, sizeof(address), err) < 0)
        return place_failed(through->box, err);
    const char *number = strrchr(address, ':');
    through->fd = number ? connect_to((unsigned)strtoul(number + 1, NULL, 10)) : -1;
    return through->fd < 0 ? err_set(err, SBX_ERR_UNAVAILABLE, "cannot reach the port") : 0;
}

// What stands for the host of the request, as the sandbox's maker has asked for.
static void choose_host(struct httpd_request *request, const struct through *through,
                        char ret_host[256])
{
    const char *mask = through->box->sheet.mask_host, *at = strstr(mask, "${PORT}");
    const char *host = httpd_header(request, "Host");
    if (at)
        snprintf(ret_host, 256, "%.*s%u%s", (int)(at - mask), mask, through->port, at + 7);
    else
        snprintf(ret_host, 256, "%s", mask[0] ? mask : host ? host : "localhost");
}

static bool send_head(struct httpd_request *request, struct through *through, int64_t body_size)
{
    struct sbx_error err;
    char host[256];
    cleanup_buf struct buf head = BUF_INIT(PROXY_HEAD_MAX);
    const char *uri = httpd_uri(request) + through->prefix;
    cleanup_free char *path = NULL;
    bool switches = httpd_header(request, "Upgrade") != NULL;
    if (asprintf(&path, "%s%s", uri[0] == '/' ? "" : "/", uri) < 0)
        path = NULL;
    choose_host(request, through, host);
    if (path)
        proxy_write_head(request, path, host, body_size, switches, &head);
    if (!path || head.failed)
        httpd_fail(request, 431, "the head of the request is too large");
    else if (open_port(through, &err) < 0 || fd_write_full(through->fd, head.data, head.size) < 0)
        fail_port(request, through->box, through->port);
    else
        return true;
    return false;
}

static int take_body(void *payload, const void *data, size_t size)
{
    struct through *through = payload;
    if (through->fd >= 0)
        return fd_write_full(through->fd, data, size) < 0 ? -1 : 0;
    buf_add(&through->body, data, size);
    return through->body.failed ? -1 : 0;
}

// A browser takes links of a page from behind its last slash.
static bool sends_to_slash(struct httpd_request *request, const struct through *through)
{
    const char *rest = httpd_uri(request) + through->prefix;
    const char *accept = httpd_header(request, "Accept");
    cleanup_free char *place = NULL;
    if (through->prefix == 0 || rest[0] == '/' || !accept || !strstr(accept, "text/html") ||
        asprintf(&place, "%.*s/%s", (int)through->prefix, httpd_uri(request), rest) < 0)
        return false;
    httpd_add_header(request, "Location", place);
    httpd_reply(request, 307, NULL, NULL, 0);
    return true;
}

// A body whose size is known goes on as it comes.
static void begin(struct httpd_request *request)
{
    struct through *through = httpd_state(request);
    const char *size = httpd_header(request, "Content-Length");
    if (sends_to_slash(request, through))
        return;
    if (!size || send_head(request, through, strtoll(size, NULL, 10)))
        httpd_set_sink(request, take_body, through);
}

// --- The answer

// False when the client has left, or the server stops.
static bool wait_readable(const struct through *through)
{
    struct pollfd poll_fd = {through->fd, POLLIN, 0};
    int ready;
    while ((ready = poll(&poll_fd, 1, SLICE_MS)) <= 0)
        if ((ready < 0 && errno != EINTR) || httpd_gone(through->request))
            return false;
    return true;
}

static ssize_t read_answer(void *payload, char *data, size_t size)
{
    struct through *through = payload;
    struct proxy_answer *answer = &through->answer;
    ssize_t got = (ssize_t)buf_take(&answer->bytes, &answer->body, data, size);
    if (got == 0)
        got = wait_readable(through) ? read(through->fd, data, size) : -1;
    if (got <= 0)
        return got < 0 || through->left > 0 ? HTTPD_SOURCE_ERROR : HTTPD_SOURCE_END;
    if (through->left >= 0)
        through->left -= got;
    return got;
}

static void release_nothing(void *payload)
{
    // The request's state has it all.
}

// Both ways until one of the two ends.
static void carry(struct ws *ws, void *payload)
{
    struct through *through = payload;
    char data[PIPE_SIZE];
    size_t size;
    const char *pending = ws_tunnel_pending(ws, &size);
    struct pollfd fds[2] = {{ws_tunnel_fd(ws), POLLIN, 0}, {through->fd, POLLIN, 0}};
    const struct proxy_answer *answer = &through->answer;
    bool open = fd_write_full(through->fd, pending, size) == 0 &&
                ws_tunnel_write(ws, answer->bytes.data + answer->body,
                                answer->bytes.size - answer->body) == 0;
    while (open && poll(fds, 2, -1) >= 0) {
        place_touch(through->box);
        for (int i = 0; i < 2 && open; i++) {
            if (!fds[i].revents)
                continue;
            ssize_t got = read(fds[i].fd, data, sizeof(data));
            if (got < 0 && (errno == EAGAIN || errno == EINTR))
                continue;
            open = got > 0 && (i == 0 ? fd_write_full(through->fd, data, (size_t)got)
                                      : ws_tunnel_write(ws, data, (size_t)got)) == 0;
        }
    }
    through_free(through);
}

// The state lives on with the connection.
static void switch_over(struct httpd_request *request, struct through *through)
{
    struct through *own = malloc(sizeof(*own));
    if (!own) {
        httpd_fail(request, 503, "memory is short");
        return;
    }
    *own = *through;
    place_ref(own->box);
    atomic_fetch_add(&own->box->active, 1);
    through->fd = -1;
    through->answer.bytes = through->body = (struct buf){0};
    ws_tunnel(request, carry, through_free, own);
}

static void reply(struct httpd_request *request, struct through *through)
{
    struct proxy_answer *answer = &through->answer;
    const struct httpd_source source = {.read = read_answer,
                                        .release = release_nothing,
                                        .payload = through,
                                        .size = answer->size > 0 ? (uint64_t)answer->size : 0};
    bool empty = strcmp(httpd_method(request), "HEAD") == 0 || answer->status == 204 ||
                 answer->status == 304 || answer->size == 0;
    through->left = answer->size;
    if (empty)
        httpd_reply(request, answer->status, NULL, NULL, 0);
    else
        httpd_reply_stream(request, answer->status, NULL, &source);
}

static void pass(struct httpd_request *request)
{
    struct through *through = httpd_state(request);
    const struct buf *body = &through->body;
    if (httpd_sink_failed(request)) {
        if (through->fd >= 0)
            fail_port(request, through->box, through->port);
        else
            httpd_fail(request, 413, "a body of unknown size is too large: say its Content-Length");
        return;
    }
    if (through->fd < 0) {
        if (!send_head(request, through, body->size > 0 ? (int64_t)body->size : -1))
            return;
        if (body->size > 0)
            take_body(through, body->data, body->size);
    }
    // What a sandbox shows must not act in the name of this server's own pages. Ahead of its own
    // headers, which may be more than there is room for.
    if (through->prefix)
        httpd_add_header(request, "Content-Security-Policy",
                         "sandbox allow-scripts allow-forms allow-popups allow-downloads");
    through->answer.prefix = through->prefix;
    bool switches = httpd_header(request, "Upgrade") != NULL;
    if (proxy_read_head(request, through->fd, &through->answer) < 0 ||
        (through->answer.status == 101 && !switches))
        fail_port(request, through->box, through->port);
    else if (through->answer.status == 101)
        switch_over(request, through);
    else
        reply(request, through);
}

static const struct httpd_route routes[] = {
    {.method = "*", .pattern = "/*", .handler = pass, .begin = begin, .body_limit = BODY_MAX},
};
const struct httpd_site proxy_site = {routes, ARRAY_SIZE(routes), authorize, envd_fail, true};
