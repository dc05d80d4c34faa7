// SPDX-License-Identifier: Apache-2.0
// The options of `sandboxes serve`, read by the command for its help and its checks and by the
// program that serves. Layer: serve.
#pragma once

#include "base/opt.h"

struct serve_values {
    const char *listen, *domain, *url, *cert, *key, *state, *log, *provider;
    struct opt_list templates, hosts, allow;
    int64_t port, max_boxes, rate, connections, max_life, grace, warm;
    uint64_t max_upload;
    int open, open_private, plain, debug;
};

#define SERVE_ROW_COUNT 23
extern const struct opt_row serve_rows[SERVE_ROW_COUNT];
