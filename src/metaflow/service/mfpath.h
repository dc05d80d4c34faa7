// SPDX-License-Identifier: Apache-2.0
// Names of flows, runs, steps and tasks, and where their records lie below `.metaflow`. A name
// comes from a request or a directory and becomes one part of a path, nothing else. Layer:
// metaflow.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum mflevel { MF_ROOT, MF_FLOW, MF_RUN, MF_STEP, MF_TASK };

// Borrowed; NULL from the first level on that is not meant.
struct mfpath {
    const char *flow, *run, *step, *task;
};

#define MFPATH_NAME_MAX 200 // bytes; leaves room for what files add to names
#define MFPATH_SIZE 1024

// 1 to MFPATH_NAME_MAX bytes of UTF-8 without slash and control characters, not beginning with a
// dot, and not `_meta`, where the records themselves are.
bool mfpath_name_ok(const char *name, size_t size);

// Only digits: an id that was given out, not one that a person or scheduler chose.
bool mfpath_is_number(const char *name);

enum mflevel mfpath_level(const struct mfpath *path);
const char *mfpath_last(const struct mfpath *path);
struct mfpath mfpath_up_to(const struct mfpath *path, enum mflevel level);
struct mfpath mfpath_child(const struct mfpath *path, const char *name);
const char *mfpath_kind(enum mflevel level); // "Flow", "Run", ...

// The object's directory with `below` after it ("" for none), relative to `.metaflow`. INVALID for
// names that cannot be.
int mfpath_text(const struct mfpath *path, const char *below, char ret_text[MFPATH_SIZE],
                struct sbx_error *err);
