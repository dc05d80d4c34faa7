// SPDX-License-Identifier: Apache-2.0
// What the files about files of Daytona share. Layer: provider.
#pragma once

#include "provider/cloud/files.h"
#include "provider/daytona/daytona.h"

extern const struct cloud_files daytona_files;

// Kind and mode. NOT_FOUND.
int daytona_entry_stat(void *box, const char *user, const char *path, struct deadline deadline,
                       struct sbx_file_info *ret_info, struct sbx_error *err);

/*
 * Entries as the script of entry.c tells them: "/MODE SIZE UID GID SECONDS NAME/" each, in
 * hexadecimal and decimal, then "/", then "NAME/BASE64 OF THE TARGET/" for each link. They are
 * appended, at most `most`; strings go to `names`, which must not move: it has room for `text`.
 * PROTOCOL if it makes no sense.
 */
int daytona_entry_parse(const char *text, struct buf *names, struct sbx_file_info *items,
                        size_t most, size_t *ret_count, struct sbx_error *err);
