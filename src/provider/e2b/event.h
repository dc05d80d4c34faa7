// SPDX-License-Identifier: Apache-2.0
// Events of a command as envd sends them. Layer: provider.
#pragma once

#include <sandboxes/process.h>

#include "base/buf.h"

enum e2b_event_kind { E2B_OTHER = 0, E2B_START, E2B_DATA, E2B_END };

struct e2b_event {
    enum e2b_event_kind kind;
    uint32_t pid;      // START
    uint32_t stream;   // DATA: enum sbx_stream; its bytes are in the buffer
    int32_t exit_code; // END: as struct sbx_outcome has them
    int32_t signal;
};

// Reads one message. Bytes of output replace what is in `data`. PROTOCOL if it makes no sense.
int e2b_event_read(const char *message, size_t size, struct buf *data, struct e2b_event *ret_event,
                   struct sbx_error *err);
