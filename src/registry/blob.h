// SPDX-License-Identifier: Apache-2.0
// One blob of a registry, streamed. Layer: registry.
#pragma once

#include "registry/endpoint.h"
#include "registry/manifest.h"
#include "registry/sink.h"

/*
 * Brings the whole blob into the sink. Where the connection breaks, it goes on from the last byte
 * (Range), several times as long as it gets on. The digest is for the caller to compare.
 */
int blob_stream(struct endpoint *endpoint, const struct descriptor *blob, struct deadline deadline,
                struct sink *sink, struct sbx_error *err);
