// SPDX-License-Identifier: Apache-2.0
// sandboxes expose: ports of a sandbox. Layer: cli.
#include <stdio.h>

#include "cli/command.h"
#include "cli/out.h"
#include "cli/spec.h"
#include "cli/target.h"

struct expose_values {
    const char *provider;
    int json;
};

#define FIELD(member) .offset = offsetof(struct expose_values, member)

static const struct opt_row rows[] = {
    {.name = "json", .kind = OPT_FLAG, FIELD(json), .help = "print JSON"},
    PROVIDER_ROW("look for the sandbox only there"),
};

static int print_url(struct cli *cli, const struct sbx_port *port, const char *url)
{
    cleanup_buf struct buf buf = BUF_INIT(64 * 1024);
    struct json json = JSON_INIT(&buf, true);
    if (!cli->json) {
        buf_printf(&buf, "%s\n", url);
        return out_flush(cli, &buf);
    }
    json_begin_object(&json);
    json_put_uint(&json, "port", port->port);
    json_put_text(&json, "url", url);
    json_end_object(&json);
    return out_json(cli, &json);
}

static int print_ports(struct cli *cli, const struct sbx_info *info)
{
    cleanup_buf struct buf buf = BUF_INIT(64 * 1024);
    struct json json = JSON_INIT(&buf, true);
    if (cli->json)
        json_begin_array(&json);
    for (size_t i = 0; i < info->port_count; i++) {
        const struct sbx_port *port = &info->ports[i];
        if (!cli->json) {
            buf_printf(&buf, "127.0.0.1:%u -> %u\n", port->host_port, port->port);
            continue;
        }
        json_begin_object(&json);
        json_put_uint(&json, "port", port->port);
        json_put_uint(&json, "host_port", port->host_port);
        json_end_object(&json);
    }
    if (!cli->json)
        return out_flush(cli, &buf);
    json_end_array(&json);
    return out_json(cli, &json);
}

static int expose(struct cli *cli, struct sbx_sandbox *sandbox, const struct sbx_port *port)
{
    char url[1024];
    struct sbx_error err;
    if (sbx_sandbox_expose(sandbox, port, NULL, url, sizeof(url), &err) < 0)
        return cli_fail(cli, &err);
    return print_url(cli, port, url);
}

static int show_ports(struct cli *cli, struct sbx_sandbox *sandbox)
{
    struct sbx_error err;
    struct sbx_info info = {.size = sizeof(info)};
    if (sbx_sandbox_info(sandbox, NULL, &info, &err) < 0)
        return cli_fail(cli, &err);
    return print_ports(cli, &info);
}

static int run_expose(struct cli *cli, struct invocation *use)
{
    const struct expose_values *values = use->values;
    struct sbx_error err;
    struct sbx_port port;
    cleanup_target struct sbx_sandbox *sandbox = NULL;
    bool shows = use->operands.count == 1;
    cli->json = values->json > 0;
    if (!shows && spec_parse_port(use->operands.items[1], "PORT", &port, &err) < 0)
        return cli_usage(cli, &err);
    if (target_get(cli, values->provider, use->operands.items[0], &sandbox, &err) < 0)
        return cli_fail(cli, &err);
    return shows ? show_ports(cli, sandbox) : expose(cli, sandbox, &port);
}

static const struct command_example examples[] = {
    {"sandboxes expose sb-abc123 8000", "prints the address, such as 127.0.0.1:40123"},
    {"sandboxes expose sb-abc123 8080:8000", "at a port of your choice"},
    {NULL, NULL},
};

const struct command command_expose = {
    .name = "expose",
    .aliases = "port",
    .summary = "make a port of a sandbox reachable, or list those that are",
    .operands = "[OPTIONS] SANDBOX [[HOST_PORT:]PORT]",
    .details =
        "Makes a TCP port of the sandbox reachable from this machine and prints its address. "
        "Without PORT it lists the ports that are reachable.",
    .examples = examples,
    .parts = {{"Options", rows, ARRAY_SIZE(rows), 0}},
    .values_size = sizeof(struct expose_values),
    .least = 1,
    .most = 2,
    .complete = COMPLETE_SANDBOX,
    .run = run_expose,
};
