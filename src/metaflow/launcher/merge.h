// SPDX-License-Identifier: Apache-2.0
// What a task wrote, taken over into the datastore: verified, its own, and nothing else. Layer:
// metaflow.
#pragma once

#include "metaflow/launcher/stage.h"

/*
 * Metadata that has appeared so far; the sandbox may still be running. Records are written once:
 * those that are in the datastore already stay as they are.
 */
void merge_metadata(const struct stage *stage);

/*
 * All of it, after the sandbox is gone: blobs whose contents match their names, cards, files of
 * this attempt, last the mark that it is done. PROTOCOL if there was a blob that is not what it
 * claims to be; then no file of the attempt is taken over.
 */
int merge_all(const struct stage *stage, const struct step_options *options, struct sbx_error *err);
