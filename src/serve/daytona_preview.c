// SPDX-License-Identifier: Apache-2.0
// Daytona's control plane: addresses of a sandbox's ports. Layer: serve.
#include <stdio.h>
#include <string.h>

#include "serve/auth.h"
#include "serve/daytona_api.h"
#include "serve/proxy.h"

#define LIFE_DEFAULT_S 60
#define LIFE_MAX_S 86400

// The sandbox and port of the path, or a reply.
static bool find_port(struct httpd_request *request, struct place **ret_box, unsigned *ret_port)
{
    long number = strtol(httpd_param(request, "port"), NULL, 10);
    if (!daytona_find(request, ret_box))
        return false;
    if (number < 1 || number > 65535) {
        httpd_fail(request, 400, "a port is a number from 1 to 65535");
        return false;
    }
    *ret_port = (unsigned)number;
    return true;
}

static void reply_address(struct httpd_request *request, const struct place *box, unsigned port,
                          const char *url, const char *token)
{
    cleanup_buf struct buf buf = BUF_INIT(4096);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_put_text(&json, "sandboxId", box->sheet.id);
    json_put_uint(&json, "port", port);
    json_put_text(&json, "url", url);
    json_put_text(&json, "token", token);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}

void daytona_preview(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    char url[512], token[SHA256_HEX_SIZE];
    unsigned port;
    if (!find_port(request, &box, &port))
        return;
    proxy_url(request, box->sheet.id, port, url, sizeof(url));
    auth_token(box->serve, "preview", box->sheet.id, token);
    reply_address(request, box, port, url, token);
}

void daytona_preview_sign(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    struct sbx_error err;
    char url[512], token[PROXY_TOKEN_SIZE], *end = NULL;
    const char *asked = httpd_query(request, "expiresInSeconds");
    int64_t seconds = asked ? strtoll(asked, &end, 10) : LIFE_DEFAULT_S;
    unsigned port;
    if (!find_port(request, &box, &port))
        return;
    if (seconds < 1 || seconds > LIFE_MAX_S || (end && *end)) {
        httpd_fail(request, 400, "expiresInSeconds is a number from 1 to 86400");
        return;
    }
    if (proxy_sign(box, port, seconds, token, &err) < 0) {
        serve_fail(request, &err);
        return;
    }
    proxy_url(request, token, port, url, sizeof(url));
    reply_address(request, box, port, url, token);
}

void daytona_preview_expire(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    unsigned port;
    if (!find_port(request, &box, &port))
        return;
    if (proxy_expire(box, port, httpd_param(request, "token")))
        httpd_reply(request, 200, NULL, NULL, 0);
    else
        httpd_fail(request, 404, "the signed address is not known, or has expired");
}
