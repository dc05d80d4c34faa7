// SPDX-License-Identifier: Apache-2.0
/*
 * What the store holds that may not be on its disk yet. Waiting for the disk would take longer than
 * fetching an image, so a new layer or tree is marked instead, `fresh/KIND-HEX`, with this boot of
 * the machine; the mark goes when the disk has it all. After another boot a mark that is still
 * there tells that contents may be lost: what is marked so is made again.
 *
 * The mark is a symbolic link, made before what it marks appears: file systems with a journal keep
 * the order of such changes, though not of contents. On others, and where the store may be shared
 * with other machines, the disk is waited for instead. Layer: engine.
 */
#pragma once

#include "engine/imagestore.h"

// kind: "layers" or "trees", the folder that it lies in.
bool imagefresh_is_lost(const struct imagestore *store, const char *kind, const char *hex);

// To be called when its contents are written, before it appears.
int imagefresh_mark(const struct imagestore *store, const char *kind, const char *hex,
                    struct sbx_error *err);
void imagefresh_unmark(const struct imagestore *store, const char *kind, const char *hex);

// Writes all to the disk and then removes the marks of this boot that were there before.
void imagefresh_settle(const struct imagestore *store);

// Forgets the marks of what is not there any more; nobody may make anything meanwhile.
void imagefresh_clear(const struct imagestore *store);
