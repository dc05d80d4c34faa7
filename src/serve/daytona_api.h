// SPDX-License-Identifier: Apache-2.0
// What the parts of Daytona's control plane share. Layer: serve.
#pragma once

#include "serve/serve.h"

#define DAYTONA_REPLY_MAX (16 * 1024 * 1024)
#define GIB ((uint64_t)1024 * 1024 * 1024)

void daytona_put_time(struct json *json, const char *key, int64_t unix_ms);
const char *daytona_state_of(const struct sheet *sheet);
// state NULL: as it is.
bool daytona_put_sandbox(struct httpd_request *request, struct json *json, struct place *box,
                         const char *state);
void daytona_reply_sandbox(struct httpd_request *request, unsigned status, struct place *box,
                           const char *state);

void daytona_create(struct httpd_request *request);
void daytona_list(struct httpd_request *request);
