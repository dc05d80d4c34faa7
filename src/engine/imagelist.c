// SPDX-License-Identifier: Apache-2.0
// The lists of struct image. Layer: engine.
#include "engine/imagelist.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static int add(struct sbx_pair **list, size_t *count, const char *name, const char *value,
               struct sbx_error *err)
{
    struct sbx_pair *grown = reallocarray(*list, *count + 1, sizeof(**list));
    if (!grown)
        return err_nomem(err);
    *list = grown;
    cleanup_free char *own_name = strdup(name);
    cleanup_free char *own_value = strdup(value);
    if (!own_name || !own_value)
        return err_nomem(err);
    grown[(*count)++] = (struct sbx_pair){steal_ptr(own_name), steal_ptr(own_value)};
    return 0;
}

int imagelist_add_layer(struct image *image, const char *target, const char *path,
                        struct sbx_error *err)
{
    return add(&image->layers, &image->layer_count, target, path, err);
}

int imagelist_add_env(struct image *image, const char *name, const char *value,
                      struct sbx_error *err)
{
    return add(&image->env, &image->env_count, name, value, err);
}

static void free_pairs(struct sbx_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((char *)(uintptr_t)pairs[i].name);
        free((char *)(uintptr_t)pairs[i].value);
    }
    free(pairs);
}

void image_deinit(struct image *image)
{
    free_pairs(image->layers, image->layer_count);
    free_pairs(image->env, image->env_count);
    free(image->workdir);
    free(image->user);
    if (image->hold_fd && *image->hold_fd >= 0)
        close(*image->hold_fd);
    free(image->hold_fd);
    memset(image, 0, sizeof(*image));
}
