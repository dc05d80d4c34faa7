// SPDX-License-Identifier: Apache-2.0
// Contents of files of a sandbox of E2B: plain HTTP with envd. Layer: provider.
#include "provider/e2b/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/status.h"
#include "net/tree.h"
#include "net/url.h"

#define PIECE (128u << 10)
#define DEFAULT_LIMIT (1ull << 30)
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

int e2b_files_chmod(struct e2b_box *box, const char *user, const char *path, uint32_t mode,
                    struct deadline deadline, struct sbx_error *err)
{
    char octal[16];
    const char *argv[] = {"chmod", "--", octal, path};
    cleanup_buf struct buf out = BUF_INIT(4096);
    int exit_code = 0;
    snprintf(octal, sizeof(octal), "%o", mode & 07777);
    int code = e2b_process_run(box, user, argv, ARRAY_SIZE(argv), deadline, &exit_code, &out, err);
    if (code == 0 && exit_code != 0)
        return err_set(err, SBX_ERR_DENIED, "cannot set the mode of '%s': %.200s", path,
                       buf_text(&out) ? out.data : "");
    return code;
}

// An empty file with its mode, so that what is secret never lies there for others to read.
static int prepare(struct e2b_box *box, const char *user, const char *path, uint32_t mode,
                   struct deadline deadline, struct sbx_error *err)
{
    static const char script[] =
        "umask 077; case $2 in /*) f=$2;; *) f=$HOME/$2;; esac\n"
        "[ -d \"$f\" ] && exit 0\n"
        "d=${f%/*}; [ -d \"$d\" ] || (umask 022; mkdir -p -- \"$d\") || exit 1\n"
        ": >> \"$f\" && chmod -- \"$1\" \"$f\"";
    char octal[16];
    const char *argv[] = {"/bin/sh", "-c", script, "sh", octal, path};
    cleanup_buf struct buf out = BUF_INIT(4096);
    int exit_code = 0;
    snprintf(octal, sizeof(octal), "%o", mode & 07777);
    int code = e2b_process_run(box, user, argv, ARRAY_SIZE(argv), deadline, &exit_code, &out, err);
    if (code == 0 && exit_code != 0)
        return err_set(err, SBX_ERR_DENIED, "cannot make '%s': %.200s", path,
                       buf_text(&out) ? out.data : "");
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

struct sink {
    struct http_stream *stream;
    struct deadline deadline;
};

static int sink_write(void *payload, const void *data, size_t size, struct sbx_error *err)
{
    struct sink *sink = payload;
    return http_send(sink->stream, data, size, sink->deadline, err);
}

static int send_contents(struct http_stream *stream, const struct e2b_contents *contents,
                         struct deadline deadline, struct sbx_error *err)
{
    if (contents->tree) {
        struct sink sink = {stream, deadline};
        return tree_pack(contents->tree, sink_write, &sink, err);
    }
    if (contents->data)
        return http_send(stream, contents->data, contents->size, deadline, err);
    cleanup_free char *piece = malloc(PIECE);
    if (!piece)
        return err_nomem(err);
    for (uint64_t left = contents->size; left > 0;) {
        ssize_t got = read(contents->fd, piece, left < PIECE ? left : PIECE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? err_sys(err, 0, errno, "cannot read the file")
                           : err_set(err, SBX_ERR_IO, "the file shrank while it was sent");
        int code = http_send(stream, piece, (size_t)got, deadline, err);
        if (code < 0)
            return code;
        left -= (uint64_t)got;
    }
    return 0;
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
               const struct e2b_contents *contents, struct deadline deadline, struct sbx_error *err)
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
        sent = send_contents(stream, contents, deadline, &sending);
    if (sent == 0 && around)
        sent = http_send(stream, tail, strlen(tail), deadline, &sending);
    http_send_end(stream);
    if (sent == SBX_ERR_IO || sent == SBX_ERR_DENIED || sent == SBX_ERR_INVALID ||
        sent == SBX_ERR_TIMEOUT || sent == SBX_ERR_CANCELLED) {
        *err = sending;
        return sent;
    }
    return finish(box, stream, user, what, deadline, err); // a refusal says more than a broken pipe
}

int e2b_files_put(struct e2b_box *box, const char *user, const char *path,
                  const struct e2b_contents *contents, struct deadline deadline,
                  struct sbx_error *err)
{
    cleanup_buf struct buf url = BUF_INIT(64 << 10);
    char what[400];
    snprintf(what, sizeof(what), "cannot write '%.300s'", path);
    int code = contents->mode ? prepare(box, user, path, contents->mode, deadline, err) : 0;
    if (code == 0)
        code = file_url(box, user, path, &url, err);
    return code < 0 ? code : put(box, user, url.data, what, contents, deadline, err);
}

int e2b_file_write(void *self, const char *path, const void *data, size_t size,
                   const struct sbx_file_options *options, const struct sbx_call *call,
                   struct sbx_error *err)
{
    struct e2b_contents contents = {.data = data ? data : "", .size = size, .mode = options->mode};
    return e2b_files_put(self, options->user, path, &contents, deadline_from_call(call), err);
}

int e2b_files_get(struct e2b_box *box, const char *user, const char *path, struct deadline deadline,
                  struct http_stream **ret_stream, struct sbx_error *err)
{
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

int e2b_file_read(void *self, const char *path, const struct sbx_file_options *options,
                  const struct sbx_call *call, char **ret_data, size_t *ret_size,
                  struct sbx_error *err)
{
    struct deadline deadline = deadline_from_call(call);
    cleanup_stream struct http_stream *stream = NULL;
    cleanup_buf struct buf data = BUF_INIT(options->limit ? options->limit : DEFAULT_LIMIT);
    int code = e2b_files_get(self, options->user, path, deadline, &stream, err);
    if (code < 0)
        return code;
    code = http_read_all(stream, &data, deadline, err);
    if (code == SBX_ERR_QUOTA) {
        err_set(err, SBX_ERR_QUOTA, "'%s' has more than %zu bytes, the limit of options.limit",
                path, data.limit);
        return err_hint(err, "raise options.limit, or download the file");
    }
    if (code < 0)
        return code;
    char *text = buf_steal(&data, ret_size);
    if (!text)
        return err_nomem(err);
    *ret_data = text;
    return 0;
}
