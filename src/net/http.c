// SPDX-License-Identifier: Apache-2.0
// The callers' side of the HTTP client. Layer: net.
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/id.h"
#include "base/log.h"
#include "net/http_internal.h"
#include "net/redact.h"
#include "net/status.h"

int event_init(struct event *event)
{
    event->set = false;
    return fd_pipe(event->fds);
}

void event_deinit(struct event *event)
{
    close(event->fds[0]);
    close(event->fds[1]);
}

void event_set(struct event *event)
{
    if (!event->set)
        event->set = write(event->fds[1], "", 1) == 1;
}

void event_clear(struct event *event)
{
    char byte;
    if (event->set)
        event->set = read(event->fds[0], &byte, 1) != 1;
}

static const char *or_env(const char *value, const char *first, const char *second)
{
    const char *names[] = {first, second};
    for (size_t i = 0; i < ARRAY_SIZE(names) && (!value || !value[0]); i++)
        value = getenv(names[i]);
    return value && value[0] ? value : NULL;
}

static bool copy(const char *text, const char **ret_copy)
{
    *ret_copy = text ? strdup(text) : NULL;
    return !text || *ret_copy;
}

static void lock_share(CURL *easy, curl_lock_data data, curl_lock_access access, void *self)
{
    pthread_mutex_lock(&((struct http *)self)->share_locks[data]);
}

static void unlock_share(CURL *easy, curl_lock_data data, void *self)
{
    pthread_mutex_unlock(&((struct http *)self)->share_locks[data]);
}

static void open_share(struct http *http)
{
    for (size_t i = 0; i < ARRAY_SIZE(http->share_locks); i++)
        pthread_mutex_init(&http->share_locks[i], NULL);
    http->share = curl_share_init();
    if (!http->share)
        return; // every connection then asks for itself
    curl_share_setopt(http->share, CURLSHOPT_LOCKFUNC, lock_share);
    curl_share_setopt(http->share, CURLSHOPT_UNLOCKFUNC, unlock_share);
    curl_share_setopt(http->share, CURLSHOPT_USERDATA, http);
    curl_share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
}

static void global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

int http_open(const struct http_options *options, struct http **ret_http, struct sbx_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, global_init);
    struct http *http = calloc(1, sizeof(*http));
    if (!http)
        return err_nomem(err);
    const char *debug = getenv("SANDBOXES_DEBUG");
    http->debug = debug && strstr(debug, "http");
    http->pid = getpid();
    http->options.connect_ms = options->connect_ms;
    http->options.kept_s = options->kept_s;
    pthread_mutex_init(&http->lock, NULL);
    bool copied = copy(options->user_agent, &http->options.user_agent);
    copied &=
        copy(or_env(options->ca_file, "SSL_CERT_FILE", "CURL_CA_BUNDLE"), &http->options.ca_file);
    copied &= copy(options->proxy, &http->options.proxy);
    http->multi = curl_multi_init();
    open_share(http);
    if (!http->multi || !copied) {
        http_close(http);
        return err_nomem(err);
    }
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, 256L);
    *ret_http = http;
    return 0;
}

static void free_stream(struct http_stream *stream)
{
    curl_easy_cleanup(stream->easy);
    event_deinit(&stream->changed);
    event_deinit(&stream->writable);
    pthread_mutex_destroy(&stream->lock);
    free(stream);
}

void http_close(struct http *http)
{
    if (!http)
        return;
    bool forked = http->pid != getpid(); // the thread stayed with the parent
    if (!forked)
        io_stop(http);
    while (http->idle) {
        struct http_stream *stream = http->idle;
        http->idle = stream->next_idle;
        free_stream(stream);
    }
    if (!forked) {
        curl_multi_cleanup(http->multi);
        curl_share_cleanup(http->share);
    }
    for (size_t i = 0; i < ARRAY_SIZE(http->share_locks); i++)
        pthread_mutex_destroy(&http->share_locks[i]);
    pthread_mutex_destroy(&http->lock);
    free((char *)(uintptr_t)http->options.user_agent);
    free((char *)(uintptr_t)http->options.ca_file);
    free((char *)(uintptr_t)http->options.proxy);
    free(http);
}

static void wipe(struct buf *buf)
{
    buf_deinit(buf);
    *buf = (struct buf){0};
}

void stream_recycle(struct http_stream *stream)
{
    struct http *http = stream->http;
    curl_easy_reset(stream->easy);
    curl_slist_free_all(stream->header_list);
    free(stream->host);
    free(stream->body);
    wipe(&stream->ready);
    wipe(&stream->headers);
    wipe(&stream->in);
    wipe(&stream->out);
    pthread_mutex_lock(&http->lock);
    bool keep = http->idle_count < IDLE_STREAMS_MAX && !http->stopping;
    if (keep) {
        stream->next_idle = http->idle;
        http->idle = stream;
        http->idle_count++;
    }
    pthread_mutex_unlock(&http->lock);
    if (!keep)
        free_stream(stream);
}

