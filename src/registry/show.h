// SPDX-License-Identifier: Apache-2.0
// What `sandboxes image` says of images, for the command itself and the program that works. Layer:
// registry.
#pragma once

#include "base/json.h"
#include "engine/imagerecord.h"
#include "registry/options.h"

struct show {
    bool as_json, quiet, is_list;
    struct buf out;
    struct json json;
};

// is_list: JSON is an array.
void show_begin(struct show *show, const struct image_values *values, bool is_list);
void show_record(struct show *show, const struct imagerecord *record);

// Prints it. IO.
int show_finish(struct show *show);
void show_deinit(struct show *show);

size_t show_layers(const struct imagerecord *record);
