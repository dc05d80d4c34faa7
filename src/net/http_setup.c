// SPDX-License-Identifier: Apache-2.0
// A request as settings and callbacks of libcurl's handle. Callbacks run on the I/O thread.
// Layer: net.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/http_internal.h"

// The beginning of the final answer's headers clears what a 1xx answer or a proxy has said.
static void take_header(struct http_stream *stream, const char *line, size_t size)
{
    if (size > 5 && memcmp(line, "HTTP/", 5) == 0) {
        const char *space = memchr(line, ' ', size);
        stream->headers.size = 0;
        stream->status = space ? atoi(space + 1) : 0;
        return;
    }
    const char *colon = memchr(line, ':', size);
    if (!colon) {
        stream->headers_done = stream->status >= 200;
        return;
    }
    while (size && (line[size - 1] == '\r' || line[size - 1] == '\n'))
        size--;
    size_t name = (size_t)(colon - line);
    char *room = buf_reserve(&stream->headers, size + 1);
    if (!room)
        return;
    for (size_t i = 0; i < size; i++)
        room[i] = i < name && line[i] >= 'A' && line[i] <= 'Z' ? (char)(line[i] | 32) : line[i];
    room[size] = '\n';
    buf_commit(&stream->headers, size + 1);
}

static size_t on_header(char *line, size_t one, size_t size, void *self)
{
    struct http_stream *stream = self;
    pthread_mutex_lock(&stream->lock);
    bool trailer = stream->headers_done;
    if (!trailer)
        take_header(stream, line, size);
    if (stream->headers_done && !trailer && !(stream->flags & HTTP_WHOLE))
        event_set(&stream->changed);
    bool failed = stream->headers.failed;
    stream->too_large |= failed;
    pthread_mutex_unlock(&stream->lock);
    return failed ? 0 : size;
}

static size_t on_body(char *data, size_t one, size_t size, void *self)
{
    struct http_stream *stream = self;
    pthread_mutex_lock(&stream->lock);
    bool full = stream->in.size >= IN_MAX;
    if (full)
        stream->in_paused = true;
    else
        buf_add(&stream->in, data, size);
    if (full || !(stream->flags & HTTP_WHOLE))
        event_set(&stream->changed);
    bool failed = stream->in.failed;
    pthread_mutex_unlock(&stream->lock);
    return full ? CURL_WRITEFUNC_PAUSE : failed ? 0 : size;
}

static size_t on_upload(char *room, size_t one, size_t size, void *self)
{
    struct http_stream *stream = self;
    pthread_mutex_lock(&stream->lock);
    size_t left = stream->out.size - stream->out_at;
    size_t take = left < size ? left : size;
    if (take)
        memcpy(room, stream->out.data + stream->out_at, take);
    stream->out_at += take;
    if (stream->out_at == stream->out.size)
        stream->out.size = stream->out_at = 0;
    stream->out_paused = take == 0 && !stream->out_end;
    bool paused = stream->out_paused;
    event_set(&stream->writable);
    pthread_mutex_unlock(&stream->lock);
    return paused ? CURL_READFUNC_PAUSE : take;
}

/*
 * Called before each sending of the request. libcurl sends again by itself when a connection that
 * it kept turns out dead before the first byte of an answer: the service may have acted all the
 * same.
 */
static int on_sending(void *self, char *address, char *local, int port, int local_port)
{
    struct http_stream *stream = self;
    stream->attempts++;
    return stream->attempts > 1 && !(stream->flags & HTTP_IDEMPOTENT) ? CURL_PREREQFUNC_ABORT
                                                                      : CURL_PREREQFUNC_OK;
}

static int add_header(struct curl_slist **list, const char *name, const char *value)
{
    char line[8192];
    int length = snprintf(line, sizeof(line), "%s: %s", name, value);
    if (length < 0 || (size_t)length >= sizeof(line) || strpbrk(line, "\r\n"))
        return -1;
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer)
        return -1;
    *list = longer;
    return 0;
}

static int set_headers(struct http_stream *stream, const struct http_request *request,
                       struct sbx_error *err)
{
    // No "Expect: 100-continue": a service that ignores it costs a second.
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; list && i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (header->value && add_header(&list, header->name, header->value) < 0) {
            curl_slist_free_all(list);
            return err_set(err, SBX_ERR_INVALID,
                           "the value for header '%s' has line ends or is "
                           "too long",
                           header->name);
        }
    }
    if (!list)
        return err_nomem(err);
    stream->header_list = list;
    curl_easy_setopt(stream->easy, CURLOPT_HTTPHEADER, list);
    return 0;
}

static int set_body(struct http_stream *stream, const struct http_request *request,
                    struct sbx_error *err)
{
    CURL *easy = stream->easy;
    if (request->flags & HTTP_UPLOAD) {
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_upload);
        curl_easy_setopt(easy, CURLOPT_READDATA, stream);
        curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)PIECE_MAX);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->upload_size);
    } else if (request->body) {
        stream->body = malloc(request->body_size + 1);
        if (!stream->body)
            return err_nomem(err);
        memcpy(stream->body, request->body, request->body_size);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, stream->body);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
    } else if (strcmp(request->method, "POST") == 0) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    return 0;
}

static void set_connection(struct http_stream *stream, bool tls)
{
    const struct http_options *options = &stream->http->options;
    CURL *easy = stream->easy;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_SHARE, stream->http->share);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)PIECE_MAX);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(options->connect_ms ? options->connect_ms : CONNECT_MS));
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    if (options->kept_s)
        curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)options->kept_s);
    if (options->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
    if (options->proxy)
        curl_easy_setopt(easy, CURLOPT_PROXY, options->proxy);
    if (options->user_agent)
        curl_easy_setopt(easy, CURLOPT_USERAGENT, options->user_agent);
    if (stream->flags & HTTP_STEADY) {
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, 60L);
    }
    bool bare = stream->flags & HTTP_SOCKET;
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     (long)(tls && !bare ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, tls && !bare ? 1L : 0L);
    if (bare) {
        curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
        curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    }
}

static void set_callbacks(struct http_stream *stream)
{
    CURL *easy = stream->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, stream);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, stream->error_text);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, stream);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, stream);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_sending);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, stream);
}

// The host and port of a URL, for messages.
static char *host_of(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t size = strcspn(host, "/?#");
    const char *at = memchr(host, '@', size);
    return at ? strndup(at + 1, size - (size_t)(at + 1 - host)) : strndup(host, size);
}

int stream_setup(struct http_stream *stream, const struct http_request *request,
                 struct sbx_error *err)
{
    bool tls = strncasecmp(request->url, "https://", 8) == 0;
    if (!tls && strncasecmp(request->url, "http://", 7) != 0)
        return err_set(err, SBX_ERR_INVALID, "'%.200s' is no http:// or https:// address",
                       request->url);
    stream->flags = request->flags;
    stream->host = host_of(request->url);
    if (!stream->host)
        return err_nomem(err);
    if (curl_easy_setopt(stream->easy, CURLOPT_URL, request->url) != CURLE_OK)
        return err_set(err, SBX_ERR_INVALID, "'%.200s' is no address", request->url);
    set_connection(stream, tls);
    set_callbacks(stream);
    int code = set_headers(stream, request, err);
    return code < 0 ? code : set_body(stream, request, err);
}