static struct http_stream *new_stream(void)
{
    struct http_stream *stream = calloc(1, sizeof(*stream));
    CURL *easy = stream ? curl_easy_init() : NULL;
    if (!easy) {
        free(stream);
        return NULL;
    }
    stream->easy = easy;
    if (event_init(&stream->changed) < 0)
        goto failed;
    if (event_init(&stream->writable) < 0) {
        event_deinit(&stream->changed);
        goto failed;
    }
    pthread_mutex_init(&stream->lock, NULL);
    return stream;
failed:
    curl_easy_cleanup(easy);
    free(stream);
    return NULL;
}

static struct http_stream *idle_stream(struct http *http)
{
    pthread_mutex_lock(&http->lock);
    struct http_stream *stream = http->idle;
    if (stream) {
        http->idle = stream->next_idle;
        http->idle_count--;
    }
    pthread_mutex_unlock(&http->lock);
    return stream ? stream : new_stream();
}

static void reset_stream(struct http_stream *stream, struct http *http)
{
    const size_t kept = offsetof(struct http_stream, http);
    event_clear(&stream->changed);
    event_clear(&stream->writable);
    memset((char *)stream + kept, 0, sizeof(*stream) - kept);
    stream->http = http;
    stream->ready.limit = stream->in.limit = IN_MAX + 2 * PIECE_MAX;
    stream->out.limit = OUT_MAX;
    stream->headers.limit = HEADERS_MAX;
    stream->began_ns = clock_boot_ns();
}

static void log_request(const struct http_stream *stream, const struct http_request *request)
{
    struct buf line = BUF_INIT(16384);
    buf_printf(&line, "#%llu %s ", (unsigned long long)stream->number, request->method);
    redact_url(request->url, &line);
    for (size_t i = 0; i < request->header_count; i++)
        if (request->headers[i].value)
            redact_header(request->headers[i].name, request->headers[i].value, &line);
    if (request->body_size)
        buf_printf(&line, " (%zu bytes)", request->body_size);
    const char *text = buf_text(&line);
    log_debug("http", "%s", text ? text : "(a request too long to show)");
    buf_deinit(&line);
}

int http_start(struct http *http, const struct http_request *request,
               struct http_stream **ret_stream, struct sbx_error *err)
{
    if (http->pid != getpid())
        return err_set(err, SBX_ERR_UNSUPPORTED,
                       "this client was opened before fork(); open a new one in the child");
    struct http_stream *stream = idle_stream(http);
    if (!stream)
        return err_nomem(err);
    reset_stream(stream, http);
    int code = stream_setup(stream, request, err);
    pthread_mutex_lock(&http->lock);
    stream->number = ++http->count;
    if (code == 0)
        code = io_start(http, err);
    pthread_mutex_unlock(&http->lock);
    if (code < 0) {
        stream_recycle(stream);
        return code;
    }
    if (http->debug && log_enabled())
        log_request(stream, request);
    if (!(request->flags & HTTP_SOCKET))
        io_todo(stream, TODO_START);
    *ret_stream = stream;
    return 0;
}

void http_stream_close(struct http_stream *stream)
{
    if (!stream)
        return;
    pthread_mutex_lock(&stream->lock);
    bool done = stream->done;
    pthread_mutex_unlock(&stream->lock);
    // The I/O thread may still be busy with a resumption of it.
    pthread_mutex_lock(&stream->http->lock);
    done &= stream->todo == 0 && stream->http->acting != stream;
    pthread_mutex_unlock(&stream->http->lock);
    if (done)
        stream_recycle(stream);
    else
        io_todo(stream, TODO_CLOSE);
}

// Waits until the event is set. Called and returns with the lock held; it is free meanwhile.
static int wait_event(struct http_stream *stream, struct event *event, struct deadline deadline,
                      struct sbx_error *err)
{
    event_clear(event);
    pthread_mutex_unlock(&stream->lock);
    int code = deadline_wait(deadline, event->fds[0], POLLIN, NULL, err);
    pthread_mutex_lock(&stream->lock);
    return code < 0 ? (err_wrap(err, "%s", stream->host), code) : 0;
}

static void log_reply(struct http_stream *stream)
{
    if (!stream->http->debug || !log_enabled())
        return;
    struct buf line = BUF_INIT(HEADERS_MAX * 2);
    buf_printf(&line, "#%llu %d after %.1f ms", (unsigned long long)stream->number, stream->status,
               (double)(clock_boot_ns() - stream->began_ns) / 1e6);
    redact_header_lines(&stream->headers, &line);
    const char *text = buf_text(&line);
    log_debug("http", "%s", text ? text : "(headers too long to show)");
    buf_deinit(&line);
}

