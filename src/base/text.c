// SPDX-License-Identifier: Apache-2.0
// Questions about text of unknown origin. Layer: base.
#include "base/text.h"

#include <string.h>

bool text_has_control(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return true;
    return false;
}

bool text_of(const char *text, const char *allowed, size_t max)
{
    size_t length = strspn(text, allowed);
    return length > 0 && length <= max && text[length] == '\0';
}

bool text_has_word(const char *list, size_t size, const char *word)
{
    size_t length = strlen(word), begin = 0;
    for (size_t i = 0; i <= size; i++) {
        if (i < size && !strchr(" ,:\n", list[i]))
            continue;
        if (i - begin == length && memcmp(list + begin, word, length) == 0)
            return true;
        begin = i + 1;
    }
    return false;
}

bool text_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}
