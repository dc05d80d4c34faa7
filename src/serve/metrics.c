// SPDX-License-Identifier: Apache-2.0
// Numbers for Prometheus. Layer: serve.
#include <inttypes.h>

#include "serve/auth.h"
#include "serve/sites.h"

static void put(struct buf *buf, const char *name, const char *kind, const char *help,
                uint64_t value)
{
    buf_printf(buf, "# HELP sandboxes_%s %s\n# TYPE sandboxes_%s %s\nsandboxes_%s %" PRIu64 "\n",
               name, help, name, kind, name, value);
}

static void metrics(struct httpd_request *request)
{
    struct serve *serve = serve_of(request);
    struct httpd_stats stats;
    cleanup_buf struct buf buf = BUF_INIT(64 * 1024);
    httpd_stats(serve->httpd, &stats);
    put(&buf, "alive", "gauge", "Sandboxes that live.", places_count(serve, NULL));
    put(&buf, "warm", "gauge", "Sandboxes made ahead that wait.", warm_count(serve));
    put(&buf, "warm_hits_total", "counter", "Sandboxes handed out that were made ahead.",
        atomic_load(&serve->warm.hits));
    put(&buf, "warm_misses_total", "counter", "Sandboxes made while a client waited.",
        atomic_load(&serve->warm.misses));
    put(&buf, "commands", "gauge", "Commands that run.", atomic_load(&serve->jobs));
    put(&buf, "created_total", "counter", "Sandboxes made.", atomic_load(&serve->created));
    put(&buf, "create_microseconds_total", "counter", "Time that making them took.",
        atomic_load(&serve->create_us));
    put(&buf, "requests_total", "counter", "Requests answered.", stats.requests);
    put(&buf, "request_failures_total", "counter", "Requests answered with 500 and above.",
        stats.failures);
    put(&buf, "requests_refused_total", "counter", "Requests answered with 401, 403 or 429.",
        stats.refused);
    put(&buf, "requests_active", "gauge", "Requests and WebSockets now.", stats.active);
    httpd_reply_buf(request, 200, "text/plain; version=0.0.4; charset=utf-8", &buf);
}

static const struct httpd_route routes[] = {
    {.method = "GET", .pattern = "/metrics", .handler = metrics},
};
const struct httpd_site admin_site = {routes, ARRAY_SIZE(routes), auth_e2b, NULL};
