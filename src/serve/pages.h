// SPDX-License-Identifier: Apache-2.0
// Files of the dashboard, built in (pages/embed.py). Layer: serve.
#pragma once

#include <stddef.h>

struct page {
    const char *name, *type;
    const unsigned char *data;
    size_t size;
};

extern const struct page pages[]; // ends with a NULL name
