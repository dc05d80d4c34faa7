// SPDX-License-Identifier: Apache-2.0
// Who may ask: keys, rate limits, access tokens of sandboxes. Layer: serve.
#pragma once

#include "serve/serve.h"

// Checks a key and the caller's rate; false when it has replied. NULL key: none was shown. The
// caller's id becomes httpd_user().
bool auth_key(struct httpd_request *request, const char *key);

bool auth_e2b(struct httpd_request *request);     // X-API-Key
bool auth_daytona(struct httpd_request *request); // Authorization: Bearer

// The token that a client shows to a sandbox of its own, made from the server's secret.
void auth_token(const struct serve *serve, const char *purpose, const char *id,
                char ret_token[SHA256_HEX_SIZE]);
