// SPDX-License-Identifier: Apache-2.0
// What a handler can ask a request. Layer: httpd.
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "httpd/request.h"

void *httpd_context(const struct httpd_request *request)
{
    return request->server->options.context;
}

const void *httpd_route_data(const struct httpd_request *request)
{
    return request->route ? request->route->data : NULL;
}

struct httpd *httpd_server(const struct httpd_request *request)
{
    return request->server;
}

const char *httpd_id(const struct httpd_request *request)
{
    return request->id;
}

const char *httpd_method(const struct httpd_request *request)
{
    return request->method;
}

const char *httpd_path(const struct httpd_request *request)
{
    return request->path;
}

const char *httpd_uri(const struct httpd_request *request)
{
    return request->uri;
}

const char *httpd_peer(const struct httpd_request *request)
{
    return request->peer;
}

const char *httpd_host(const struct httpd_request *request)
{
    return request->host;
}

const char *httpd_param(const struct httpd_request *request, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < request->param_count; i++) {
        const struct request_param *param = &request->params[i];
        if (param->name_size == size && memcmp(param->name, name, size) == 0)
            return param->value;
    }
    return NULL;
}

const char *httpd_query(const struct httpd_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *httpd_header(const struct httpd_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

struct each {
    void (*take)(void *payload, const char *name, const char *value);
    void *payload;
};

static enum MHD_Result each_value(void *cls, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    struct each *each = cls;
    each->take(each->payload, name, value ? value : "");
    return MHD_YES;
}

void httpd_each_header(const struct httpd_request *request,
                       void (*take)(void *payload, const char *name, const char *value),
                       void *payload)
{
    struct each each = {take, payload};
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, each_value, &each);
}

void httpd_each_query(const struct httpd_request *request,
                      void (*take)(void *payload, const char *name, const char *value),
                      void *payload)
{
    struct each each = {take, payload};
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, each_value, &each);
}

const char *httpd_body(const struct httpd_request *request, size_t *ret_size)
{
    if (ret_size)
        *ret_size = request->body.size;
    return request->body.data ? request->body.data : "";
}

const char *httpd_bearer(const struct httpd_request *request)
{
    const char *value = httpd_header(request, "Authorization");
    if (!value || strncasecmp(value, "Bearer ", 7) != 0)
        return NULL;
    return value + 7 + strspn(value + 7, " ");
}

struct sbx_cancel *httpd_cancel(const struct httpd_request *request)
{
    return request->server->cancel;
}

bool httpd_gone(const struct httpd_request *request)
{
    if (httpd_stopping(request->server))
        return true;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (!info)
        return true;
    struct pollfd poll_fd = {info->connect_fd, POLLRDHUP, 0};
    return poll(&poll_fd, 1, 0) > 0;
}

void httpd_set_state(struct httpd_request *request, void *state, void (*release)(void *state))
{
    if (request->release)
        request->release(request->state);
    request->state = state;
    request->release = release;
}

void *httpd_state(const struct httpd_request *request)
{
    return request->state;
}

void httpd_set_user(struct httpd_request *request, const char *user)
{
    snprintf(request->user, sizeof(request->user), "%s", user);
}

const char *httpd_user(const struct httpd_request *request)
{
    return request->user;
}

void httpd_set_sink(struct httpd_request *request,
                    int (*take)(void *payload, const void *data, size_t size), void *payload)
{
    request->sink = take;
    request->sink_payload = payload;
}

bool httpd_sink_failed(const struct httpd_request *request)
{
    return request->sink_failed;
}