int http_wait(struct http_stream *stream, struct deadline deadline, int *ret_status,
              struct sbx_error *err)
{
    if (stream->http->pid != getpid()) // nobody would ever wake this one
        return err_set(err, SBX_ERR_UNSUPPORTED, "this request was made before fork()");
    bool bare = stream->flags & HTTP_SOCKET && !stream->headers_done;
    int code = bare ? bare_connect(stream, deadline, err) : 0;
    pthread_mutex_lock(&stream->lock);
    while (code == 0 && !stream->headers_done && !stream->done)
        code = wait_event(stream, &stream->changed, deadline, err);
    bool answered = stream->headers_done;
    if (code == 0 && !answered)
        code = stream_error(stream, err);
    pthread_mutex_unlock(&stream->lock);
    if (code < 0) {
        if (stream->http->debug)
            log_debug("http", "#%llu %s", (unsigned long long)stream->number, err->message);
        return code;
    }
    log_reply(stream);
    *ret_status = stream->status;
    return 0;
}

const struct buf *http_headers(const struct http_stream *stream)
{
    return &stream->headers;
}

// Takes all that has come, when the reader has used up what he had. With the lock held.
static bool take_ready(struct http_stream *stream)
{
    struct buf empty = stream->ready;
    empty.size = 0;
    stream->ready = stream->in;
    stream->in = empty;
    stream->ready_at = 0;
    bool resume = stream->in_paused;
    stream->in_paused = false;
    return resume;
}

// Until something is ready; at the body's end nothing is.
static int fill(struct http_stream *stream, struct deadline deadline, struct sbx_error *err)
{
    if (stream->ready_at < stream->ready.size)
        return 0;
    int code = 0;
    pthread_mutex_lock(&stream->lock);
    while (code == 0 && stream->in.size == 0 && !stream->done)
        code = wait_event(stream, &stream->changed, deadline, err);
    bool resume = code == 0 && take_ready(stream);
    if (code == 0 && stream->ready.size == 0 && stream->result != CURLE_OK)
        code = stream_error(stream, err);
    resume &= !stream->done;
    pthread_mutex_unlock(&stream->lock);
    if (resume)
        io_todo(stream, TODO_RESUME);
    return code;
}

int http_read(struct http_stream *stream, void *data, size_t size, struct deadline deadline,
              size_t *ret_size, struct sbx_error *err)
{
    int code = fill(stream, deadline, err);
    if (code < 0)
        return code;
    size_t left = stream->ready.size - stream->ready_at;
    size_t take = left < size ? left : size;
    if (take)
        memcpy(data, stream->ready.data + stream->ready_at, take);
    stream->ready_at += take;
    *ret_size = take;
    return 0;
}

int http_read_all(struct http_stream *stream, struct buf *data, struct deadline deadline,
                  struct sbx_error *err)
{
    for (;;) {
        int code = fill(stream, deadline, err);
        size_t left = stream->ready.size - stream->ready_at;
        if (code < 0 || left == 0)
            return code;
        bool fits = left <= data->limit && data->size <= data->limit - left;
        if (!fits)
            return err_set(err, SBX_ERR_QUOTA, "%s answers with more than %zu bytes", stream->host,
                           data->limit);
        buf_add(data, stream->ready.data + stream->ready_at, left);
        if (data->failed)
            return err_nomem(err);
        stream->ready_at = stream->ready.size;
    }
}

static int send_piece(struct http_stream *stream, const char *data, size_t size,
                      struct deadline deadline, size_t *ret_sent, struct sbx_error *err)
{
    int code = 0;
    pthread_mutex_lock(&stream->lock);
    while (code == 0 && !stream->done && stream->out.size == stream->out.limit)
        code = wait_event(stream, &stream->writable, deadline, err);
    if (code == 0 && stream->done)
        code = stream->result != CURLE_OK
                   ? stream_error(stream, err)
                   : err_set(err, SBX_ERR_UNAVAILABLE, "%s answered before it had read all",
                             stream->host);
    size_t room = stream->out.limit - stream->out.size;
    size_t take = size < room ? size : room;
    bool resume = false;
    if (code == 0) {
        resume = stream->out_paused || (stream->flags & HTTP_SOCKET);
        stream->out_paused = false;
        buf_add(&stream->out, data, take);
        if (stream->out.failed)
            code = err_nomem(err);
    }
    pthread_mutex_unlock(&stream->lock);
    if (resume)
        io_todo(stream, TODO_RESUME);
    *ret_sent = take;
    return code;
}

int http_send(struct http_stream *stream, const void *data, size_t size, struct deadline deadline,
              struct sbx_error *err)
{
    const char *at = data;
    while (size > 0) {
        size_t sent;
        int code = send_piece(stream, at, size, deadline, &sent, err);
        if (code < 0)
            return code;
        at += sent;
        size -= sent;
    }
    return 0;
}

void http_send_end(struct http_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->out_end = true;
    bool resume = stream->out_paused && !stream->done;
    stream->out_paused = false;
    pthread_mutex_unlock(&stream->lock);
    if (resume)
        io_todo(stream, TODO_RESUME);
}

void http_reply_deinit(struct http_reply *reply)
{
    buf_deinit(&reply->body);
    buf_deinit(&reply->headers);
}
