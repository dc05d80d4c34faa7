// SPDX-License-Identifier: Apache-2.0
/*
 * Metadata of a task whose sandbox shares no files with this machine. What the task registers is,
 * inside, a line of RECORDS_INSIDE too (python/metaflow_extensions/sandbox/plugins/journal.py):
 * "NAME<tab>JSON". The lines come here over a command that follows that file, as long as the task
 * runs, and become files of the stage, where everything else looks for them. At the end the file is
 * read as a whole: nothing depends on the command. Layer: metaflow.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "metaflow/launcher/stage.h"

#define RECORDS_INSIDE "/tmp/metaflow/.records"

struct records {
    int dir_fd; // of the stage's _meta
    pthread_t thread;
    struct sbx_process *process; // NULL: nothing is followed
    struct sbx_cancel *cancel;
    struct buf line;  // what came after the last newline
    atomic_bool news; // something was kept since that was last asked
};

// Follows the file; where that can't be done its lines come at the end.
void records_follow(struct records *records, const struct stage *stage, struct sbx_sandbox *box);

// Stops following. Whole file first, if the sandbox can still be asked: `last`.
void records_end(struct records *records, struct sbx_sandbox *box, bool last);

// Lines of the file, in pieces as they come. Names and sizes are judged; what exists stays.
void records_add(struct records *records, const void *data, size_t size);
