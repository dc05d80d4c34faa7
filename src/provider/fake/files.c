// SPDX-License-Identifier: Apache-2.0
// File calls of the provider "fake". Layer: provider.
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "provider/fake/fake.h"

// Takes the lock and the view of the asked user. On failure the lock is not held.
static int begin(struct fake_handle *handle, const struct sbx_file_options *options,
                 struct memfs_view *ret_view, struct sbx_error *err)
{
    int code = fake_enter(handle, err);
    if (code < 0)
        return code;
    code = fake_view(handle->box, options->user, ret_view, err);
    if (code < 0)
        fake_unlock(handle->box->provider);
    return code;
}

static int finish(struct fake_handle *handle, int code)
{
    fake_unlock(handle->box->provider);
    return code;
}

int fake_file_write(void *self, const char *path, const void *data, size_t size,
                    const struct sbx_file_options *options, const struct sbx_call *call,
                    struct sbx_error *err)
{
    struct memfs_view view;
    struct memfs_node *node;
    int code = begin(self, options, &view, err);
    if (code < 0)
        return code;
    code = memfs_make_parents(&view, path, false, 0755, err);
    if (code == 0)
        code =
            memfs_open_write(&view, path, options->mode ? options->mode : 0644, false, &node, err);
    if (code == 0 && options->mode)
        memfs_set_mode(view.fs, node, options->mode);
    if (code == 0)
        code = memfs_append(view.fs, node, data, size, err);
    return finish(self, code);
}

static int copy_data(const struct memfs_node *node, uint64_t limit, char **ret_data,
                     size_t *ret_size, struct sbx_error *err)
{
    if (node->size > limit) {
        err_set(err, SBX_ERR_QUOTA, "the file has %zu bytes, more than options.limit", node->size);
        return err_hint(err, "raise options.limit, or download the file");
    }
    char *data = malloc(node->size + 1);
    if (!data)
        return err_nomem(err);
    if (node->size)
        memcpy(data, node->data, node->size);
    data[node->size] = '\0';
    *ret_data = data;
    *ret_size = node->size;
    return 0;
}

int fake_file_read(void *self, const char *path, const struct sbx_file_options *options,
                   const struct sbx_call *call, char **ret_data, size_t *ret_size,
                   struct sbx_error *err)
{
    struct memfs_view view;
    struct memfs_node *node;
    int code = begin(self, options, &view, err);
    if (code < 0)
        return code;
    code = memfs_open_read(&view, path, &node, err);
    if (code == 0)
        code = copy_data(node, options->limit, ret_data, ret_size, err);
    return finish(self, code);
}

// Entries and their strings, which stay valid whatever happens to the files.
struct listing {
    size_t count;
    struct sbx_file_info items[];
};

static void describe(const struct memfs_node *node, const char *name, struct sbx_file_info *info,
                     char **text)
{
    *info = (struct sbx_file_info){.name = *text,
                                   .size = node->size,
                                   .modified_ms = node->modified_ms,
                                   .kind = node->kind,
                                   .mode = node->mode,
                                   .uid = node->uid,
                                   .gid = node->gid};
    *text = stpcpy(*text, name) + 1;
    if (!node->target)
        return;
    info->link = *text;
    info->size = strlen(node->target);
    *text = stpcpy(*text, node->target) + 1;
}

static size_t text_size(const struct memfs_node *node, const char *name)
{
    return strlen(name) + 1 + (node->target ? strlen(node->target) + 1 : 0);
}

// The one node under the name `single`, or with NULL the node's children under their own.
static int make_list(const struct memfs_node *node, const char *single,
                     struct sbx_file_list *ret_list, struct sbx_error *err)
{
    const struct memfs_node *first = single ? node : node->child;
    size_t count = 0, size = sizeof(struct listing);
    for (const struct memfs_node *at = first; at; at = single ? NULL : at->next, count++)
        size += sizeof(struct sbx_file_info) + text_size(at, single ? single : at->name);
    struct listing *listing = malloc(size);
    if (!listing)
        return err_nomem(err);
    char *text = (char *)&listing->items[count];
    size_t i = 0;
    for (const struct memfs_node *at = first; at; at = single ? NULL : at->next)
        describe(at, single ? single : at->name, &listing->items[i++], &text);
    listing->count = count;
    *ret_list = (struct sbx_file_list){.count = count, .items = listing->items, .owner = listing};
    return 0;
}

int fake_file_stat(void *self, const char *path, const struct sbx_file_options *options,
                   const struct sbx_call *call, struct sbx_file_list *ret_one,
                   struct sbx_error *err)
{
    struct memfs_view view;
    struct memfs_node *node;
    int code = begin(self, options, &view, err);
    if (code < 0)
        return code;
    code = memfs_find(&view, path, MEMFS_NOFOLLOW, &node, err);
    if (code == 0)
        code = make_list(node, path, ret_one, err);
    return finish(self, code);
}

int fake_file_list(void *self, const char *path, const struct sbx_file_options *options,
                   const struct sbx_call *call, struct sbx_file_list *ret_list,
                   struct sbx_error *err)
{
    struct memfs_view view;
    struct memfs_node *node;
    int code = begin(self, options, &view, err);
    if (code < 0)
        return code;
    code = memfs_find(&view, path, MEMFS_FOLLOW, &node, err);
    if (code == 0 && node->kind != SBX_FILE_DIRECTORY)
        code = err_set(err, SBX_ERR_NOT_FOUND, "'%s' is not a directory", path);
    if (code == 0 && !memfs_may(node, view.uid, 4))
        code = err_set(err, SBX_ERR_DENIED, "user %u may not list '%s'", view.uid, path);
    if (code == 0)
        code = make_list(node, NULL, ret_list, err);
    return finish(self, code);
}

void fake_file_list_free(struct sbx_file_list *list)
{
    free(list->owner);
    *list = (struct sbx_file_list){0};
}

int fake_file_mkdir(void *self, const char *path, const struct sbx_file_options *options,
                    const struct sbx_call *call, struct sbx_error *err)
{
    struct memfs_view view;
    struct memfs_node *node;
    int code = begin(self, options, &view, err);
    if (code < 0)
        return code;
    uint32_t mode = options->mode ? options->mode : 0755;
    code = options->recursive ? memfs_make_parents(&view, path, true, mode, err)
                              : memfs_make(&view, path, SBX_FILE_DIRECTORY, mode, &node, err);
    return finish(self, code);
}

int fake_file_remove(void *self, const char *path, const struct sbx_file_options *options,
                     const struct sbx_call *call, struct sbx_error *err)
{
    struct memfs_view view;
    int code = begin(self, options, &view, err);
    if (code < 0)
        return code;
    return finish(self, memfs_remove(&view, path, options->recursive, err));
}

int fake_file_rename(void *self, const char *from, const char *to,
                     const struct sbx_file_options *options, const struct sbx_call *call,
                     struct sbx_error *err)
{
    struct memfs_view view;
    int code = begin(self, options, &view, err);
    if (code < 0)
        return code;
    return finish(self, memfs_rename(&view, from, to, err));
}
