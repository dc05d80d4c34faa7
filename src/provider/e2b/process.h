// SPDX-License-Identifier: Apache-2.0
// What the files about commands of E2B share. Layer: provider.
#pragma once

#include "provider/cloud/limit.h"
#include "provider/e2b/e2b.h"
#include "provider/e2b/event.h"

#define MESSAGE_MAX (4u << 20)

struct e2b_process {
    struct e2b_box *box; // a reference
    struct connect_stream *stream;
    uint32_t pid, flags;
    bool flags_known; // else an attached one that has not been asked about yet
    bool ended;
    struct cloud_limit limit;
    struct buf data; // of the last event
    // What came with the start: output that overtook the starting line on its other way, and what
    // followed that line in `data` (a stream, or 0).
    struct buf early;
    uint32_t pending;
    char *user; // that it runs as, NULL: the default
};

// start.c: the message of process.Process/Start.
int e2b_start_message(const struct e2b_box *box, const struct sbx_exec *exec, struct buf *message,
                      struct sbx_error *err);
// Of a process that List tells: the flags it was started with and when; false for others'
// processes.
bool e2b_start_tag(const char *tag, uint32_t *ret_flags, int64_t *ret_started_ms);
// What people wrote, out of the arguments that were made of it; may be cut.
void e2b_start_shown(const struct jsonv *config, struct buf *out);

/*
 * The line that the starting shell writes before the program begins: READY, or EXEC and an errno
 * when there is no such program. Returns its size, 0 when more must come, -1 when it is none.
 */
#define START_LINE_MAX 64
int e2b_start_line(const char *text, size_t size, int *ret_errno);
