// SPDX-License-Identifier: Apache-2.0
// The service's HTTP interface: what Metaflow's client asks, and what Metaflow's UI reads below
// /api. Layer: metaflow.
#pragma once

#include <stdatomic.h>

#include "httpd/httpd.h"
#include "metaflow/service/mfbeats.h"
#include "metaflow/service/mfstore.h"

// The version of the metadata service whose interface this is; clients choose by it what they ask.
#define MFAPI_VERSION "2.5.0"
#define MFAPI_BODY_MAX ((size_t)8 * 1024 * 1024)

struct mfservice {
    struct mfstore store;
    struct mfbeats beats;
    atomic_int_fast64_t active_ms; // clock_boot_ms() of the last request
    const char *key;               // what x-api-key must hold; NULL: nothing is asked
};

extern const struct httpd_site mfapi_site;

// --- For the files that answer requests.

struct mfservice *mfapi_service(struct httpd_request *request);
struct mfpath mfapi_path(struct httpd_request *request);
void mfapi_reply(struct httpd_request *request, unsigned status, const json_t *value);
void mfapi_reply_error(struct httpd_request *request, const struct sbx_error *err);
// When the run or task last was heard of, in milliseconds since 1970; 0: never.
int64_t mfapi_last_beat(struct mfservice *service, const struct mfpath *path);
// A query's whole number from 0 to max; fallback for anything else.
int64_t mfapi_query_int(struct httpd_request *request, const char *name, int64_t max,
                        int64_t fallback);
