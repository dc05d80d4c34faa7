// SPDX-License-Identifier: Apache-2.0
// Daytona's files, but for up- and download. Layer: serve.
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "serve/toolbox.h"
#include "serve/transfer.h"

#define REPLY_MAX (32 * 1024 * 1024)
#define SEARCH_MAX (16 * 1024 * 1024)
#define SEARCH_MS 60000

// The path of a query parameter; false when it has replied.
static bool take_path(struct httpd_request *request, const char *name,
                      char ret_path[TRANSFER_PATH_MAX])
{
    const char *asked = httpd_query(request, name);
    if (asked && transfer_path(toolbox_box(request), NULL, asked, ret_path))
        return true;
    httpd_fail(request, 400, asked ? "the path is too long" : "path is required");
    return false;
}

static void fail(struct httpd_request *request, struct sbx_error *err)
{
    place_failed(toolbox_box(request), err);
    serve_fail(request, err);
}

static void put_times(struct json *json, int64_t ms)
{
    char text[SERVE_TIME_SIZE], go[64];
    struct tm parts;
    time_t seconds = (time_t)(ms / 1000);
    gmtime_r(&seconds, &parts);
    strftime(go, sizeof(go), "%Y-%m-%d %H:%M:%S +0000 UTC", &parts);
    serve_time(ms, text);
    json_put_text(json, "modTime", go);
    json_put_text(json, "modifiedAt", text);
}

static void put_file(struct json *json, const char *name, const struct sbx_file_info *info)
{
    char mode[11], text[24];
    transfer_mode(info, mode);
    json_begin_object(json);
    json_put_text(json, "name", name);
    json_put_uint(json, "size", info->size);
    json_put_text(json, "mode", mode);
    put_times(json, info->modified_ms);
    json_put_bool(json, "isDir", info->kind == SBX_FILE_DIRECTORY);
    snprintf(text, sizeof(text), "%u", info->uid);
    json_put_text(json, "owner", text);
    snprintf(text, sizeof(text), "%u", info->gid);
    json_put_text(json, "group", text);
    snprintf(text, sizeof(text), "%04o", info->mode & 07777);
    json_put_text(json, "permissions", text);
    json_end_object(json);
}

void toolbox_files_list(struct httpd_request *request)
{
    char path[TRANSFER_PATH_MAX];
    struct sbx_file_list list;
    struct sbx_error err;
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    const char *asked = httpd_query(request, "path");
    if (!transfer_path(toolbox_box(request), NULL, asked ? asked : "", path)) {
        httpd_fail(request, 400, "the path is too long");
        return;
    }
    if (sbx_file_list(toolbox_box(request)->sandbox, path, NULL, NULL, &list, &err) < 0) {
        fail(request, &err);
        return;
    }
    json_begin_array(&json);
    for (size_t i = 0; i < list.count; i++)
        put_file(&json, list.items[i].name, &list.items[i]);
    json_end_array(&json);
    sbx_file_list_free(&list);
    httpd_reply_json(request, 200, &buf);
}

void toolbox_files_info(struct httpd_request *request)
{
    char path[TRANSFER_PATH_MAX];
    struct sbx_file_list one;
    struct sbx_error err;
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (!take_path(request, "path", path))
        return;
    if (sbx_file_stat(toolbox_box(request)->sandbox, path, NULL, NULL, &one, &err) < 0) {
        fail(request, &err);
        return;
    }
    const char *slash = strrchr(path, '/');
    put_file(&json, slash && slash[1] ? slash + 1 : path, &one.items[0]);
    sbx_file_list_free(&one);
    httpd_reply_json(request, 200, &buf);
}

static bool is_directory(struct place *box, const char *path)
{
    struct sbx_file_list one;
    struct sbx_error ignored;
    if (sbx_file_stat(box->sandbox, path, NULL, NULL, &one, &ignored) < 0)
        return false;
    bool directory = one.items[0].kind == SBX_FILE_DIRECTORY;
    sbx_file_list_free(&one);
    return directory;
}

