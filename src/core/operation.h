// SPDX-License-Identifier: Apache-2.0
/*
 * Which calls may be repeated after which failure. A call that would have its effect twice is only
 * repeated when its failure shows that it had none: the service refused it, or was never reached.
 * Layer: core.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

enum operation {
    OPERATION_CREATE,
    OPERATION_INFO,
    OPERATION_DESTROY,
    OPERATION_SET_TTL,
    OPERATION_SET_NETWORK,
    OPERATION_METRICS,
    OPERATION_EXPOSE,
    OPERATION_PAUSE,
    OPERATION_RESUME,
    OPERATION_SNAPSHOT,
    OPERATION_FORK,
    OPERATION_PROCESS_START,
    OPERATION_PROCESS_ATTACH,
    OPERATION_PROCESS_LIST,
    OPERATION_FILE_WRITE,
    OPERATION_FILE_READ,
    OPERATION_FILE_UPLOAD,
    OPERATION_FILE_DOWNLOAD,
    OPERATION_FILE_STAT,
    OPERATION_FILE_LIST,
    OPERATION_FILE_MKDIR,
    OPERATION_FILE_REMOVE,
    OPERATION_FILE_RENAME,
    OPERATION_WATCH,
    OPERATION_COUNT
};

// Whether the failure (code, with what err says about it) is one after which the call may be made
// again.
bool operation_repeats(enum operation operation, int code, const struct sbx_error *err);

// Whether a failure of a repeated call shows that an earlier attempt did it after all.
bool operation_was_done(enum operation operation, int code);
