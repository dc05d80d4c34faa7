// SPDX-License-Identifier: Apache-2.0
/*
 * Record files: one JSON object each, written whole or not at all, so that neither a reader (we, or
 * Metaflow's local mode) nor the next start ever meets half a record. Links never lead out of
 * `.metaflow`. Layer: metaflow.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/error.h"

#define MFFILE_SIZE_MAX (1024 * 1024)

static inline void mffile_json_cleanup(json_t **json)
{
    json_decref(*json);
}
#define cleanup_json cleanup(mffile_json_cleanup)

// NOT_FOUND when there is none; PROTOCOL when it is no JSON object, IO.
int mffile_read(int root_fd, const char *path, json_t **ret_record, struct sbx_error *err);

// The same without parsing; ret_stat (may be NULL) tells which version of the file it was.
int mffile_read_text(int root_fd, const char *path, char **ret_text, size_t *ret_size,
                     struct stat *ret_stat, struct sbx_error *err);

enum mffile_mode {
    MFFILE_NEW,     // CONFLICT when the name is taken
    MFFILE_REPLACE, // in one step
};

struct mffile_writer {
    int root_fd;
    char temp[64]; // name in the root of what is being written; one write at a time
};

void mffile_writer_init(struct mffile_writer *writer, int root_fd);
// Removes what services that were killed while writing left; one at a time serves a directory.
void mffile_writer_sweep(struct mffile_writer *writer);

// `durable` survives a loss of power, at the price of a flush.
int mffile_write(struct mffile_writer *writer, int dir_fd, const char *name, const json_t *record,
                 enum mffile_mode mode, bool durable, struct sbx_error *err);
