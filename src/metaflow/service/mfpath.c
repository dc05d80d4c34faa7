// SPDX-License-Identifier: Apache-2.0
// Layer: metaflow.
#include "metaflow/service/mfpath.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/utf8.h"

bool mfpath_name_ok(const char *name, size_t size)
{
    if (size == 0 || size > MFPATH_NAME_MAX || name[0] == '.')
        return false;
    return !memchr(name, '/', size) && !text_has_control(name, size) && utf8_valid(name, size) &&
           !(size == 5 && memcmp(name, "_meta", 5) == 0);
}

bool mfpath_is_number(const char *name)
{
    return *name && name[strspn(name, TEXT_DIGITS)] == '\0';
}

enum mflevel mfpath_level(const struct mfpath *path)
{
    if (!path->flow)
        return MF_ROOT;
    if (!path->run)
        return MF_FLOW;
    return !path->step ? MF_RUN : !path->task ? MF_STEP : MF_TASK;
}

const char *mfpath_last(const struct mfpath *path)
{
    const char *const names[] = {"", path->flow, path->run, path->step, path->task};
    return names[mfpath_level(path)];
}

struct mfpath mfpath_up_to(const struct mfpath *path, enum mflevel level)
{
    struct mfpath up = {.flow = level >= MF_FLOW ? path->flow : NULL,
                        .run = level >= MF_RUN ? path->run : NULL,
                        .step = level >= MF_STEP ? path->step : NULL,
                        .task = level >= MF_TASK ? path->task : NULL};
    return up;
}

struct mfpath mfpath_child(const struct mfpath *path, const char *name)
{
    struct mfpath child = *path;
    const char **const slots[] = {&child.flow, &child.run, &child.step, &child.task};
    enum mflevel level = mfpath_level(path);
    if (level < MF_TASK)
        *slots[level] = name;
    return child;
}

const char *mfpath_kind(enum mflevel level)
{
    static const char *const kinds[] = {"Root", "Flow", "Run", "Step", "Task"};
    return kinds[level];
}

int mfpath_text(const struct mfpath *path, const char *below, char ret_text[MFPATH_SIZE],
                struct sbx_error *err)
{
    const char *const names[] = {path->flow, path->run, path->step, path->task};
    size_t size = 0;
    for (size_t i = 0; i < ARRAY_SIZE(names) && names[i]; i++) {
        if (!mfpath_name_ok(names[i], strlen(names[i])))
            return err_set(err, SBX_ERR_INVALID, "%s has a name that cannot be",
                           mfpath_kind((enum mflevel)(i + 1)));
        size += (size_t)snprintf(ret_text + size, MFPATH_SIZE - size, "%s%s", size ? "/" : "",
                                 names[i]);
    }
    // Four names and the longest file name fit: see MFPATH_NAME_MAX.
    snprintf(ret_text + size, MFPATH_SIZE - size, "%s%s", size && *below ? "/" : "", below);
    return 0;
}
