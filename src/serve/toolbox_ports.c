// SPDX-License-Identifier: Apache-2.0
// Daytona's toolbox: which ports of a sandbox somebody listens on. Layer: serve.
#include "serve/ports.h"
#include "serve/toolbox.h"

#define PORT_MIN 3000 // what is told, as Daytona has it
#define PORT_MAX 9999
#define READ_MS 10000

// False when it has replied.
static bool read_ports(struct httpd_request *request, bool *ports)
{
    struct sbx_call call = serve_call(request, READ_MS);
    struct sbx_error err;
    if (ports_read(toolbox_box(request), &call, ports, &err) == 0)
        return true;
    serve_fail(request, &err);
    return false;
}

void toolbox_ports(struct httpd_request *request)
{
    bool ports[PORTS_END] = {false};
    cleanup_buf struct buf buf = BUF_INIT(64 * 1024);
    struct json json = JSON_INIT(&buf, false);
    if (!read_ports(request, ports))
        return;
    json_begin_object(&json);
    json_key(&json, "ports");
    json_begin_array(&json);
    for (unsigned port = PORT_MIN; port <= PORT_MAX; port++)
        if (ports[port])
            json_uint(&json, port);
    json_end_array(&json);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}

void toolbox_port_in_use(struct httpd_request *request)
{
    bool ports[PORTS_END] = {false};
    long port = strtol(httpd_param(request, "port"), NULL, 10);
    cleanup_buf struct buf buf = BUF_INIT(4096);
    struct json json = JSON_INIT(&buf, false);
    if (port < PORT_MIN || port > PORT_MAX) {
        httpd_fail(request, 400, "a port from 3000 to 9999 is required");
        return;
    }
    if (!read_ports(request, ports))
        return;
    json_begin_object(&json);
    json_put_bool(&json, "isInUse", ports[port]);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}
