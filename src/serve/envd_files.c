// SPDX-License-Identifier: Apache-2.0
// envd's file system service. Layer: serve.
#include <stdio.h>
#include <string.h>

#include "serve/envd.h"
#include "serve/transfer.h"

#define REPLY_MAX (32 * 1024 * 1024)
#define ENTRIES_MAX 100000
#define DEPTH_MAX 64

struct call {
    struct httpd_request *request;
    struct place *box;
    struct jsonv *message;
    char name[64], path[TRANSFER_PATH_MAX];
    struct sbx_file_options how;
};

static void call_deinit(struct call *call)
{
    jsonv_free(call->message);
}

// Reads the message and its path; false when it has replied.
static bool begin(struct httpd_request *request, const char *field, struct call *call)
{
    *call = (struct call){.request = request, .box = envd_box(request)};
    if (!connect_unary(request, &call->message))
        return false;
    const char *path = jsonv_text(call->message, field);
    call->how = (struct sbx_file_options)SBX_FILE_OPTIONS_INIT;
    call->how.user = envd_user(request, call->name);
    if (transfer_path(call->box, call->how.user, path ? path : "", call->path))
        return true;
    connect_fail(request, "invalid_argument", "the path is too long");
    return false;
}

static void fail(struct call *call, struct sbx_error *err)
{
    place_failed(call->box, err);
    connect_fail_err(call->request, err);
}

static const char *kind_name(uint32_t kind)
{
    return kind == SBX_FILE_DIRECTORY ? "FILE_TYPE_DIRECTORY" : "FILE_TYPE_FILE";
}

// What a link leads to; a dangling one stays a link.
static const char *link_kind(struct call *call, const char *path)
{
    // With a slash behind it, only a directory is found.
    char with_slash[TRANSFER_PATH_MAX + 4];
    struct sbx_file_list list;
    struct sbx_error ignored;
    snprintf(with_slash, sizeof(with_slash), "%s/.", path);
    if (sbx_file_stat(call->box->sandbox, with_slash, &call->how, NULL, &list, &ignored) < 0)
        return "FILE_TYPE_FILE";
    sbx_file_list_free(&list);
    return "FILE_TYPE_DIRECTORY";
}

static void put_time(struct json *json, int64_t ms)
{
    char text[SERVE_TIME_SIZE];
    serve_time(ms, text);
    json_put_text(json, "modifiedTime", text);
}

static void put_entry(struct call *call, struct json *json, const char *path,
                      const struct sbx_file_info *info)
{
    const char *slash = strrchr(path, '/');
    char mode[11], text[24], uid[16], gid[16];
    bool link = info->kind == SBX_FILE_SYMLINK;
    transfer_mode(info, mode);
    snprintf(text, sizeof(text), "%llu", (unsigned long long)info->size);
    json_begin_object(json);
    json_put_text(json, "name", slash ? slash + 1 : path);
    json_put_text(json, "type", link ? link_kind(call, path) : kind_name(info->kind));
    json_put_text(json, "path", path);
    json_put_text(json, "size", text);
    json_put_uint(json, "mode", info->mode);
    json_put_text(json, "permissions", mode);
    json_put_text(json, "owner", transfer_user(info->uid, uid));
    json_put_text(json, "group", transfer_user(info->gid, gid));
    put_time(json, info->modified_ms);
    if (link && info->link)
        json_put_text(json, "symlinkTarget", info->link);
    json_end_object(json);
}

// Replies with {"entry": the file at the path}.
static void reply_entry(struct call *call, const char *path)
{
    struct sbx_file_list list;
    struct sbx_error err;
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (sbx_file_stat(call->box->sandbox, path, &call->how, NULL, &list, &err) < 0) {
        fail(call, &err);
        return;
    }
    json_begin_object(&json);
    json_key(&json, "entry");
    put_entry(call, &json, path, &list.items[0]);
    json_end_object(&json);
    sbx_file_list_free(&list);
    connect_reply(call->request, &buf);
}

