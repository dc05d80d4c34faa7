// SPDX-License-Identifier: Apache-2.0
// Which API a request is for. Layer: serve.
#include "serve/sites.h"

#include "serve/dashboard.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

// "PORT-ID" as the first label of a name.
static bool parse_label(const char *host, const char *domain, char *ret_id, unsigned *ret_port)
{
    size_t size = strcspn(host, ".");
    char *end;
    if (!domain)
        domain = "localhost"; // which browsers take for loopback, with all below it
    if (host[size] != '.' || strcasecmp(host + size + 1, domain) != 0)
        return false;
    unsigned long port = isdigit((unsigned char)host[0]) ? strtoul(host, &end, 10) : 0;
    if (port < 1 || port > 65535 || *end != '-')
        return false;
    size_t id_size = size - (size_t)(end + 1 - host);
    if (id_size < 1 || id_size >= SHEET_ID_SIZE)
        return false;
    memcpy(ret_id, end + 1, id_size);
    ret_id[id_size] = '\0';
    *ret_port = (unsigned)port;
    return true;
}

bool sites_target(const struct httpd_request *request, char ret_id[SHEET_ID_SIZE],
                  unsigned *ret_port)
{
    const char *id = httpd_header(request, "E2b-Sandbox-Id");
    const char *port = httpd_header(request, "E2b-Sandbox-Port");
    if (parse_label(httpd_host(request), serve_of(request)->settings.domain, ret_id, ret_port))
        return true;
    if (!id || strlen(id) >= SHEET_ID_SIZE)
        return false;
    snprintf(ret_id, SHEET_ID_SIZE, "%s", id);
    *ret_port = port ? (unsigned)strtoul(port, NULL, 10) : E2B_ENVD_PORT;
    return true;
}

static bool begins(const char *path, const char *prefix)
{
    size_t size = strlen(prefix);
    return strncmp(path, prefix, size) == 0 && (!path[size] || path[size] == '/');
}

const struct httpd_site *sites_select(struct httpd_request *request)
{
    char id[SHEET_ID_SIZE];
    unsigned port;
    const char *path = httpd_path(request);
    if (sites_target(request, id, &port))
        return port == E2B_ENVD_PORT   ? &e2b_envd_site
               : port == E2B_CODE_PORT ? &e2b_code_site
                                       : &proxy_site;
    if (begins(path, "/preview"))
        return &proxy_site;
    if (begins(path, "/api/config") || begins(path, "/api/health"))
        return &daytona_open_site;
    if (begins(path, "/api"))
        return &daytona_api_site;
    if (begins(path, "/toolbox"))
        return &toolbox_site;
    if (begins(path, "/dashboard/api"))
        return &dashboard_api_site;
    if (strcmp(path, "/") == 0 || begins(path, "/dashboard"))
        return &dashboard_site;
    if (begins(path, "/metrics"))
        return &admin_site;
    if (begins(path, "/health"))
        return &e2b_open_site;
    return &e2b_api_site;
}

int sites_print(void)
{
    static const struct {
        const char *name;
        const struct httpd_site *site;
    } sites[] = {
        {"e2b", &e2b_open_site},         {"e2b", &e2b_api_site},
        {"envd", &e2b_envd_site},        {"code", &e2b_code_site},
        {"daytona", &daytona_open_site}, {"daytona", &daytona_api_site},
        {"toolbox", &toolbox_site},      {"server", &admin_site},
        {"ports", &proxy_site},          {"server", &dashboard_site},
        {"server", &dashboard_api_site},
    };
    for (size_t i = 0; i < ARRAY_SIZE(sites); i++)
        for (size_t k = 0; k < sites[i].site->route_count; k++) {
            const struct httpd_route *route = &sites[i].site->routes[k];
            bool refused = route->handler == serve_refuse;
            printf("%s %s %s %s\n", sites[i].name, route->method, route->pattern,
                   refused ? (const char *)route->data : "served");
        }
    return 0;
}
