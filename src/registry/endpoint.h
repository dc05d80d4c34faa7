// SPDX-License-Identifier: Apache-2.0
/*
 * One place that answers for a registry: requests with authorization, redirects and patience. All
 * threads of one pull share it. Layer: registry.
 */
#pragma once

#include <pthread.h>

#include "net/http.h"
#include "registry/settings.h"

struct endpoint {
    struct http *http; // borrowed
    struct place place;
    char path[256]; // of the image: "library/python"
    pthread_mutex_t lock;
    char *authorization; // header's value, owned; of the lock
    unsigned generation; // of it, of the lock
};

void endpoint_init(struct endpoint *endpoint, struct http *http, const struct place *place,
                   const char *path);
void endpoint_deinit(struct endpoint *endpoint);
#define cleanup_endpoint cleanup(endpoint_deinit)

struct endpoint_get {
    const char *kind;   // "manifests" or "blobs"
    const char *name;   // tag or digest
    const char *accept; // or NULL
    uint64_t from;      // first byte wanted
};

/*
 * Sends it and waits for an answer with the content: *ret_status is 200 or 206. Redirects are
 * followed without authorization. Errors: AUTH, NOT_FOUND, DENIED, QUOTA (too many requests),
 * UNAVAILABLE, PROTOCOL.
 */
int endpoint_open(struct endpoint *endpoint, const struct endpoint_get *get,
                  struct deadline deadline, struct http_stream **ret_stream, int *ret_status,
                  struct sbx_error *err);

// A small thing as a whole, tried again a few times; ret_body has the ceiling.
int endpoint_fetch(struct endpoint *endpoint, const struct endpoint_get *get,
                   struct deadline deadline, struct buf *ret_body, struct sbx_error *err);

// Whether trying again may help; waits before that, longer each time. False when it is no use.
bool endpoint_again(const struct sbx_error *err, unsigned attempt, struct deadline deadline);
