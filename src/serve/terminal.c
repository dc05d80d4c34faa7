// SPDX-License-Identifier: Apache-2.0
// The dashboard's terminals. Layer: serve.
#include "serve/terminal.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "serve/job_socket.h"

#define SIDE_MAX 1000
#define START_MS 30000
#define SHELL "[ -x /bin/bash ] && exec /bin/bash -i -l; exec /bin/sh -i"

struct wire {
    struct place *box;
    struct job *job;
    struct listener *listener;
    struct ws *ws;
    atomic_bool left;
};

static void wire_free(void *payload)
{
    struct wire *wire = payload;
    struct sbx_error ignored;
    if (wire->listener)
        listener_free(wire->listener);
    if (wire->job) {
        job_signal(wire->job, SIGHUP, &ignored);
        job_signal(wire->job, SIGKILL, &ignored);
        job_unref(wire->job);
    }
    place_unref(wire->box);
    free(wire);
}

static int start(struct wire *wire, const struct sbx_call *call, struct sbx_error *err)
{
    static const char *const argv[] = {"/bin/sh", "-c", SHELL};
    static const struct sbx_pair env[] = {{"TERM", "xterm-256color"}, {"LANG", "C.UTF-8"}};
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct job_about about = {0};
    exec.argv = argv;
    exec.argc = ARRAY_SIZE(argv);
    exec.env = env;
    exec.env_count = ARRAY_SIZE(env);
    exec.flags = SBX_EXEC_PTY;
    exec.rows = 24;
    exec.cols = 80;
    about.cmd = strdup("a terminal");
    int code = job_start(wire->box, &exec, &about, call, &wire->job, &wire->listener, err);
    job_about_deinit(&about);
    return code;
}

static void *send_output(void *argument)
{
    struct wire *wire = argument;
    struct job_event event;
    listener_to_socket(wire->listener, wire->ws, &wire->left, &event);
    char gone[PLACE_REASON_SIZE];
    if (event.kind == JOB_END)
        ws_close(wire->ws, WS_NORMAL,
                 !event.failure.code           ? "the shell ended"
                 : place_gone(wire->box, gone) ? gone
                                               : "the sandbox is gone");
    return NULL;
}

static void resize(struct wire *wire, const char *text, size_t size)
{
    cleanup_jsonv struct jsonv *message = NULL;
    struct sbx_error ignored;
    if (jsonv_parse(text, size, &message, &ignored) < 0)
        return;
    int64_t rows = jsonv_int(message, "rows", 0), cols = jsonv_int(message, "cols", 0);
    if (rows > 0 && rows <= SIDE_MAX && cols > 0 && cols <= SIDE_MAX)
        job_resize(wire->job, (uint16_t)rows, (uint16_t)cols, &ignored);
}

static void read_input(struct wire *wire)
{
    int kind;
    const char *data;
    ssize_t size;
    struct sbx_error err;
    struct sbx_call call = SBX_CALL_INIT;
    call.timeout_ms = START_MS;
    while ((size = ws_read(wire->ws, -1, &kind, &data)) >= 0) {
        if (kind == WS_TEXT)
            resize(wire, data, (size_t)size);
        else if (size > 0 && job_write(wire->job, data, (size_t)size, &call, &err) < 0)
            break;
    }
}

static void run_wire(struct ws *ws, void *payload)
{
    struct wire *wire = payload;
    pthread_t sender;
    wire->ws = ws;
    if (pthread_create(&sender, NULL, send_output, wire) == 0) {
        read_input(wire);
        atomic_store(&wire->left, true);
        pthread_join(sender, NULL);
    }
    wire_free(wire);
}

void terminal_open(struct httpd_request *request, struct place *box)
{
    struct sbx_error err;
    struct wire *wire = calloc(1, sizeof(*wire));
    if (!wire) {
        place_unref(box);
        httpd_fail(request, 503, "memory is short");
        return;
    }
    wire->box = box;
    struct sbx_call call = serve_call(request, START_MS);
    if (!httpd_header(request, "Upgrade")) {
        wire_free(wire);
        httpd_fail(request, 426, "this is a WebSocket");
    } else if (start(wire, &call, &err) < 0) {
        wire_free(wire);
        serve_fail(request, &err);
    } else {
        ws_accept(request, TERMINAL_PROTOCOL, run_wire, wire_free, wire);
    }
}
