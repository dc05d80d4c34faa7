// SPDX-License-Identifier: Apache-2.0
// Contents of files of a sandbox of Daytona. Layer: provider.
#include "provider/daytona/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "net/status.h"
#include "net/url.h"

#define HEAD_MAX (64u << 10)

// Refusals of the toolbox, whose body is often empty.
static int refused(struct http_stream *stream, int status, const char *what,
                   struct deadline deadline, struct sbx_error *err)
{
    struct http_reply reply = {.status = status, .body = BUF_INIT(65536)};
    struct sbx_error ignored;
    http_read_all(stream, &reply.body, deadline, &ignored);
    reply.headers = *http_headers(stream);
    int code = status_error(what, &reply, err);
    buf_deinit(&reply.body);
    const char *text = err->message;
    if (code == SBX_ERR_NOT_FOUND || !strstr(text, "is a directory"))
        return strstr(text, "ermission denied") ? (err->code = SBX_ERR_DENIED) : code;
    return err->code = SBX_ERR_CONFLICT;
}

static int finish(struct http_stream *stream, const char *what, struct deadline deadline,
                  struct sbx_error *err)
{
    int status;
    int code = http_wait(stream, deadline, &status, err);
    if (code < 0)
        return err_wrap(err, "%s", what), code;
    return status == 200 ? 0 : refused(stream, status, what, deadline, err);
}

// The name of a part may hold neither quotes nor line ends; the path is in a part of its own.
static int multipart(const char *path, char boundary[64], struct buf *head, struct buf *tail,
                     struct sbx_error *err)
{
    char id[ID_SIZE];
    if (id_new(id) < 0)
        return err_set(err, SBX_ERR_IO, "no random numbers for a boundary");
    snprintf(boundary, 64, "sandboxes-7d1f0a9b3c5e-%s", id);
    buf_printf(head,
               "--%s\r\nContent-Disposition: form-data; name=\"files[0].path\"\r\n\r\n%s\r\n"
               "--%s\r\nContent-Disposition: form-data; name=\"files[0].file\"; "
               "filename=\"file\"\r\nContent-Type: application/octet-stream\r\n\r\n",
               boundary, path, boundary);
    buf_printf(tail, "\r\n--%s--\r\n", boundary);
    return buf_text(head) && buf_text(tail) ? 0 : err_nomem(err);
}

static int send_parts(struct http_stream *stream, const struct buf *head,
                      const struct cloud_contents *contents, const struct buf *tail,
                      struct deadline deadline, struct sbx_error *err)
{
    int code = http_send(stream, head->data, head->size, deadline, err);
    if (code == 0)
        code = cloud_contents_send(stream, contents, deadline, err);
    if (code == 0)
        code = http_send(stream, tail->data, tail->size, deadline, err);
    http_send_end(stream);
    return code;
}

static int put(struct daytona_box *box, const char *path, const struct cloud_contents *contents,
               const char *what, struct deadline deadline, struct sbx_error *err)
{
    cleanup_buf struct buf url = BUF_INIT(8192), head = BUF_INIT(HEAD_MAX), tail = BUF_INIT(100);
    cleanup_stream struct http_stream *stream = NULL;
    struct daytona_headers headers;
    struct sbx_error sending;
    char boundary[64], type[128];
    int code = daytona_toolbox_url(box, "files/bulk-upload", &url, err);
    if (code == 0)
        code = multipart(path, boundary, &head, &tail, err);
    if (code < 0)
        return code;
    snprintf(type, sizeof(type), "multipart/form-data; boundary=%s", boundary);
    daytona_control_headers(box->daytona, true, &headers);
    headers.list[DAYTONA_HEADERS - 1].value = type;
    struct http_request request = {
        .method = "POST",
        .url = url.data,
        .headers = headers.list,
        .header_count = DAYTONA_HEADERS,
        .flags = HTTP_UPLOAD | HTTP_STEADY,
        .upload_size =
            contents->tree ? HTTP_UNKNOWN_SIZE : (int64_t)(contents->size + head.size + tail.size)};
    code = http_start(box->daytona->http, &request, &stream, err);
    if (code < 0)
        return code;
    int sent = send_parts(stream, &head, contents, &tail, deadline, &sending);
    if (cloud_contents_failed(sent)) {
        *err = sending;
        return sent;
    }
    return finish(stream, what, deadline, err); // a refusal says more than a broken pipe
}

