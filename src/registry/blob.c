// SPDX-License-Identifier: Apache-2.0
// Blobs, with patience. Layer: registry.
#include "registry/blob.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE (256u << 10)

struct transfer {
    struct endpoint *endpoint;
    const struct descriptor *blob;
    struct deadline deadline;
    struct sink *sink;
    char *piece;
};

static int cut_short(const struct transfer *t, struct sbx_error *err)
{
    return err_set(err, SBX_ERR_UNAVAILABLE, "%s broke off after %llu of %llu bytes",
                   t->endpoint->place.host, (unsigned long long)t->sink->size,
                   (unsigned long long)t->blob->size);
}

// How many bytes of this answer are here already: all of them if the server knows no ranges.
static int skip_of(const struct transfer *t, const struct http_stream *stream, int status,
                   uint64_t *ret_skip, struct sbx_error *err)
{
    char range[80];
    unsigned long long from;
    *ret_skip = status == 206 ? 0 : t->sink->size;
    if (status != 206)
        return 0;
    if (http_header_get(http_headers(stream), "content-range", range, sizeof(range)) &&
        sscanf(range, "bytes %llu-", &from) == 1 && from == t->sink->size)
        return 0;
    return err_set(err, SBX_ERR_PROTOCOL, "%s sends another part than was asked for",
                   t->endpoint->place.host);
}

static int copy(const struct transfer *t, struct http_stream *stream, uint64_t skip,
                struct sbx_error *err)
{
    for (;;) {
        size_t size = 0;
        int rc = http_read(stream, t->piece, PIECE, t->deadline, &size, err);
        if (rc < 0)
            return rc;
        if (size == 0)
            return t->sink->size < t->blob->size ? cut_short(t, err) : 0;
        size_t over = skip < size ? (size_t)skip : size;
        skip -= over;
        rc = sink_write(t->sink, t->piece + over, size - over, err);
        if (rc < 0)
            return rc;
    }
}

static int try_once(const struct transfer *t, struct sbx_error *err)
{
    cleanup_stream struct http_stream *stream = NULL;
    const struct endpoint_get get = {
        .kind = "blobs", .name = t->blob->digest, .from = t->sink->size};
    int status;
    uint64_t skip;
    int rc = endpoint_open(t->endpoint, &get, t->deadline, &stream, &status, err);
    if (rc == 0)
        rc = skip_of(t, stream, status, &skip, err);
    return rc < 0 ? rc : copy(t, stream, skip, err);
}

int blob_stream(struct endpoint *endpoint, const struct descriptor *blob, struct deadline deadline,
                struct sink *sink, struct sbx_error *err)
{
    cleanup_free char *piece = malloc(PIECE);
    struct transfer t = {endpoint, blob, deadline, sink, piece};
    struct sbx_error own;
    if (!piece)
        return err_nomem(err);
    for (unsigned attempt = 0;; attempt++) {
        uint64_t before = sink->size;
        err_clear(&own);
        int rc = try_once(&t, &own);
        if (rc == 0)
            return 0;
        if (sink->size > before)
            attempt = 0;
        if (sink->refused || !endpoint_again(&own, attempt, deadline)) {
            if (err)
                *err = own;
            return rc;
        }
    }
}