void toolbox_files_delete(struct httpd_request *request)
{
    char path[TRANSFER_PATH_MAX];
    struct sbx_error err;
    struct sbx_file_options how = SBX_FILE_OPTIONS_INIT;
    const char *recursive = httpd_query(request, "recursive");
    if (!take_path(request, "path", path))
        return;
    how.recursive = recursive && strcasecmp(recursive, "true") == 0;
    if (!how.recursive && is_directory(toolbox_box(request), path))
        httpd_fail(request, 400, "cannot delete directory without recursive flag");
    else if (sbx_file_remove(toolbox_box(request)->sandbox, path, &how, NULL, &err) < 0)
        fail(request, &err);
    else
        httpd_reply(request, 204, NULL, NULL, 0);
}

void toolbox_files_folder(struct httpd_request *request)
{
    char path[TRANSFER_PATH_MAX];
    struct sbx_error err;
    struct sbx_file_options how = SBX_FILE_OPTIONS_INIT;
    const char *mode = httpd_query(request, "mode");
    if (!take_path(request, "path", path))
        return;
    how.recursive = 1;
    how.mode = mode ? (uint32_t)strtoul(mode, NULL, 8) & 07777 : 0;
    if (sbx_file_mkdir(toolbox_box(request)->sandbox, path, &how, NULL, &err) < 0)
        fail(request, &err);
    else
        httpd_reply(request, 201, NULL, NULL, 0);
}

void toolbox_files_move(struct httpd_request *request)
{
    char from[TRANSFER_PATH_MAX], to[TRANSFER_PATH_MAX];
    struct sbx_error err;
    struct sbx_file_list one;
    struct place *box = toolbox_box(request);
    if (!take_path(request, "source", from) || !take_path(request, "destination", to))
        return;
    if (sbx_file_stat(box->sandbox, to, NULL, NULL, &one, &err) == 0) {
        sbx_file_list_free(&one);
        httpd_fail(request, 409, "the destination exists already");
    } else if (sbx_file_rename(box->sandbox, from, to, NULL, NULL, &err) < 0) {
        fail(request, &err);
    } else {
        httpd_reply(request, 200, NULL, NULL, 0);
    }
}

// --- What the sandbox's own programs do

// Runs argv; false when it has replied. A status above `most` is a failure.
static bool run(struct httpd_request *request, const char *const *argv, size_t argc, int most,
                struct sbx_result *ret_result)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_error err;
    exec.argv = argv;
    exec.argc = argc;
    if (toolbox_run(request, &exec, SEARCH_MS, ret_result, &err) < 0) {
        serve_fail(request, &err);
        return false;
    }
    if (ret_result->outcome.exit_code <= most)
        return true;
    httpd_fail(request, ret_result->err && strstr(ret_result->err, "No such file") ? 404 : 400,
               ret_result->err ? ret_result->err : "the command failed");
    sbx_result_deinit(ret_result);
    return false;
}

void toolbox_files_permissions(struct httpd_request *request)
{
    char path[TRANSFER_PATH_MAX], owner[160];
    const char *mode = httpd_query(request, "mode"), *user = httpd_query(request, "owner");
    const char *group = httpd_query(request, "group");
    struct sbx_result result = {0};
    if (!take_path(request, "path", path))
        return;
    snprintf(owner, sizeof(owner), "%s%s%s", user ? user : "", group ? ":" : "",
             group ? group : "");
    const char *const chmod[] = {"chmod", "--", mode ? mode : "", path};
    const char *const chown[] = {"chown", "--", owner, path};
    if (mode && mode[0]) {
        if (!run(request, chmod, ARRAY_SIZE(chmod), 0, &result))
            return;
        sbx_result_deinit(&result);
    }
    if (owner[0]) {
        if (!run(request, chown, ARRAY_SIZE(chown), 0, &result))
            return;
        sbx_result_deinit(&result);
    }
    httpd_reply(request, 200, NULL, NULL, 0);
}

static void put_match(struct json *json, const char *file, const char *number, const char *text,
                      size_t size)
{
    json_begin_object(json);
    json_put_text(json, "file", file);
    json_put_int(json, "line", strtoll(number, NULL, 10));
    json_key(json, "content");
    json_bytes(json, text, size);
    json_end_object(json);
}

