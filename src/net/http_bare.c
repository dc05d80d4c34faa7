// SPDX-License-Identifier: Apache-2.0
/*
 * Bare connections. libcurl takes one that it has handed over for idle: it closes it when another
 * transfer of the same multi handle begins and it is older than CURLOPT_MAXAGE_CONN, two minutes,
 * or has bytes that nobody has read yet. So each has a multi handle of its own, in which nothing
 * else ever begins. It is made on the caller's thread and then belongs to the I/O thread. Layer:
 * net.
 */
#include <poll.h>

#include "base/cancel.h"
#include "net/http_internal.h"

#define STEP_MS 1000 // libcurl's own timers are shorter

static int begin(struct http_stream *stream, struct sbx_error *err)
{
    stream->own = curl_multi_init();
    if (!stream->own || curl_multi_add_handle(stream->own, stream->easy) != CURLM_OK)
        return err_nomem(err);
    return 0;
}

static int wait_step(struct http_stream *stream, struct deadline deadline, struct sbx_error *err)
{
    struct curl_waitfd wait = {.fd = cancel_fd(deadline.cancel), .events = CURL_WAIT_POLLIN};
    int left = deadline_poll_ms(deadline);
    if (left == 0)
        return err_set(err, SBX_ERR_TIMEOUT, "%s: timed out", stream->host);
    if (deadline.cancel && cancel_triggered(deadline.cancel))
        return err_set(err, SBX_ERR_CANCELLED, "%s: cancelled", stream->host);
    curl_multi_poll(stream->own, &wait, wait.fd >= 0, left < 0 || left > STEP_MS ? STEP_MS : left,
                    NULL);
    return 0;
}

static CURLcode result_of(struct http_stream *stream)
{
    int left;
    const CURLMsg *message = curl_multi_info_read(stream->own, &left);
    return message && message->msg == CURLMSG_DONE ? message->data.result : CURLE_COULDNT_CONNECT;
}

int bare_connect(struct http_stream *stream, struct deadline deadline, struct sbx_error *err)
{
    int running = 1, code = stream->own ? 0 : begin(stream, err);
    while (code == 0) {
        curl_multi_perform(stream->own, &running);
        if (!running)
            break;
        code = wait_step(stream, deadline, err);
    }
    if (code < 0)
        return code;
    stream->result = result_of(stream);
    if (stream->result != CURLE_OK)
        return stream_error(stream, err);
    pthread_mutex_lock(&stream->lock);
    stream->headers_done = true;
    pthread_mutex_unlock(&stream->lock);
    io_todo(stream, TODO_START);
    return 0;
}

void bare_end(struct http_stream *stream)
{
    if (!stream->own)
        return;
    curl_multi_remove_handle(stream->own, stream->easy);
    curl_multi_cleanup(stream->own);
    stream->own = NULL;
}
