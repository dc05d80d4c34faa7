// SPDX-License-Identifier: Apache-2.0
// Which calls may be repeated after which failure. Layer: core.
#include "core/operation.h"

#include <errno.h>

#include "base/cleanup.h"

enum repeat {
    SAME = 1, // twice is the same as once
    UNDONE,   // only when the failure shows that nothing was done
};

static const enum repeat repeats[OPERATION_COUNT] = {
    [OPERATION_CREATE] = UNDONE, // two sandboxes, one of which nobody knows
    [OPERATION_INFO] = SAME,
    [OPERATION_DESTROY] = SAME,
    [OPERATION_SET_TTL] = SAME,
    [OPERATION_SET_NETWORK] = SAME,
    [OPERATION_METRICS] = SAME,
    [OPERATION_EXPOSE] = UNDONE, // a second port of this machine
    [OPERATION_PAUSE] = UNDONE,  // CONFLICT, though it is what was wanted
    [OPERATION_RESUME] = UNDONE,
    [OPERATION_SNAPSHOT] = SAME,
    [OPERATION_FORK] = UNDONE,
    [OPERATION_PROCESS_START] = UNDONE,
    [OPERATION_PROCESS_ATTACH] = SAME,
    [OPERATION_PROCESS_LIST] = SAME,
    [OPERATION_FILE_WRITE] = SAME,
    [OPERATION_FILE_READ] = SAME,
    [OPERATION_FILE_UPLOAD] = UNDONE, // the second would go into the directory that the first made
    [OPERATION_FILE_DOWNLOAD] = UNDONE,
    [OPERATION_FILE_STAT] = SAME,
    [OPERATION_FILE_LIST] = SAME,
    [OPERATION_FILE_MKDIR] = UNDONE,
    [OPERATION_FILE_REMOVE] = UNDONE,
    [OPERATION_FILE_RENAME] = UNDONE,
    [OPERATION_WATCH] = SAME,
};

static bool may_pass(int code, const struct sbx_error *err)
{
    switch (code) {
    case SBX_ERR_UNAVAILABLE:
    case SBX_ERR_TIMEOUT:
    case SBX_ERR_PROTOCOL:
        return true;
    case SBX_ERR_QUOTA: // too many requests, not a full disk
        return err->retry_after_ms > 0 || err->http_status == 429;
    default:
        return false;
    }
}

// No connection came about: connect(2).
static bool never_reached(int sys_errno)
{
    static const int rows[] = {ECONNREFUSED, ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i] == sys_errno)
            return true;
    return false;
}

static bool undone(int code, const struct sbx_error *err)
{
    if (code == SBX_ERR_QUOTA)
        return true;
    return code == SBX_ERR_UNAVAILABLE &&
           (err->http_status == 429 || err->http_status == 503 || never_reached(err->sys_errno));
}

bool operation_repeats(enum operation operation, int code, const struct sbx_error *err)
{
    return may_pass(code, err) && (repeats[operation] == SAME || undone(code, err));
}

bool operation_was_done(enum operation operation, int code)
{
    return operation == OPERATION_DESTROY && code == SBX_ERR_NOT_FOUND;
}
