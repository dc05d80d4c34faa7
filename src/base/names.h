// SPDX-License-Identifier: Apache-2.0
// Names in paths. Inline: the small static programs use them as well. Layer: base.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

// "." and "..", which readdir(3) gives beside what a directory holds.
static inline bool name_is_dots(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

// Where the last name of a path begins, without slashes behind it; size 0: "" and "/" have none.
static inline const char *name_last(const char *path, size_t *ret_size)
{
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    *ret_size = end - start;
    return path + start;
}
