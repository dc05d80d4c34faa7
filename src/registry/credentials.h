// SPDX-License-Identifier: Apache-2.0
/*
 * Credentials of registries, as docker and podman keep them: their files, and credential helpers.
 * They are never arguments of a program nor part of a message. Layer: registry.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/clock.h"

#define CREDENTIAL_MAX 16384

struct credentials {
    bool found;
    bool token;      // `secret` is an identity token (OAuth2 refresh token)
    struct buf user; // NUL-terminated texts
    struct buf secret;
};
#define CREDENTIALS_NONE                                                                           \
    {                                                                                              \
        .user = BUF_INIT(CREDENTIAL_MAX), .secret = BUF_INIT(CREDENTIAL_MAX)                       \
    }

void credentials_deinit(struct credentials *credentials);
#define cleanup_credentials cleanup(credentials_deinit)

/*
 * Of this registry: from $REGISTRY_AUTH_FILE, $DOCKER_CONFIG/config.json, ~/.docker/config.json,
 * $XDG_RUNTIME_DIR/containers/auth.json, whichever is first to have some. `found` is false where
 * none has. Errors: INVALID (a damaged file), SETUP (a helper that can't be run).
 */
int credentials_find(const char *host, struct deadline deadline, struct credentials *ret_found,
                     struct sbx_error *err);

// In the text of such a file, by itself. helper: name of the helper to ask, "" for none.
struct jsonv;
int credentials_read(const struct jsonv *config, const char *host, struct credentials *ret_found,
                     char *ret_helper, size_t helper_size, struct sbx_error *err);