// A path that is no text for a header goes by way of a name that is.
static int put_aside(struct daytona_box *box, const char *path,
                     const struct cloud_contents *contents, const char *what,
                     struct deadline deadline, struct sbx_error *err)
{
    static const char script[] = "d=${2%/*}; [ \"$d\" = \"$2\" ] || mkdir -p -- \"$d\" || exit 1\n"
                                 "cat -- \"$1\" > \"$2\"; s=$?; rm -f -- \"$1\"; exit $s";
    char id[ID_SIZE], name[80];
    const char *argv[] = {"/bin/sh", "-c", script, "sh", name, path};
    cleanup_buf struct buf out = BUF_INIT(1 << 20);
    int exit_code = 0;
    if (id_new(id) < 0)
        return err_set(err, SBX_ERR_IO, "no random numbers for a name");
    snprintf(name, sizeof(name), "/tmp/.sandboxes-%s", id);
    int code = put(box, name, contents, what, deadline, err);
    if (code == 0)
        code =
            daytona_toolbox_run(box, NULL, argv, ARRAY_SIZE(argv), deadline, &exit_code, &out, err);
    if (code == 0 && exit_code != 0)
        return err_set(err, SBX_ERR_DENIED, "%s: %.200s", what, buf_text(&out) ? out.data : "");
    return code;
}

static int files_put(void *box, const char *user, const char *path,
                     const struct cloud_contents *contents, struct deadline deadline,
                     struct sbx_error *err)
{
    char what[400];
    snprintf(what, sizeof(what), "cannot write '%.300s'", path);
    int code = contents->mode ? cloud_files_prepare(&daytona_files, box, user, path, contents->mode,
                                                    deadline, err)
                              : 0;
    if (code < 0)
        return code;
    return strpbrk(path, "\r\n") ? put_aside(box, path, contents, what, deadline, err)
                                 : put(box, path, contents, what, deadline, err);
}

static int files_get(void *self, const char *user, const char *path, struct deadline deadline,
                     struct http_stream **ret_stream, struct sbx_error *err)
{
    struct daytona_box *box = self;
    cleanup_buf struct buf url = BUF_INIT(64 << 10);
    cleanup_stream struct http_stream *stream = NULL;
    struct daytona_headers headers;
    char what[400];
    snprintf(what, sizeof(what), "cannot read '%.300s'", path);
    int code = daytona_toolbox_url(box, "files/download", &url, err);
    url_query(&url, "path", path);
    if (code == 0 && !buf_text(&url))
        code = err_nomem(err);
    if (code < 0)
        return code;
    daytona_control_headers(box->daytona, false, &headers);
    struct http_request request = {.method = "GET",
                                   .url = url.data,
                                   .headers = headers.list,
                                   .header_count = DAYTONA_HEADERS,
                                   .flags = HTTP_STEADY};
    code = http_start(box->daytona->http, &request, &stream, err);
    if (code == 0)
        code = finish(stream, what, deadline, err);
    if (code == 0)
        *ret_stream = steal_ptr(stream);
    return code;
}

const struct cloud_files daytona_files = {daytona_entry_stat, files_put, files_get,
                                          daytona_toolbox_run};

int daytona_file_write(void *self, const char *path, const void *data, size_t size,
                       const struct sbx_file_options *options, const struct sbx_call *call,
                       struct sbx_error *err)
{
    struct cloud_contents contents = {
        .data = data ? data : "", .size = size, .mode = options->mode};
    return files_put(self, options->user, path, &contents, deadline_from_call(call), err);
}

int daytona_file_read(void *self, const char *path, const struct sbx_file_options *options,
                      const struct sbx_call *call, char **ret_data, size_t *ret_size,
                      struct sbx_error *err)
{
    return cloud_files_read(&daytona_files, self, path, options, call, ret_data, ret_size, err);
}

int daytona_file_upload(void *self, const char *local_path, const char *path,
                        const struct sbx_file_options *options, const struct sbx_call *call,
                        struct sbx_error *err)
{
    return cloud_files_upload(&daytona_files, self, local_path, path, options, call, err);
}

int daytona_file_download(void *self, const char *path, const char *local_path,
                          const struct sbx_file_options *options, const struct sbx_call *call,
                          struct sbx_error *err)
{
    return cloud_files_download(&daytona_files, self, path, local_path, options, call, err);
}
