// SPDX-License-Identifier: Apache-2.0
// Labels. Layer: core's types.
#include "core/labels.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/utf8.h"

static int check_one(const struct sbx_pair *label, const char *field, size_t index,
                     struct sbx_error *err)
{
    if (!label->name || !text_of(label->name, TEXT_ALNUM "._/-", LABEL_NAME_MAX))
        return err_set(err, SBX_ERR_INVALID,
                       "%s[%zu].name: a label's name has 1 to %d characters of A-Z a-z 0-9 . _ / -",
                       field, index, LABEL_NAME_MAX);
    size_t size = label->value ? strlen(label->value) : SIZE_MAX;
    if (size > LABEL_VALUE_MAX)
        return err_set(err, SBX_ERR_INVALID, "%s[%zu].value of label '%s' must have 0 to %d bytes",
                       field, index, label->name, LABEL_VALUE_MAX);
    if (!utf8_valid(label->value, size) || text_has_control(label->value, size))
        return err_set(err, SBX_ERR_INVALID,
                       "%s[%zu].value of label '%s' must be UTF-8 without control characters",
                       field, index, label->name);
    return 0;
}

int labels_check(const struct sbx_pair *labels, size_t count, const char *field,
                 struct sbx_error *err)
{
    if (count > LABELS_MAX)
        return err_set(err, SBX_ERR_INVALID, "%s: at most %d labels are accepted", field,
                       LABELS_MAX);
    if (count && !labels)
        return err_set(err, SBX_ERR_INVALID, "%s is NULL but its count is %zu", field, count);
    for (size_t i = 0; i < count; i++) {
        int code = check_one(&labels[i], field, i, err);
        if (code < 0)
            return code;
        for (size_t k = 0; k < i; k++)
            if (strcmp(labels[i].name, labels[k].name) == 0)
                return err_set(err, SBX_ERR_INVALID, "%s: label '%s' is given twice", field,
                               labels[i].name);
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct sbx_pair *)a)->name, ((const struct sbx_pair *)b)->name);
}

void labels_sort(struct sbx_pair *labels, size_t count)
{
    if (count > 1)
        qsort(labels, count, sizeof(*labels), compare);
}

static bool has(const struct sbx_pair *labels, size_t count, const struct sbx_pair *wanted)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(labels[i].name, wanted->name) == 0)
            return strcmp(labels[i].value, wanted->value) == 0;
    return false;
}

bool labels_match(const struct sbx_pair *labels, size_t count, const struct sbx_pair *wanted,
                  size_t wanted_count)
{
    for (size_t i = 0; i < wanted_count; i++)
        if (!has(labels, count, &wanted[i]))
            return false;
    return true;
}