void envd_fs_stat(struct httpd_request *request)
{
    cleanup(call_deinit) struct call call;
    if (begin(request, "path", &call))
        reply_entry(&call, call.path);
}

static bool exists(struct call *call, const char *path)
{
    struct sbx_file_list list;
    struct sbx_error ignored;
    if (sbx_file_stat(call->box->sandbox, path, &call->how, NULL, &list, &ignored) < 0)
        return false;
    sbx_file_list_free(&list);
    return true;
}

void envd_fs_make_dir(struct httpd_request *request)
{
    cleanup(call_deinit) struct call call;
    struct sbx_error err;
    if (!begin(request, "path", &call))
        return;
    if (exists(&call, call.path)) {
        connect_fail(request, "already_exists", "the directory already exists");
        return;
    }
    call.how.recursive = 1;
    if (sbx_file_mkdir(call.box->sandbox, call.path, &call.how, NULL, &err) < 0)
        fail(&call, &err);
    else
        reply_entry(&call, call.path);
}

void envd_fs_move(struct httpd_request *request)
{
    cleanup(call_deinit) struct call call;
    struct sbx_error err;
    char target[TRANSFER_PATH_MAX];
    if (!begin(request, "source", &call))
        return;
    const char *path = jsonv_text(call.message, "destination");
    if (!path || !transfer_path(call.box, call.how.user, path, target))
        connect_fail(request, "invalid_argument", "destination is missing or too long");
    else if (sbx_file_rename(call.box->sandbox, call.path, target, &call.how, NULL, &err) < 0)
        fail(&call, &err);
    else
        reply_entry(&call, target);
}

void envd_fs_remove(struct httpd_request *request)
{
    cleanup(call_deinit) struct call call;
    struct sbx_error err;
    if (!begin(request, "path", &call))
        return;
    call.how.recursive = 1;
    if (sbx_file_remove(call.box->sandbox, call.path, &call.how, NULL, &err) < 0 &&
        err.code != SBX_ERR_NOT_FOUND)
        fail(&call, &err);
    else
        connect_reply_empty(request);
}

static int put_directory(struct call *call, struct json *json, const char *path, int64_t depth,
                         size_t *left, struct sbx_error *err)
{
    struct sbx_file_list list;
    int code = sbx_file_list(call->box->sandbox, path, &call->how, NULL, &list, err);
    if (code < 0)
        return code;
    for (size_t i = 0; i < list.count && code == 0; i++) {
        char inner[TRANSFER_PATH_MAX];
        struct sbx_error ignored;
        int size = snprintf(inner, sizeof(inner), "%s/%s", strcmp(path, "/") == 0 ? "" : path,
                            list.items[i].name);
        if (size >= (int)sizeof(inner))
            continue;
        if ((*left)-- == 0) {
            code = err_set(err, SBX_ERR_QUOTA, "'%s' has more than %d entries", call->path,
                           ENTRIES_MAX);
            break;
        }
        put_entry(call, json, inner, &list.items[i]);
        // What can't be read inside is left out, as it may have gone meanwhile.
        if (list.items[i].kind == SBX_FILE_DIRECTORY && depth > 1)
            put_directory(call, json, inner, depth - 1, left, &ignored);
    }
    sbx_file_list_free(&list);
    return code;
}

void envd_fs_list_dir(struct httpd_request *request)
{
    cleanup(call_deinit) struct call call;
    struct sbx_error err;
    size_t left = ENTRIES_MAX;
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (!begin(request, "path", &call))
        return;
    int64_t depth = jsonv_int(call.message, "depth", 1);
    if (depth < 0 || depth > DEPTH_MAX) {
        connect_fail(request, "invalid_argument", "depth must be 1 to 64");
        return;
    }
    json_begin_object(&json);
    json_key(&json, "entries");
    json_begin_array(&json);
    int code = put_directory(&call, &json, call.path, depth ? depth : 1, &left, &err);
    json_end_array(&json);
    json_end_object(&json);
    if (code < 0)
        fail(&call, &err);
    else
        connect_reply(request, &buf);
}
