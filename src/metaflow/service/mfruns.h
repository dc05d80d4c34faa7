// SPDX-License-Identifier: Apache-2.0
/*
 * Lists of runs, which clients ask for to find the latest one. Reading every run's record each time
 * would cost more with each run, so records are kept in memory, and a look at inode, size and
 * change time of each file (a microsecond) tells whether ours is still the right one: whoever
 * writes, we or local mode, puts a new file in place. Names are read again only when the flow's
 * directory has changed. What is younger than a clock tick is never trusted: a second change in the
 * same tick would not show. Layer: metaflow.
 */
#pragma once

#include "metaflow/service/mfstore.h"

struct mfruns;

struct mfruns *mfruns_new(void);
void mfruns_free(struct mfruns *runs);

// The runs of a flow, oldest first, as a JSON array.
int mfruns_list(struct mfruns *runs, struct mfstore *store, const struct mfpath *flow,
                struct buf *out, struct sbx_error *err);
