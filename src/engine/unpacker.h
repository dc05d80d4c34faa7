// SPDX-License-Identifier: Apache-2.0
// Running the helper that unpacks archives. Layer: engine.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "engine/helper.h"
#include "engine/unpack/protocol.h"

// How many bytes may be unpacked there: half of what is free, within 16 GiB.
uint64_t unpacker_room(int dir_fd);

/*
 * Unpacks the archive at archive_fd into the empty directory new_fd and waits for it. The helper
 * holds lock_fd as long as it lives, and ends with its caller, the deadline or the token. Errors as
 * in extract.h, and SETUP.
 */
int unpacker_run(int archive_fd, int new_fd, int lock_fd, uint64_t bytes_max,
                 struct deadline deadline, struct unpack_answer *ret_answer, struct sbx_error *err);

// The same in two steps, for an archive that comes through a pipe which the caller fills meanwhile.
// One that is not finished is ended by helper_end().
struct unpacker_job {
    int archive_fd, new_fd, lock_fd;
    uint64_t bytes_max;
    bool layer; // whiteouts are kept as files
};

int unpacker_start(const struct unpacker_job *job, struct helper *ret_unpacker,
                   struct sbx_error *err);
int unpacker_finish(struct helper *unpacker, struct deadline deadline,
                    struct unpack_answer *ret_answer, struct sbx_error *err);
