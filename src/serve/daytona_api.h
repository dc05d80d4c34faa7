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

// The sandbox of the path's {id}, an id or a name, with a reference; or a reply.
bool daytona_find(struct httpd_request *request, struct place **ret_box);

// A sandbox that is gone is not found here.
void daytona_fail(struct httpd_request *request, const struct sbx_error *err);

// The image of a build that is nothing but "FROM x"; NULL when it is more, or none.
const char *daytona_from(const struct jsonv *build, char ret_name[256]);

// What signs the addresses of its files.
void daytona_signing_key(const struct place *box, char ret_key[SHA256_HEX_SIZE]);

void daytona_preview(struct httpd_request *request);
void daytona_preview_sign(struct httpd_request *request);
void daytona_preview_expire(struct httpd_request *request);
void daytona_set_network(struct httpd_request *request);
void daytona_set_ttl(struct httpd_request *request);
void daytona_recover(struct httpd_request *request);
void daytona_show_key(struct httpd_request *request);
void daytona_rotate_key(struct httpd_request *request);
void daytona_regions(struct httpd_request *request);
void daytona_snapshot_create(struct httpd_request *request);
void daytona_snapshot_activate(struct httpd_request *request);
void daytona_create(struct httpd_request *request);
void daytona_list(struct httpd_request *request);
void daytona_fork(struct httpd_request *request);
void daytona_metrics(struct httpd_request *request);
void daytona_snapshot(struct httpd_request *request);
void daytona_snapshots(struct httpd_request *request);
void daytona_snapshot_show(struct httpd_request *request);
void daytona_snapshot_delete(struct httpd_request *request);
