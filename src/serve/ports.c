// SPDX-License-Identifier: Apache-2.0
// Listening ports, from proc_net_tcp(5). Layer: serve.
#include "serve/ports.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LISTENS "0A" // net/tcp_states.h

static bool read_line(const char *line, unsigned *ret_port)
{
    char state[3] = "";
    return sscanf(line, " %*u: %*[0-9A-F]:%x %*[0-9A-F]:%*x %2s", ret_port, state) == 2 &&
           strcmp(state, LISTENS) == 0;
}

static void read_table(char *text, bool *ports)
{
    unsigned port;
    for (char *line; (line = strsep(&text, "\n"));)
        if (read_line(line, &port) && port < PORTS_END)
            ports[port] = true;
}

int ports_read(struct place *box, const struct sbx_call *call, bool *ret_ports,
               struct sbx_error *err)
{
    static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        char *text;
        int code = sbx_file_read(box->sandbox, tables[i], NULL, call, &text, NULL, err);
        if (code < 0 && i > 0 && err->sys_errno == ENOENT)
            return 0; // a kernel without IPv6
        if (code < 0)
            return place_failed(box, err);
        read_table(text, ret_ports);
        sbx_free(text);
    }
    return 0;
}