// grep's "FILE NUL NUMBER : LINE".
static void put_matches(struct json *json, const char *data, size_t size)
{
    const char *end = data + size;
    json_begin_array(json);
    while (data < end) {
        const char *number = memchr(data, 0, (size_t)(end - data));
        const char *text = number ? memchr(number, ':', (size_t)(end - number)) : NULL;
        const char *line_end = text ? memchr(text, '\n', (size_t)(end - text)) : NULL;
        if (!line_end)
            break;
        put_match(json, data, number + 1, text + 1, (size_t)(line_end - text - 1));
        data = line_end + 1;
    }
    json_end_array(json);
}

void toolbox_files_find(struct httpd_request *request)
{
    char path[TRANSFER_PATH_MAX];
    const char *pattern = httpd_query(request, "pattern");
    struct sbx_result result = {0};
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (!take_path(request, "path", path))
        return;
    const char *const argv[] = {"grep", "-rnIFHZ", "-e", pattern ? pattern : "", "--", path};
    if (!run(request, argv, ARRAY_SIZE(argv), 1, &result))
        return;
    put_matches(&json, result.out ? result.out : "", result.out_size);
    sbx_result_deinit(&result);
    httpd_reply_json(request, 200, &buf);
}

void toolbox_files_search(struct httpd_request *request)
{
    char path[TRANSFER_PATH_MAX];
    const char *pattern = httpd_query(request, "pattern");
    struct sbx_result result = {0};
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (!take_path(request, "path", path))
        return;
    const char *const argv[] = {"find", path, "-name", pattern ? pattern : "*", "-print0"};
    if (!run(request, argv, ARRAY_SIZE(argv), 0, &result))
        return;
    json_begin_object(&json);
    json_key(&json, "files");
    json_begin_array(&json);
    for (size_t at = 0; at < result.out_size; at += strlen(result.out + at) + 1)
        json_text(&json, result.out + at);
    json_end_array(&json);
    json_end_object(&json);
    sbx_result_deinit(&result);
    httpd_reply_json(request, 200, &buf);
}

static int replace_in(struct httpd_request *request, const char *path, const char *pattern,
                      const char *value, struct sbx_error *err)
{
    struct sbx_call call = serve_call(request, SEARCH_MS);
    struct sbx_file_options how = SBX_FILE_OPTIONS_INIT;
    struct place *box = toolbox_box(request);
    char *data;
    size_t size, pattern_size = strlen(pattern);
    how.limit = SEARCH_MAX;
    int code = sbx_file_read(box->sandbox, path, &how, &call, &data, &size, err);
    if (code < 0)
        return code;
    cleanup_buf struct buf out = BUF_INIT(4 * (size_t)SEARCH_MAX);
    const char *at = data, *end = data + size;
    for (const char *hit; (hit = memmem(at, (size_t)(end - at), pattern, pattern_size));) {
        buf_add(&out, at, (size_t)(hit - at));
        buf_puts(&out, value);
        at = hit + pattern_size;
    }
    buf_add(&out, at, (size_t)(end - at));
    sbx_free(data);
    if (out.failed)
        return err_set(err, SBX_ERR_QUOTA, "'%s' would become too large", path);
    return sbx_file_write(box->sandbox, path, out.data ? out.data : "", out.size, NULL, &call, err);
}

void toolbox_files_replace(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *body = NULL;
    struct sbx_error err;
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    int code = serve_body(request, &body, &err);
    const char *pattern = jsonv_text(body, "pattern"), *value = jsonv_text(body, "newValue");
    const struct jsonv *files = jsonv_get(body, "files");
    if (code < 0 || !pattern || !pattern[0] || !value) {
        httpd_fail(request, 400, "files, pattern and newValue are required");
        return;
    }
    json_begin_array(&json);
    for (size_t i = 0; i < jsonv_count(files); i++) {
        char path[TRANSFER_PATH_MAX];
        const char *file = jsonv_as_text(jsonv_at(files, i));
        if (!file || !transfer_path(toolbox_box(request), NULL, file, path))
            continue;
        code = replace_in(request, path, pattern, value, &err);
        json_begin_object(&json);
        json_put_text(&json, "file", file);
        json_put_bool(&json, "success", code == 0);
        if (code < 0)
            json_put_text(&json, "error", err.message);
        json_end_object(&json);
    }
    json_end_array(&json);
    httpd_reply_json(request, 200, &buf);
}
