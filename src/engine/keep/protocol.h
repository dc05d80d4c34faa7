// SPDX-License-Identifier: Apache-2.0
/*
 * Between the library and its helper that copies a sandbox's writable layers into the store. The
 * helper is started with descriptors 0: the sandbox's disk, 1: a pipe for its one answer, 3: the
 * new empty directory, 4: the lock on it (held while it lives), 5: the sandbox's user namespace
 * (without real root), from 6 on: layers of an earlier snapshot; and with five arguments: the most
 * bytes it may write; the first id here of the sandbox's range, or "-" without real root; "hash" or
 * "copy"; "still" or "moving", which says whether the sandbox is frozen; and a letter for each
 * writable layer: 'o' if there is an earlier one below it (the next descriptor), else 'n'. Layer:
 * engine.
 */
#pragma once

#include <stdint.h>

#include <sandboxes/error.h>

#include "base/sha256.h"

#define KEEP_PROGRAM "sandboxes-keep"
#define KEEP_DISK_FD 0
#define KEEP_DIR_FD 3
#define KEEP_LOCK_FD 4
#define KEEP_USERNS_FD 5
#define KEEP_OLD_FD 6
#define KEEP_UPPERS_MAX 16

struct keep_answer {
    struct sbx_error err; // code 0: all is there
    uint64_t bytes;
    uint64_t entries;
    char digest[SHA256_HEX_SIZE]; // of all names, facts and contents; "copy": means nothing
};
