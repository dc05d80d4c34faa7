// SPDX-License-Identifier: Apache-2.0
// What the parts of E2B's control plane share. Layer: serve.
#pragma once

#include "serve/serve.h"

#define E2B_REPLY_MAX (16 * 1024 * 1024)
#define E2B_LIFE_S 300 // unless a client asks for another

// What a sandbox looks like. access: with what only its own page says. A sandbox that is gone
// writes nothing.
void e2b_put_time(struct json *json, const char *key, int64_t unix_ms);
void e2b_put_sandbox(struct json *json, struct place *box, bool access);
// With its token, as the answer to whoever made it.
void e2b_put_access_object(struct json *json, const struct place *box);
void e2b_reply_sandbox(struct httpd_request *request, unsigned status, const struct place *box);

// The sandbox of the path's {id}, with a reference, or a reply.
bool e2b_find(struct httpd_request *request, struct place **ret_box);
// why: what place_get() said, or NULL.
void e2b_fail_missing(struct httpd_request *request, const char *id, const char *why);
void e2b_fail_of(struct httpd_request *request, const struct place *box,
                 const struct sbx_error *err);
int e2b_read_life(struct httpd_request *request, const struct jsonv *body, int64_t fallback_s,
                  int64_t *ret_ms, struct sbx_error *err);

void e2b_create(struct httpd_request *request);
void e2b_set_network(struct httpd_request *request);
void e2b_list(struct httpd_request *request);
void e2b_metrics_one(struct httpd_request *request);
void e2b_metrics_many(struct httpd_request *request);
void e2b_logs(struct httpd_request *request);
void e2b_template_show(struct httpd_request *request);
void e2b_templates(struct httpd_request *request);
void e2b_snapshot(struct httpd_request *request);
void e2b_snapshots(struct httpd_request *request);
void e2b_snapshot_delete(struct httpd_request *request);
void e2b_fork(struct httpd_request *request);
