// SPDX-License-Identifier: Apache-2.0
// The options of `sandboxes image`. Layer: registry.
#include "registry/options.h"

#define FIELD(member) .offset = offsetof(struct image_values, member)

const struct opt_row image_rows[IMAGE_ROW_COUNT] = {
    {.name = "json", .kind = OPT_FLAG, FIELD(json), .help = "print JSON"},
    {.name = "quiet",
     .letter = 'q',
     .kind = OPT_FLAG,
     FIELD(quiet),
     .help = "show no progress; with list: names alone"},
    {.name = "all",
     .letter = 'a',
     .kind = OPT_FLAG,
     FIELD(all),
     .help = "with prune: every image on which no sandbox stands"},
};
