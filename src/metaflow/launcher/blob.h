// SPDX-License-Identifier: Apache-2.0
/*
 * Content-addressed blobs of Metaflow's datastore (metaflow/datastore/content_addressed_store.py):
 * named by the SHA-1 of their contents, kept as they are or as one gzip member, as NAME_meta says.
 * Layer: metaflow.
 */
#pragma once

#include <stdbool.h>

#define BLOB_NAME_LENGTH 40

bool blob_name_valid(const char *name);

// Whether DIR/name has the contents that its name claims. 0, or -1 and errno (EBADMSG: it has not).
int blob_verify(int dir_fd, const char *name);
