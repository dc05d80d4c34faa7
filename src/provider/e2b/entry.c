// SPDX-License-Identifier: Apache-2.0
// Files and directories of a sandbox of E2B but for their contents. Layer: provider.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "net/when.h"
#include "provider/e2b/files.h"

struct owner {
    struct jsonv *answer;
    char *name; // of a single one: the path that was asked for
    struct sbx_file_info items[];
};

static uint32_t kind_of(const struct jsonv *entry)
{
    const char *type = jsonv_text(entry, "type");
    if (jsonv_get(entry, "symlinkTarget") || (type && strcmp(type, "FILE_TYPE_SYMLINK") == 0))
        return SBX_FILE_SYMLINK;
    if (type && strcmp(type, "FILE_TYPE_DIRECTORY") == 0)
        return SBX_FILE_DIRECTORY;
    return type && strcmp(type, "FILE_TYPE_FILE") == 0 ? SBX_FILE_REGULAR : SBX_FILE_OTHER;
}

// envd tells names. Those of its template are known; others are told as nobody's.
static uint32_t id_of(const char *name)
{
    if (!name || strcmp(name, "root") == 0)
        return 0;
    if (strcmp(name, "user") == 0)
        return 1000;
    return name[0] >= '0' && name[0] <= '9' ? (uint32_t)strtoul(name, NULL, 10) : 65534;
}

// An int64 is text in this JSON.
static uint64_t size_of(const struct jsonv *entry)
{
    const char *text = jsonv_text(entry, "size");
    int64_t size = text ? strtoll(text, NULL, 10) : jsonv_int(entry, "size", 0);
    return size > 0 ? (uint64_t)size : 0;
}

static struct sbx_file_info describe(const struct jsonv *entry, const char *name)
{
    const char *own = jsonv_text(entry, "name"), *link = jsonv_text(entry, "symlinkTarget");
    uint32_t kind = kind_of(entry);
    return (struct sbx_file_info){.name = name  ? name
                                          : own ? own
                                                : "",
                                  .link = kind == SBX_FILE_SYMLINK ? (link ? link : "") : NULL,
                                  .size = size_of(entry),
                                  .modified_ms = when_parse(jsonv_text(entry, "modifiedTime")),
                                  .kind = kind,
                                  .mode = (uint32_t)jsonv_int(entry, "mode", 0) & 07777,
                                  .uid = id_of(jsonv_text(entry, "owner")),
                                  .gid = id_of(jsonv_text(entry, "group"))};
}

static int call_path(struct e2b_box *box, const char *user, const char *method, const char *path,
                     const char *verb, bool idempotent, struct deadline deadline,
                     struct jsonv **ret_answer, struct sbx_error *err)
{
    cleanup_buf struct buf message = BUF_INIT(64 << 10);
    char what[400];
    struct json json = JSON_INIT(&message, false);
    json_begin_object(&json);
    json_put_text(&json, "path", path);
    json_end_object(&json);
    snprintf(what, sizeof(what), "cannot %s '%.300s'", verb, path);
    int code =
        e2b_envd_call(box, user, method, &message, what, idempotent, deadline, ret_answer, err);
    return e2b_files_meaning(code, user, err);
}

int e2b_files_stat(struct e2b_box *box, const char *user, const char *path,
                   struct deadline deadline, struct jsonv **ret_answer,
                   struct sbx_file_info *ret_info, struct sbx_error *err)
{
    int code = call_path(box, user, "filesystem.Filesystem/Stat", path, "stat", true, deadline,
                         ret_answer, err);
    if (code < 0)
        return code;
    const struct jsonv *entry = jsonv_get(*ret_answer, "entry");
    if (!entry)
        return err_set(err, SBX_ERR_PROTOCOL, "'%s' is not described in the answer", path);
    *ret_info = describe(entry, path);
    return 0;
}

int e2b_file_stat(void *self, const char *path, const struct sbx_file_options *options,
                  const struct sbx_call *call, struct sbx_file_list *ret_one, struct sbx_error *err)
{
    struct owner *owner = calloc(1, sizeof(*owner) + sizeof(owner->items[0]));
    char *name = owner ? strdup(path) : NULL;
    if (!name) {
        free(owner);
        return err_nomem(err);
    }
    owner->name = name;
    *ret_one = (struct sbx_file_list){.count = 1, .items = owner->items, .owner = owner};
    int code = e2b_files_stat(self, options->user, name, cloud_deadline(call), &owner->answer,
                              &owner->items[0], err);
    if (code < 0)
        e2b_file_list_free(ret_one);
    return code;
}

static int by_name(const void *a, const void *b)
{
    const struct sbx_file_info *x = a, *y = b;
    return strcmp(x->name, y->name);
}

