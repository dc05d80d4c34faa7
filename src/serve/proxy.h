// SPDX-License-Identifier: Apache-2.0
/*
 * Ports of sandboxes, for whoever is given their address: names PORT-ID.DOMAIN (and
 * PORT-ID.localhost), or paths /preview/PORT-ID/ where there are no names. In place of the id
 * stands a token for addresses that are signed. Requests, answers and WebSockets go through as they
 * come. Layer: serve.
 */
#pragma once

#include "serve/place.h"

#define PROXY_TOKEN_SIZE 33
#define PROXY_TOKENS_MAX 64 // signed addresses of a sandbox; the oldest goes
#define PROXY_PREFIX "/preview/"

struct httpd_request;

// The address under which clients of this request reach the port; who: the sandbox's id, or a
// token.
void proxy_url(struct httpd_request *request, const char *who, unsigned port, char *ret_url,
               size_t size);

// A token for the port that lasts so long. NOMEM, IO.
int proxy_sign(struct place *box, unsigned port, int64_t seconds, char ret_token[PROXY_TOKEN_SIZE],
               struct sbx_error *err);
// False when there is none.
bool proxy_expire(struct place *box, unsigned port, const char *token);
