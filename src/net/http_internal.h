// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of the HTTP client share. Ownership of a stream: the caller's from http_start() to
 * http_stream_close(), beside which the I/O thread works on it until `done`. Fields after
 * "Of the ... lock" are guarded by it; `easy` is touched by the I/O thread alone from start to
 * done. Layer: net.
 */
#pragma once

#include <curl/curl.h>
#include <pthread.h>
#include <sys/types.h>

#include "net/http.h"

#define IN_MAX (512u << 10)  // received, not yet read: the server waits then
#define OUT_MAX (256u << 10) // to be sent, not yet taken: http_send() waits then
#define PIECE_MAX (256u << 10)
#define HEADERS_MAX (64u << 10)
#define IDLE_STREAMS_MAX 128
#define CONNECT_MS 30000

// A flag that poll(2) can wait for.
struct event {
    int fds[2];
    bool set;
};

// Beside enum http_flags: whoever waits needs to be woken at the end alone, or to make room.
#define HTTP_WHOLE (1u << 31)

enum todo { TODO_START = 1, TODO_RESUME = 2, TODO_CLOSE = 4 };

struct http_stream {
    // Kept when the stream is used again.
    CURL *easy;
    pthread_mutex_t lock;
    struct event changed;  // for who reads
    struct event writable; // for who sends

    struct http *http; // the first of what is cleared
    struct curl_slist *header_list;
    struct http_stream *next_idle;
    char error_text[CURL_ERROR_SIZE];
    char *host; // of the URL, for messages
    uint64_t number;
    int64_t began_ns;
    uint32_t flags;
    int attempts;     // of libcurl to send this request
    char *body;       // of a request without HTTP_UPLOAD
    struct buf ready; // the reader's own: taken from `in` as a whole
    size_t ready_at;

    // Of the HTTP client's lock.
    struct http_stream *next_todo;
    unsigned todo; // enum todo; queued unless 0

    // Of the stream's lock.
    struct buf headers, in, out;
    size_t out_at;
    int status;
    bool headers_done, in_paused, out_end, out_paused, done, too_large;
    CURLcode result; // once done

    // The I/O thread's own.
    struct http_stream *next_socket;
    curl_socket_t socket;
    bool added;
    CURLM *own; // of a bare connection; until it is open the caller's
};

struct http {
    struct http_options options; // strings owned
    bool debug;
    pid_t pid; // of the process that opened it: threads don't cross fork(2)
    CURLM *multi;
    CURLSH *share; // addresses and TLS sessions, also for bare connections
    pthread_mutex_t share_locks[CURL_LOCK_DATA_LAST];
    pthread_mutex_t lock;
    bool started, stopping;
    pthread_t thread;
    struct http_stream *todo_first, *todo_last;
    const struct http_stream *acting; // that the I/O thread has taken from the list just now
    struct http_stream *idle;         // kept for their handles and descriptors
    size_t idle_count;
    uint64_t count;              // of streams so far
    struct http_stream *sockets; // the I/O thread's own
};

// http.c, for the callers' side
int event_init(struct event *event);
void event_deinit(struct event *event);
void event_set(struct event *event);
void event_clear(struct event *event);
void stream_recycle(struct http_stream *stream);

// http_setup.c: turns a request into settings of the handle
int stream_setup(struct http_stream *stream, const struct http_request *request,
                 struct sbx_error *err);

// http_io.c
int io_start(struct http *http, struct sbx_error *err); // with http->lock held
void io_todo(struct http_stream *stream, unsigned todo);
void io_stop(struct http *http);

// http_bare.c: waits until the bare connection is there, and hands it to the I/O thread.
int bare_connect(struct http_stream *stream, struct deadline deadline, struct sbx_error *err);
void bare_end(struct http_stream *stream);

// http_error.c: what a transfer's end means
int stream_error(const struct http_stream *stream, struct sbx_error *err);