int e2b_files_list(struct e2b_box *box, const char *user, const char *path,
                   struct deadline deadline, struct sbx_file_list *ret_list, struct sbx_error *err)
{
    cleanup_jsonv struct jsonv *answer = NULL;
    int code = call_path(box, user, "filesystem.Filesystem/ListDir", path, "list", true, deadline,
                         &answer, err);
    if (code == SBX_ERR_INVALID)
        code = err_set(err, SBX_ERR_NOT_FOUND, "'%s' is not a directory", path);
    if (code < 0)
        return code;
    const struct jsonv *entries = jsonv_get(answer, "entries");
    size_t count = jsonv_count(entries);
    struct owner *owner = calloc(1, sizeof(*owner) + (count + 1) * sizeof(owner->items[0]));
    if (!owner)
        return err_nomem(err);
    for (size_t i = 0; i < count; i++)
        owner->items[i] = describe(jsonv_at(entries, i), NULL);
    qsort(owner->items, count, sizeof(owner->items[0]), by_name);
    owner->answer = steal_ptr(answer);
    *ret_list = (struct sbx_file_list){.count = count, .items = owner->items, .owner = owner};
    return 0;
}

int e2b_file_list(void *self, const char *path, const struct sbx_file_options *options,
                  const struct sbx_call *call, struct sbx_file_list *ret_list,
                  struct sbx_error *err)
{
    return e2b_files_list(self, options->user, path, cloud_deadline(call), ret_list, err);
}

void e2b_file_list_free(struct sbx_file_list *list)
{
    struct owner *owner = list->owner;
    if (owner) {
        jsonv_free(owner->answer);
        free(owner->name);
    }
    free(owner);
    *list = (struct sbx_file_list){0};
}

// The directory that a path is in; NULL when there is none to speak of.
static char *parent_of(const char *path)
{
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/')
        size--;
    while (size > 0 && path[size - 1] != '/')
        size--;
    while (size > 1 && path[size - 1] == '/')
        size--;
    return size ? strndup(path, size) : NULL;
}

static int check_parent(struct e2b_box *box, const char *user, const char *path,
                        struct deadline deadline, struct sbx_error *err)
{
    cleanup_free char *parent = parent_of(path);
    cleanup_jsonv struct jsonv *answer = NULL;
    struct sbx_file_info info;
    return parent ? e2b_files_stat(box, user, parent, deadline, &answer, &info, err) : 0;
}

int e2b_file_mkdir(void *self, const char *path, const struct sbx_file_options *options,
                   const struct sbx_call *call, struct sbx_error *err)
{
    struct e2b_box *box = self;
    struct deadline deadline = cloud_deadline(call);
    // envd makes parents always
    int code = options->recursive ? 0 : check_parent(box, options->user, path, deadline, err);
    if (code == 0)
        code = call_path(box, options->user, "filesystem.Filesystem/MakeDir", path, "make", false,
                         deadline, NULL, err);
    if (code == SBX_ERR_CONFLICT && options->recursive)
        return 0;
    if (code == 0 && options->mode)
        code =
            cloud_files_chmod(&e2b_files, box, options->user, path, options->mode, deadline, err);
    return code;
}

int e2b_file_remove(void *self, const char *path, const struct sbx_file_options *options,
                    const struct sbx_call *call, struct sbx_error *err)
{
    struct e2b_box *box = self;
    struct deadline deadline = cloud_deadline(call);
    cleanup_jsonv struct jsonv *answer = NULL;
    struct sbx_file_info info;
    struct sbx_file_list list;
    // envd removes with all below, and what is missing with success
    int code = e2b_files_stat(box, options->user, path, deadline, &answer, &info, err);
    if (code == 0 && info.kind == SBX_FILE_DIRECTORY && !options->recursive) {
        code = e2b_files_list(box, options->user, path, deadline, &list, err);
        if (code < 0)
            return code;
        size_t count = list.count;
        e2b_file_list_free(&list);
        if (count > 0)
            return err_set(err, SBX_ERR_CONFLICT, "directory '%s' is not empty", path);
    }
    return code < 0 ? code
                    : call_path(box, options->user, "filesystem.Filesystem/Remove", path, "remove",
                                true, deadline, NULL, err);
}

int e2b_file_rename(void *self, const char *from, const char *to,
                    const struct sbx_file_options *options, const struct sbx_call *call,
                    struct sbx_error *err)
{
    cleanup_buf struct buf message = BUF_INIT(64 << 10);
    char what[400];
    struct json json = JSON_INIT(&message, false);
    json_begin_object(&json);
    json_put_text(&json, "source", from);
    json_put_text(&json, "destination", to);
    json_end_object(&json);
    snprintf(what, sizeof(what), "cannot rename '%.300s'", from);
    int code = e2b_envd_call(self, options->user, "filesystem.Filesystem/Move", &message, what,
                             false, cloud_deadline(call), NULL, err);
    return e2b_files_meaning(code, options->user, err);
}
