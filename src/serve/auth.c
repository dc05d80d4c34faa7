// SPDX-License-Identifier: Apache-2.0
// Who may ask. Layer: serve.
#include "serve/auth.h"

#include <stdio.h>
#include <string.h>

#define ANYONE "anyone" // the owner of what is made without a key
#define FAILURES_RATE 1 // wrong keys a second and peer
#define FAILURES_BURST 20

static void refuse_busy(struct httpd_request *request, unsigned wait_s)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", wait_s);
    httpd_add_header(request, "Retry-After", text);
    httpd_fail(request, 429, "Rate limit exceeded");
}

static bool refuse(struct httpd_request *request, const char *key)
{
    struct serve *serve = serve_of(request);
    unsigned wait_s = 1;
    // No key at all is no guess: Daytona's client opens a socket without one for each sandbox.
    if (key &&
        !limits_take(&serve->limits, httpd_peer(request), FAILURES_RATE, FAILURES_BURST, &wait_s))
        refuse_busy(request, wait_s);
    else
        httpd_fail(request, 401,
                   key ? "Invalid API key: make one with 'sandboxes serve key create'"
                       : "authorization header is missing");
    return false;
}

bool auth_key(struct httpd_request *request, const char *key)
{
    struct serve *serve = serve_of(request);
    char id[KEY_ID_SIZE] = ANYONE;
    unsigned wait_s = 1;
    if (!limits_left(&serve->limits, httpd_peer(request), FAILURES_RATE, FAILURES_BURST)) {
        refuse_busy(request, wait_s);
        return false;
    }
    bool known = key && keys_check(&serve->keys, key, id);
    if (!known && !serve->settings.open)
        return refuse(request, key);
    httpd_set_user(request, id);
    uint32_t rate = serve->settings.rate;
    if (rate && !limits_take(&serve->limits, id, rate, 2 * rate, &wait_s)) {
        refuse_busy(request, wait_s);
        return false;
    }
    return true;
}

bool auth_e2b(struct httpd_request *request)
{
    const char *key = httpd_header(request, "X-API-Key");
    return auth_key(request, key ? key : httpd_bearer(request));
}

bool auth_daytona(struct httpd_request *request)
{
    return auth_key(request, httpd_bearer(request));
}

void auth_token(const struct serve *serve, const char *purpose, const char *id,
                char ret_token[SHA256_HEX_SIZE])
{
    keys_sign(serve->secret, purpose, id, ret_token);
}
