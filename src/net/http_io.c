// SPDX-License-Identifier: Apache-2.0
// The I/O thread of the HTTP client. Layer: net.
#include <signal.h>
#include <stdlib.h>

#include "base/log.h"
#include "net/http_internal.h"

#define POLL_MS 60000
#define SOCKETS_MAX 1024

void io_todo(struct http_stream *stream, unsigned todo)
{
    struct http *http = stream->http;
    pthread_mutex_lock(&http->lock);
    bool first = !http->todo_first; // who has put something there before us has woken it too
    if (!stream->todo) {
        stream->next_todo = NULL;
        if (http->todo_last)
            http->todo_last->next_todo = stream;
        else
            http->todo_first = stream;
        http->todo_last = stream;
    }
    stream->todo |= todo;
    pthread_mutex_unlock(&http->lock);
    if (first)
        curl_multi_wakeup(http->multi);
}

static void detach(struct http_stream *stream)
{
    if (stream->added)
        curl_multi_remove_handle(stream->http->multi, stream->easy);
    stream->added = false;
    bare_end(stream);
}

// From here on the stream is the caller's alone.
static void finish(struct http_stream *stream, CURLcode result)
{
    detach(stream);
    pthread_mutex_lock(&stream->lock);
    stream->result = result;
    stream->done = true;
    event_set(&stream->changed);
    event_set(&stream->writable);
    pthread_mutex_unlock(&stream->lock);
}

static void forget_socket(struct http_stream *stream)
{
    struct http_stream **at = &stream->http->sockets;
    while (*at && *at != stream)
        at = &(*at)->next_socket;
    if (*at)
        *at = stream->next_socket;
}

static void end_socket(struct http_stream *stream, CURLcode result)
{
    forget_socket(stream);
    finish(stream, result);
}

static void opened(struct http_stream *stream)
{
    if (curl_easy_getinfo(stream->easy, CURLINFO_ACTIVESOCKET, &stream->socket) != CURLE_OK) {
        finish(stream, CURLE_COULDNT_CONNECT);
        return;
    }
    stream->next_socket = stream->http->sockets;
    stream->http->sockets = stream;
}

static void close_stream(struct http_stream *stream)
{
    forget_socket(stream);
    detach(stream);
    stream_recycle(stream);
}

static void act(struct http_stream *stream, unsigned todo)
{
    if (todo & TODO_CLOSE) {
        close_stream(stream);
        return;
    }
    if (todo & TODO_START && stream->flags & HTTP_SOCKET) {
        opened(stream);
        return;
    }
    if (todo & TODO_START) {
        stream->added = true;
        CURLMcode code = curl_multi_add_handle(stream->http->multi, stream->easy);
        if (code != CURLM_OK) {
            stream->added = false;
            finish(stream, CURLE_OUT_OF_MEMORY);
        }
        return;
    }
    if (stream->added)
        curl_easy_pause(stream->easy, CURLPAUSE_CONT);
}

static bool take_todo(struct http *http, struct http_stream **ret_stream, unsigned *ret_todo)
{
    pthread_mutex_lock(&http->lock);
    struct http_stream *stream = http->todo_first;
    http->acting = stream;
    if (stream) {
        http->todo_first = stream->next_todo;
        if (!http->todo_first)
            http->todo_last = NULL;
        *ret_todo = stream->todo;
        stream->todo = 0;
    }
    bool more = stream || !http->stopping;
    pthread_mutex_unlock(&http->lock);
    *ret_stream = stream;
    return more;
}

static void collect(struct http *http)
{
    int left;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(http->multi, &left))) {
        struct http_stream *stream = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &stream);
        if (!stream || message->msg != CURLMSG_DONE)
            continue;
        finish(stream, message->data.result);
    }
}

// Bare connections: until the socket has no more, or the reader has enough.
static CURLcode receive(struct http_stream *stream)
{
    char piece[16384];
    for (;;) {
        pthread_mutex_lock(&stream->lock);
        bool full = stream->in.size >= IN_MAX;
        stream->in_paused = full;
        pthread_mutex_unlock(&stream->lock);
        if (full)
            return CURLE_OK;
        size_t got = 0;
        CURLcode code = curl_easy_recv(stream->easy, piece, sizeof(piece), &got);
        if (code == CURLE_AGAIN)
            return CURLE_OK;
        if (code != CURLE_OK || got == 0)
            return code == CURLE_OK ? CURLE_GOT_NOTHING : code;
        pthread_mutex_lock(&stream->lock);
        buf_add(&stream->in, piece, got);
        event_set(&stream->changed);
        pthread_mutex_unlock(&stream->lock);
    }
}

static CURLcode transmit(struct http_stream *stream)
{
    CURLcode code = CURLE_OK;
    pthread_mutex_lock(&stream->lock);
    while (stream->out_at < stream->out.size) {
        size_t sent = 0;
        code = curl_easy_send(stream->easy, stream->out.data + stream->out_at,
                              stream->out.size - stream->out_at, &sent);
        if (code != CURLE_OK)
            break;
        stream->out_at += sent;
    }
    if (stream->out_at == stream->out.size) {
        stream->out.size = stream->out_at = 0;
        event_set(&stream->writable);
    }
    pthread_mutex_unlock(&stream->lock);
    return code == CURLE_AGAIN ? CURLE_OK : code;
}

static void serve_sockets(struct http *http)
{
    for (struct http_stream *stream = http->sockets, *next; stream; stream = next) {
        next = stream->next_socket;
        CURLcode code = transmit(stream);
        if (code == CURLE_OK)
            code = receive(stream);
        if (code != CURLE_OK)
            end_socket(stream, code);
    }
}

static unsigned socket_events(struct http *http, struct curl_waitfd waits[SOCKETS_MAX])
{
    unsigned count = 0;
    for (struct http_stream *stream = http->sockets; stream && count < SOCKETS_MAX;
         stream = stream->next_socket) {
        pthread_mutex_lock(&stream->lock);
        bool read = stream->in.size < IN_MAX, write = stream->out_at < stream->out.size;
        pthread_mutex_unlock(&stream->lock);
        waits[count++] = (struct curl_waitfd){
            .fd = stream->socket,
            .events = (short)((read ? CURL_WAIT_POLLIN : 0) | (write ? CURL_WAIT_POLLOUT : 0))};
    }
    return count;
}

static void *run(void *self)
{
    struct http *http = self;
    static const size_t size = SOCKETS_MAX * sizeof(struct curl_waitfd);
    struct curl_waitfd *waits = malloc(size);
    struct http_stream *stream;
    unsigned todo;
    while (waits && take_todo(http, &stream, &todo)) {
        if (stream) {
            act(stream, todo);
            continue;
        }
        int running;
        curl_multi_perform(http->multi, &running);
        collect(http);
        serve_sockets(http);
        curl_multi_poll(http->multi, waits, socket_events(http, waits), POLL_MS, NULL);
    }
    free(waits);
    return NULL;
}

int io_start(struct http *http, struct sbx_error *err)
{
    if (http->started)
        return 0;
    // The program's signals are for its own threads; a broken TLS connection's SIGPIPE is for none.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&http->thread, NULL, run, http);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0)
        return err_sys(err, 0, code, "cannot start the thread for the network");
    http->started = true;
    return 0;
}

void io_stop(struct http *http)
{
    pthread_mutex_lock(&http->lock);
    http->stopping = true;
    bool started = http->started;
    pthread_mutex_unlock(&http->lock);
    if (!started)
        return;
    curl_multi_wakeup(http->multi);
    pthread_join(http->thread, NULL);
}
