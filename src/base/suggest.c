// SPDX-License-Identifier: Apache-2.0
// "Did you mean": Damerau-Levenshtein distance with adjacent swaps. Layer: base.
#include "base/suggest.h"

#include <stdint.h>
#include <string.h>

#define LENGTH_MAX 63

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

// The cell for prefixes a[..i] and b[..j]; rows hold the distances for i, i-1 and i-2.
static size_t cell(const char *a, const char *b, size_t i, size_t j,
                   size_t (*const rows[3])[LENGTH_MAX + 1])
{
    size_t replaced = (*rows[1])[j - 1] + (a[i - 1] != b[j - 1]);
    size_t best = least(replaced, least((*rows[1])[j], (*rows[0])[j - 1]) + 1);
    if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        best = least(best, (*rows[2])[j - 2] + 1);
    return best;
}

size_t suggest_distance(const char *a, const char *b)
{
    size_t a_length = strlen(a), b_length = strlen(b);
    if (a_length > LENGTH_MAX || b_length > LENGTH_MAX)
        return SIZE_MAX;
    size_t store[3][LENGTH_MAX + 1];
    size_t(*rows[3])[LENGTH_MAX + 1] = {&store[0], &store[1], &store[2]};
    for (size_t j = 0; j <= b_length; j++)
        (*rows[0])[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t(*oldest)[LENGTH_MAX + 1] = rows[2];
        rows[2] = rows[1];
        rows[1] = rows[0];
        rows[0] = oldest;
        (*rows[0])[0] = i;
        for (size_t j = 1; j <= b_length; j++)
            (*rows[0])[j] = cell(a, b, i, j, rows);
    }
    return (*rows[0])[b_length];
}

void suggest_offer(struct suggest *suggest, const char *name)
{
    size_t distance = suggest_distance(suggest->wanted, name);
    size_t length = strlen(suggest->wanted);
    // What begins like it is probably meant; else about one typing error in three letters.
    if (length >= 3 && strncmp(suggest->wanted, name, length) == 0)
        distance = 1;
    size_t allowed = length <= 2 ? 1 : length / 3 + (length < 6);
    if (distance > allowed || (suggest->best && distance >= suggest->distance))
        return;
    suggest->best = name;
    suggest->distance = distance;
}
