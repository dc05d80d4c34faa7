// SPDX-License-Identifier: Apache-2.0
/*
 * Commands that the server runs for clients. A thread each reads what a command writes and hands it
 * to every listener; it waits while one of them has a full queue, so a client that stops reading
 * stops the command, and memory is bounded. Without listeners output is read and dropped: a client
 * that goes away does not end its command. Commands end with the server. Layer: serve.
 */
#pragma once

#include <sandboxes/sandboxes.h>

#include "serve/place.h"

#define JOB_QUEUE_MAX (512 * 1024) // bytes that wait for one listener
#define JOB_KEEP_MS 30000          // an ended one can still be asked for that long

struct job;
struct listener;

// What a client said when it started the command, for its list of commands.
struct job_about {
    char *cmd, *cwd, *tag;     // owned; cwd and tag may be NULL
    struct pairlist env, args; // args: values only
};

struct job_event {
    enum { JOB_OUTPUT, JOB_END, JOB_SILENT } kind; // SILENT: nothing came in time
    uint32_t stream;                               // enum sbx_stream
    char *data;                                    // owned by the caller; free()
    size_t size;
    struct sbx_outcome outcome;
    struct sbx_error failure; // of the command's end when code is set: the sandbox is gone, ...
};

// Starts a command; its output goes to *ret_listener from the first byte on. *ret_task has a
// reference. about is taken over on success.
int job_start(struct place *box, const struct sbx_exec *exec, struct job_about *about,
              const struct sbx_call *call, struct job **ret_task, struct listener **ret_listener,
              struct sbx_error *err);
void job_about_deinit(struct job_about *about);

// By number, or by tag when that is not NULL; with a reference. NOT_FOUND.
int job_find(struct place *box, uint32_t pid, const char *tag, struct job **ret_task,
             struct sbx_error *err);
// Running ones, each with a reference. Number of them, at most `most`.
size_t job_all(struct place *box, struct job **ret_tasks, size_t most);
struct job *job_ref(struct job *job);
void job_unref(struct job *job);
static inline void job_cleanup(struct job **job)
{
    if (*job)
        job_unref(*job);
}
#define cleanup_job cleanup(job_cleanup)

uint32_t job_pid(const struct job *job);
uint32_t job_flags(const struct job *job);
const struct job_about *job_about(const struct job *job);
int job_write(struct job *job, const void *data, size_t size, const struct sbx_call *call,
              struct sbx_error *err);
int job_close_input(struct job *job, struct sbx_error *err);
int job_signal(struct job *job, int signal, struct sbx_error *err);
int job_resize(struct job *job, uint16_t rows, uint16_t cols, struct sbx_error *err);

// Live output from now on (of an ended command: its end).
int job_listen(struct job *job, struct listener **ret_listener, struct sbx_error *err);
void listener_free(struct listener *listener);
void listener_read(struct listener *listener, int timeout_ms, struct job_event *ret_event);

void jobs_forget(struct place *box, int64_t now_ms); // ended ones that are old
void jobs_end(struct place *box);                    // kills and forgets all
