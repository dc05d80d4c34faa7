// SPDX-License-Identifier: Apache-2.0
// Matching a path with the rows of a table. Layer: httpd.
#include <string.h>

#include "httpd/request.h"

// One part of the pattern against one part of the path.
static bool part_fits(struct httpd_request *request, const char *pattern, size_t pattern_size,
                      char *part, size_t size)
{
    bool names = pattern_size > 2 && pattern[0] == '{' && pattern[pattern_size - 1] == '}';
    if (!names)
        return pattern_size == size && memcmp(pattern, part, size) == 0;
    if (size == 0 || request->param_count == REQUEST_PARAMS_MAX)
        return false;
    request->params[request->param_count++] =
        (struct request_param){pattern + 1, pattern_size - 2, part};
    return true;
}

static bool take_rest(struct httpd_request *request, const char *pattern, char *rest)
{
    if (request->param_count == REQUEST_PARAMS_MAX)
        return false;
    request->params[request->param_count++] = (struct request_param){pattern, 1, rest};
    return true;
}

// Both begin with '/'. Parameters are not yet ended by a NUL.
static bool fits(struct httpd_request *request, const char *pattern, char *path)
{
    request->param_count = 0;
    while (*pattern == '/' && *path == '/') {
        pattern++;
        path++;
        if (strcmp(pattern, "*") == 0)
            return take_rest(request, pattern, path);
        size_t pattern_size = strcspn(pattern, "/"), size = strcspn(path, "/");
        if (!part_fits(request, pattern, pattern_size, path, size))
            return false;
        pattern += pattern_size;
        path += size;
    }
    return !*pattern && !*path;
}

static void end_params(struct httpd_request *request)
{
    for (size_t i = 0; i < request->param_count; i++)
        if (request->params[i].name[0] != '*')
            request->params[i].value[strcspn(request->params[i].value, "/")] = '\0';
}

const struct httpd_route *route_find(const struct httpd_site *site, struct httpd_request *request,
                                     bool *ret_other)
{
    *ret_other = false;
    for (size_t i = 0; i < site->route_count; i++) {
        const struct httpd_route *route = &site->routes[i];
        if (!fits(request, route->pattern, request->parts))
            continue;
        if (strcmp(route->method, "*") != 0 && strcmp(route->method, request->method) != 0) {
            *ret_other = true;
            continue;
        }
        end_params(request);
        return route;
    }
    request->param_count = 0;
    return NULL;
}
