// SPDX-License-Identifier: Apache-2.0
// Contents of files of a sandbox of E2B: plain HTTP with envd. Layer: provider.
#include "provider/e2b/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/status.h"
#include "net/url.h"

#define BOUNDARY "sandboxes-7d1f0a9b3c5e"

int e2b_files_meaning(int code, const char *user, struct sbx_error *err)
{
    const char *text = code < 0 ? err->message : "";
    if (code == SBX_ERR_INVALID && (strstr(text, "is a directory") || strstr(text, "not a file")))
        code = SBX_ERR_CONFLICT;
    else if (code == SBX_ERR_AUTH && strstr(text, "user"))
        code = SBX_ERR_NOT_FOUND;
    else if (code < 0 && (strstr(text, "permission denied") || strstr(text, "Permission denied")))
        code = SBX_ERR_DENIED;
    if (code < 0 && code != err->code) {
        char kept[sizeof(err->message)];
        memcpy(kept, err->message, sizeof(kept));
        int status = err->http_status;
        err_set(err, code, "%s", kept);
        err->http_status = status;
    }
    return code;
}

static int file_url(const struct e2b_box *box, const char *user, const char *path, struct buf *url,
                    struct sbx_error *err)
{
    int code = e2b_envd_url(box, "files", url, err);
    url_query(url, "path", path);
    url_query(url, "username", user ? user : box->user);
    return code == 0 && !buf_text(url) ? err_nomem(err) : code;
}

// The answer as a whole; of a refusal the words.
static int finish(struct e2b_box *box, struct http_stream *stream, const char *user,
                  const char *what, struct deadline deadline, struct sbx_error *err)
{
    cleanup_reply struct http_reply reply = {.body = BUF_INIT(65536)};
    struct sbx_error ignored;
    int code = http_wait(stream, deadline, &reply.status, err);
    if (code < 0)
        return err_wrap(err, "%s", what), code;
    if (reply.status == 200)
        return 0;
    http_read_all(stream, &reply.body, deadline, &ignored);
    reply.headers = *http_headers(stream);
    code = status_error(what, &reply, err);
    reply.headers = (struct buf){0};
    return e2b_files_meaning(e2b_envd_meaning(box, code, err), user, err);
}

static const char head[] = "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"file\"; "
                           "filename=\"file\"\r\nContent-Type: application/octet-stream\r\n\r\n";
static const char tail[] = "\r\n--" BOUNDARY "--\r\n";

static int put(struct e2b_box *box, const char *user, const char *url, const char *what,
               const struct cloud_contents *contents, struct deadline deadline,
               struct sbx_error *err)
{
    cleanup_stream struct http_stream *stream = NULL;
    struct envd_headers headers;
    struct http_header all[ENVD_HEADERS + 1];
    e2b_envd_headers(box, user, &headers);
    memcpy(all, headers.list, sizeof(headers.list));
    all[ENVD_HEADERS] = (struct http_header){
        "Content-Type",
        box->octets ? "application/octet-stream" : "multipart/form-data; boundary=" BOUNDARY};
    size_t around = box->octets ? 0 : strlen(head) + strlen(tail);
    struct http_request request = {
        .method = "POST",
        .url = url,
        .headers = all,
        .header_count = ENVD_HEADERS + 1,
        .flags = HTTP_UPLOAD | HTTP_STEADY,
        .upload_size = contents->tree ? HTTP_UNKNOWN_SIZE : (int64_t)(contents->size + around)};
    int code = http_start(box->e2b->http, &request, &stream, err);
    if (code < 0)
        return code;
    struct sbx_error sending;
    int sent = around ? http_send(stream, head, strlen(head), deadline, &sending) : 0;
    if (sent == 0)
        sent = cloud_contents_send(stream, contents, deadline, &sending);
    if (sent == 0 && around)
        sent = http_send(stream, tail, strlen(tail), deadline, &sending);
    http_send_end(stream);
    if (cloud_contents_failed(sent)) {
        *err = sending;
        return sent;
    }
    return finish(box, stream, user, what, deadline, err); // a refusal says more than a broken pipe
}

static int files_put(void *self, const char *user, const char *path,
                     const struct cloud_contents *contents, struct deadline deadline,
                     struct sbx_error *err)
{
    struct e2b_box *box = self;
    cleanup_buf struct buf url = BUF_INIT(64 << 10);
    char what[400];
    snprintf(what, sizeof(what), "cannot write '%.300s'", path);
    int code = contents->mode
                   ? cloud_files_prepare(&e2b_files, box, user, path, contents->mode, deadline, err)
                   : 0;
    if (code == 0)
        code = file_url(box, user, path, &url, err);
    return code < 0 ? code : put(box, user, url.data, what, contents, deadline, err);
}

static int files_get(void *self, const char *user, const char *path, struct deadline deadline,
                     struct http_stream **ret_stream, struct sbx_error *err)
{
    struct e2b_box *box = self;
    cleanup_buf struct buf url = BUF_INIT(64 << 10);
    cleanup_stream struct http_stream *stream = NULL;
    struct envd_headers headers;
    char what[400];
    snprintf(what, sizeof(what), "cannot read '%.300s'", path);
    int code = file_url(box, user, path, &url, err);
    if (code < 0)
        return code;
    e2b_envd_headers(box, user, &headers);
    struct http_request request = {.method = "GET",
                                   .url = url.data,
                                   .headers = headers.list,
                                   .header_count = headers.count,
                                   .flags = HTTP_STEADY};
    code = http_start(box->e2b->http, &request, &stream, err);
    if (code == 0)
        code = finish(box, stream, user, what, deadline, err);
    if (code == 0)
        *ret_stream = steal_ptr(stream);
    return code;
}

static int files_stat(void *box, const char *user, const char *path, struct deadline deadline,
                      struct sbx_file_info *ret_info, struct sbx_error *err)
{
    cleanup_jsonv struct jsonv *answer = NULL;
    return e2b_files_stat(box, user, path, deadline, &answer, ret_info, err);
}

static int files_run(void *box, const char *user, const char *const *argv, size_t argc,
                     struct deadline deadline, int *ret_exit_code, struct buf *out,
                     struct sbx_error *err)
{
    return e2b_process_run(box, user, argv, argc, deadline, ret_exit_code, out, err);
}

const struct cloud_files e2b_files = {files_stat, files_put, files_get, files_run};

int e2b_file_write(void *self, const char *path, const void *data, size_t size,
                   const struct sbx_file_options *options, const struct sbx_call *call,
                   struct sbx_error *err)
{
    struct cloud_contents contents = {
        .data = data ? data : "", .size = size, .mode = options->mode};
    return files_put(self, options->user, path, &contents, deadline_from_call(call), err);
}

int e2b_file_read(void *self, const char *path, const struct sbx_file_options *options,
                  const struct sbx_call *call, char **ret_data, size_t *ret_size,
                  struct sbx_error *err)
{
    return cloud_files_read(&e2b_files, self, path, options, call, ret_data, ret_size, err);
}

int e2b_file_upload(void *self, const char *local_path, const char *path,
                    const struct sbx_file_options *options, const struct sbx_call *call,
                    struct sbx_error *err)
{
    return cloud_files_upload(&e2b_files, self, local_path, path, options, call, err);
}

int e2b_file_download(void *self, const char *path, const char *local_path,
                      const struct sbx_file_options *options, const struct sbx_call *call,
                      struct sbx_error *err)
{
    return cloud_files_download(&e2b_files, self, path, local_path, options, call, err);
}
