// SPDX-License-Identifier: Apache-2.0
/*
 * The life of a request: made when its first line is there, judged when its headers are, handled
 * when its body is. A refused one is read on for a little and thrown away: closing a socket with
 * unread bytes makes the kernel drop the reply. Layer: httpd.
 */
#include "httpd/handle.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"

#define BODY_DEFAULT (1024 * 1024)
#define DISCARD_MAX (4 * 1024 * 1024) // read to its end, so that the client reads our answer

static void request_free(struct httpd_request *request)
{
    httpd_set_state(request, NULL, NULL);
    if (request->parts_of)
        MHD_destroy_post_processor(request->parts_of);
    if (request->response)
        MHD_destroy_response(request->response);
    for (size_t i = 0; i < request->header_count; i++) {
        free(request->headers[i].name);
        free(request->headers[i].value);
    }
    free(request->empty_part);
    buf_deinit(&request->body);
    free(request->uri);
    free(request->path);
    free(request->parts);
    free(request);
}

void *handle_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct httpd *server = cls;
    struct httpd_request *request = calloc(1, sizeof(*request));
    if (!request)
        return NULL;
    request->server = server;
    request->connection = connection;
    request->started_ns = clock_boot_ns();
    request->uri = strdup(uri);
    atomic_fetch_add(&server->active, 1);
    char id[ID_SIZE] = "";
    if (id_new(id) == 0)
        snprintf(request->id, sizeof(request->id), "req-%s", id + 3);
    return request;
}

static void fill_peer(struct httpd_request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!info || !info->client_addr)
        return;
    const struct sockaddr *address = info->client_addr;
    if (address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, request->peer,
                  sizeof(request->peer));
    else if (address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, request->peer,
                  sizeof(request->peer));
}

static bool fill(struct httpd_request *request, const char *url, const char *method)
{
    const char *host = httpd_header(request, "Host");
    if (host)
        guard_host_name(host, request->host, sizeof(request->host));
    request->method = method;
    request->path = strdup(url);
    request->parts = strdup(url);
    fill_peer(request);
    return request->uri && request->path && request->parts;
}

static uint64_t announced(const struct httpd_request *request)
{
    const char *text = httpd_header(request, "Content-Length");
    return text ? strtoull(text, NULL, 10) : 0;
}

static void choose_site(struct httpd_request *request)
{
    const struct httpd_options *options = &request->server->options;
    request->site = options->select ? options->select(request) : NULL;
    if (!request->site)
        request->site = options->site;
}

// Whether it may go on; else it has been replied to.
static bool judge(struct httpd_request *request)
{
    bool other = false;
    choose_site(request);
    if (request->replied)
        return false;
    if (strlen(request->uri) > REQUEST_PATH_MAX || strstr(request->uri, "%00"))
        httpd_fail(request, 400, "the address of the request is too long or has a NUL in it");
    else if (!guard_allows(request))
        httpd_fail(request, 403, "this Host or Origin is not served here");
    else if (httpd_stopping(request->server))
        httpd_fail(request, 503, "the server is stopping");
    else if (!request->site)
        httpd_fail(request, 404, "not found");
    else if (request->site->authorize && !request->site->authorize(request))
        return false;
    else if (!(request->route = route_find(request->site, request, &other)))
        httpd_fail(request, other ? 405 : 404, other ? "method not allowed" : "not found");
    return !request->replied;
}

static void begin(struct httpd_request *request)
{
    const struct httpd_options *options = &request->server->options;
    if (!judge(request))
        return;
    size_t limit = request->route->body_limit;
    if (limit == 0)
        limit = options->body_limit ? options->body_limit : BODY_DEFAULT;
    request->limit = limit;
    request->body = (struct buf)BUF_INIT(limit + 1);
    if (announced(request) > limit)
        httpd_fail(request, 413, "the body of the request is too large");
    else if (request->route->begin)
        request->route->begin(request);
}

static enum MHD_Result queue(struct httpd_request *request)
{
    if (!request->replied)
        httpd_fail(request, 500, "the request was not answered");
    if (!request->response)
        return MHD_NO;
    struct MHD_Response *response = steal_ptr(request->response);
    enum MHD_Result result = MHD_queue_response(request->connection, request->status, response);
    MHD_destroy_response(response);
    return result;
}

// NO cuts the connection.
static enum MHD_Result take_body(struct httpd_request *request, const char *data, size_t size)
{
    request->received += size;
    if (request->received > request->limit)
        request->too_big = true;
    if (request->replied || request->too_big || request->sink_failed)
        return request->received > request->limit + DISCARD_MAX ? MHD_NO : MHD_YES;
    if (!request->sink)
        buf_add(&request->body, data, size);
    else if (request->sink(request->parts_of ? request : request->sink_payload, data, size) < 0)
        request->sink_failed = true;
    return MHD_YES;
}

static void finish(struct httpd_request *request)
{
    if (request->replied)
        return;
    // Only its end tells whether the last part was whole.
    if (request->parts_of && MHD_destroy_post_processor(steal_ptr(request->parts_of)) != MHD_YES)
        request->sink_failed = true;
    if (request->too_big)
        httpd_fail(request, 413, "the body of the request is too large");
    else if (!buf_text(&request->body))
        httpd_fail(request, 503, "memory is short");
    else
        request->route->handler(request);
}

enum MHD_Result handle_access(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **con_cls)
{
    struct httpd_request *request = *con_cls;
    if (!request)
        return MHD_NO;
    if (!request->begun) {
        request->begun = true;
        if (!fill(request, url, method))
            return MHD_NO;
        begin(request);
        if (request->replied && announced(request) > DISCARD_MAX)
            return queue(request);
        return MHD_YES;
    }
    if (*size > 0) {
        enum MHD_Result result = take_body(request, data, *size);
        *size = 0;
        return result;
    }
    finish(request);
    return queue(request);
}

static void count(struct httpd *server, const struct httpd_request *request)
{
    unsigned status = request->status;
    atomic_fetch_add(&server->requests, 1);
    if (status >= 500)
        atomic_fetch_add(&server->failures, 1);
    else if (status == 401 || status == 403 || status == 429)
        atomic_fetch_add(&server->refused, 1);
}

void handle_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                      enum MHD_RequestTerminationCode why)
{
    struct httpd_request *request = *con_cls;
    if (!request)
        return;
    *con_cls = NULL;
    struct httpd *server = request->server;
    if (request->begun) {
        count(server, request);
        log_request(request);
    }
    request_free(request);
    atomic_fetch_sub(&server->active, 1);
}
