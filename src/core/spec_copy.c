// SPDX-License-Identifier: Apache-2.0
// A specification of one's own. Layer: core.
#include "core/spec_copy.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

// Where the next piece goes. Without a block it only counts.
struct pen {
    char *block;
    size_t used;
};

static void *put(struct pen *pen, const void *data, size_t size)
{
    if (!data || !size)
        return NULL;
    size_t at = (pen->used + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    pen->used = at + size;
    return pen->block ? memcpy(pen->block + at, data, size) : NULL;
}

static const char *put_text(struct pen *pen, const char *text)
{
    return text ? put(pen, text, strlen(text) + 1) : NULL;
}

static struct sbx_pair *put_pairs(struct pen *pen, const struct sbx_pair *pairs, size_t count)
{
    struct sbx_pair *copy = put(pen, pairs, count * sizeof(*pairs));
    for (size_t i = 0; i < count; i++) {
        const char *name = put_text(pen, pairs[i].name), *value = put_text(pen, pairs[i].value);
        if (copy)
            copy[i] = (struct sbx_pair){name, value};
    }
    return copy;
}

static const char *const *put_texts(struct pen *pen, const char *const *texts, size_t count)
{
    const char **copy = put(pen, texts, count * sizeof(*texts));
    for (size_t i = 0; i < count; i++) {
        const char *text = put_text(pen, texts[i]);
        if (copy)
            copy[i] = text;
    }
    return copy;
}

static struct sbx_mount *put_mounts(struct pen *pen, const struct sbx_mount *mounts, size_t count)
{
    struct sbx_mount *copy = put(pen, mounts, count * sizeof(*mounts));
    for (size_t i = 0; i < count; i++) {
        const char *source = put_text(pen, mounts[i].source);
        const char *target = put_text(pen, mounts[i].target);
        if (copy)
            copy[i] = (struct sbx_mount){source, target, mounts[i].flags};
    }
    return copy;
}

static struct sbx_spec put_spec(struct pen *pen, const struct sbx_spec *spec)
{
    struct sbx_spec copy = *spec;
    copy.provider = put_text(pen, spec->provider);
    copy.image = put_text(pen, spec->image);
    copy.user = put_text(pen, spec->user);
    copy.workdir = put_text(pen, spec->workdir);
    copy.hostname = put_text(pen, spec->hostname);
    copy.gpu = put_text(pen, spec->gpu);
    copy.allow = put_texts(pen, spec->allow, spec->allow_count);
    copy.env = put_pairs(pen, spec->env, spec->env_count);
    copy.labels = put_pairs(pen, spec->labels, spec->label_count);
    copy.mounts = put_mounts(pen, spec->mounts, spec->mount_count);
    copy.ports = put(pen, spec->ports, spec->port_count * sizeof(*spec->ports));
    return copy;
}

int spec_copy_init(const struct sbx_spec *spec, struct spec_copy *ret_copy, struct sbx_error *err)
{
    struct pen pen = {0};
    put_spec(&pen, spec);
    void *block = malloc(pen.used + 1);
    if (!block)
        return err_nomem(err);
    pen = (struct pen){.block = block};
    *ret_copy = (struct spec_copy){put_spec(&pen, spec), block};
    return 0;
}

void spec_copy_deinit(struct spec_copy *copy)
{
    free(copy->block);
    *copy = (struct spec_copy){.block = NULL};
}
