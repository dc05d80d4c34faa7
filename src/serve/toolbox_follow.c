// SPDX-License-Identifier: Apache-2.0
/*
 * The output of a program as it comes (toolbox_program.c): envelopes of the Connect protocol's form
 * around bytes as they are, flagged with their stream, and how the program ended in the last one. A
 * client that stops reading stops the program, since nothing is read from it meanwhile; one that
 * goes away ends it. Layer: serve.
 */
#include "serve/toolbox_program.h"

#include <stdlib.h>
#include <string.h>

#include "serve/connect.h"

#define LOOK_MS 100         // how often it is seen whether a silent program's client is there
#define HELD_MAX (4u << 20) // one event of the library is less

struct followed {
    struct httpd_request *request;
    struct place *box;
    struct sbx_process *process;
    struct buf out;
    size_t at; // sent so far
    size_t shown[2];
    bool ended;
};

static void followed_free(void *payload)
{
    struct followed *followed = payload;
    sbx_process_free(followed->process); // ends what still runs
    atomic_fetch_sub(&followed->box->serve->jobs, 1);
    place_touch(followed->box);
    place_unref(followed->box);
    buf_deinit(&followed->out);
    free(followed);
}

static void show(struct followed *followed, const struct sbx_event *event)
{
    bool error = event->stream == SBX_STDERR;
    size_t room = LOGBOOK_OUTPUT_MAX - followed->shown[error];
    size_t size = event->size < room ? event->size : room;
    followed->shown[error] += size;
    if (size)
        logbook_output(&followed->box->log, error ? LOG_STDERR : LOG_STDOUT, event->data, size);
}

static void put_end(struct followed *followed, const struct sbx_outcome *outcome)
{
    struct json json = JSON_INIT(&followed->out, false);
    size_t start = connect_open(&followed->out);
    json_begin_object(&json);
    toolbox_put_outcome(&json, outcome);
    json_end_object(&json);
    connect_close(&followed->out, start, PROGRAM_END);
    toolbox_note_outcome(followed->box, outcome);
    followed->ended = true;
}

// The program is lost, most often with its sandbox.
static void put_lost(struct followed *followed, struct sbx_error *err)
{
    struct json json = JSON_INIT(&followed->out, false);
    size_t start = connect_open(&followed->out);
    place_lost(followed->box, err);
    json_begin_object(&json);
    json_put_text(&json, "lost", err->message);
    json_end_object(&json);
    connect_close(&followed->out, start, PROGRAM_END);
    followed->ended = true;
}

static void next_event(struct followed *followed)
{
    struct sbx_call call = serve_call(followed->request, LOOK_MS);
    struct sbx_event event;
    struct sbx_error err;
    int code = sbx_process_read(followed->process, &call, &event, &err);
    if (code == SBX_ERR_TIMEOUT)
        return;
    if (code < 0) {
        put_lost(followed, &err);
    } else if (event.kind == SBX_EVENT_EXIT) {
        put_end(followed, &event.outcome);
    } else if (event.kind == SBX_EVENT_OUTPUT) {
        size_t start = connect_open(&followed->out);
        buf_add(&followed->out, event.data, event.size);
        connect_close(&followed->out, start,
                      event.stream == SBX_STDERR ? PROGRAM_STDERR : PROGRAM_STDOUT);
        show(followed, &event);
    }
}

static ssize_t read_followed(void *payload, char *data, size_t size)
{
    struct followed *followed = payload;
    while (followed->at == followed->out.size) {
        followed->out.size = followed->at = 0;
        if (followed->ended)
            return HTTPD_SOURCE_END;
        next_event(followed);
        if (followed->out.failed)
            return HTTPD_SOURCE_ERROR;
        if (followed->out.size == 0 && httpd_gone(followed->request))
            return HTTPD_SOURCE_ERROR;
    }
    return (ssize_t)buf_take(&followed->out, &followed->at, data, size);
}

void toolbox_follow(struct httpd_request *request, struct sbx_process *process)
{
    struct followed *followed = calloc(1, sizeof(*followed));
    if (!followed) {
        sbx_process_free(process);
        httpd_fail(request, 503, "memory is short");
        return;
    }
    followed->request = request;
    followed->box = place_ref(toolbox_box(request));
    followed->process = process;
    followed->out.limit = HELD_MAX;
    atomic_fetch_add(&followed->box->serve->jobs, 1); // a sandbox that works is not idle
    struct httpd_source source = {read_followed, followed_free, followed, 0};
    httpd_reply_stream(request, 200, PROGRAM_STREAM, &source);
}
