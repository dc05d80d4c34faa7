// SPDX-License-Identifier: Apache-2.0
// Answers to a registry's challenge. Layer: registry.
#pragma once

#include "net/http.h"
#include "registry/challenge.h"
#include "registry/settings.h"

/*
 * The value of the header Authorization that the challenge asks for, with this account's
 * credentials for the place, or as nobody. *ret_value is owned by the caller. Errors: AUTH,
 * UNAVAILABLE, PROTOCOL, and credentials_find()'s.
 */
int token_answer(struct http *http, const struct place *place, const char *path,
                 const struct challenge *challenge, struct deadline deadline, char **ret_value,
                 struct sbx_error *err);
