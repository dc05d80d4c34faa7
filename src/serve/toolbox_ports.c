// SPDX-License-Identifier: Apache-2.0
// Daytona's toolbox: which ports of a sandbox somebody listens on. Layer: serve.
#include <stdio.h>
#include <string.h>

#include "serve/toolbox.h"

#define PORT_MIN 3000 // what is told, as Daytona has it
#define PORT_MAX 9999
#define READ_MS 10000
#define LISTENS "0A" // net/tcp_states.h, as proc_net_tcp(5) writes it

// Whether a line of /proc/net/tcp is a listening socket, and of which port.
static bool read_line(const char *line, unsigned *ret_port)
{
    char state[3] = "";
    return sscanf(line, " %*u: %*[0-9A-F]:%x %*[0-9A-F]:%*x %2s", ret_port, state) == 2 &&
           strcmp(state, LISTENS) == 0;
}

// Marks them in a table of 65536; false when it has replied.
static bool read_ports(struct httpd_request *request, bool *ports)
{
    static const char *const argv[] = {"cat", "/proc/net/tcp", "/proc/net/tcp6"};
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result = {0};
    struct sbx_error err;
    exec.argv = argv;
    exec.argc = ARRAY_SIZE(argv);
    if (toolbox_run(request, &exec, READ_MS, &result, &err) < 0) {
        serve_fail(request, &err);
        return false;
    }
    char *rest = result.out;
    unsigned port;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (read_line(line, &port) && port < 65536)
            ports[port] = true;
    sbx_result_deinit(&result);
    return true;
}

void toolbox_ports(struct httpd_request *request)
{
    bool ports[65536] = {false};
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
    bool ports[65536] = {false};
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
