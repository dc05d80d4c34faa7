// SPDX-License-Identifier: Apache-2.0
/*
 * The step's output, line by line, in the format of metaflow/mflog/mflog.py: to the runtime, which
 * shows it, and to ATTEMPT.task_std*.log of the task in the local datastore, where Task.stdout
 * finds it while the step is still running. Without a file for it lines go on as they are, and the
 * runtime keeps them. Layer: metaflow.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

struct log_stream {
    int out_fd;  // borrowed
    int file_fd; // -1: lines are not kept here
    uint64_t kept, lines;
    struct buf line; // what came after the last newline
    char id[17];     // of this stream's lines, before their numbers
};

// name "stdout" or "stderr". dir_fd -1: no file.
int log_open(struct log_stream *log, int out_fd, int dir_fd, long long attempt, const char *name,
             struct sbx_error *err);
void log_add(struct log_stream *log, const void *data, size_t size);
void log_close(struct log_stream *log); // with what is left of the last line
