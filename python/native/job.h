// SPDX-License-Identifier: Apache-2.0
/*
 * A job is one blocking call: made, then either waited for (start and wait) or put into a queue
 * that an event loop watches. Its run() is called without the interpreter's lock.
 */
#pragma once

#include <semaphore.h>

#include "native.h"
#include "workers.h"

struct job;
struct stream;
struct queue;

struct job_kind {
    const char *name;
    int (*run)(struct job *job, const struct sbx_call *call);
    PyObject *(*result)(struct job *job); // takes over what run() left in job->out
    void (*undo)(struct job *job);        // what to do with a success nobody wants; optional
};

enum job_state { JOB_NEW, JOB_QUEUED, JOB_RUNNING, JOB_DONE };

// What calls take; strings and data belong to job->args or job->blocks.
struct job_in {
    const char *provider, *path, *to;
    const void *data;
    size_t size;
    int64_t number;
    struct sbx_spec spec;
    struct sbx_exec exec;
    struct sbx_file_options file;
    struct sbx_port port;
    struct sbx_fork fork;
};

// What calls give. Freed with the job unless taken.
struct job_out {
    struct sbx_sandbox *sandbox;
    struct sbx_process *process;
    struct sbx_watch *watch;
    struct sbx_list list;
    struct sbx_file_list files;
    struct sbx_process_list processes;
    struct sbx_result result;
    struct sbx_metrics metrics;
    struct sbx_info info;
    char *data;
    size_t size;
    uint32_t created;
    char url[256];
};

#define JOB_BLOCKS 12

struct job {
    PyObject_HEAD struct work work;
    const struct job_kind *kind;
    PyObject *owner; // the object that the call is about
    PyObject *args;
    void *blocks[JOB_BLOCKS]; // memory of arguments
    size_t block_count;
    struct stream *stream; // of a job that reads a process

    pthread_mutex_t lock; // of what follows, up to token
    enum job_state state;
    bool cancelled;
    struct sbx_cancel *token; // while it runs

    struct queue *queue; // what follows belongs to it
    struct job *next_done, *living_next, **living_place;
    bool in_queue, told;

    bool claimed;
    sem_t done;

    int64_t timeout_ms;
    int code;
    struct sbx_error err;
    struct job_in in;
    struct job_out out;
};

static inline struct client *job_client(const struct job *job)
{
    return (struct client *)job->owner;
}
static inline struct box *job_box(const struct job *job)
{
    return (struct box *)job->owner;
}
static inline struct process *job_process(const struct job *job)
{
    return (struct process *)job->owner;
}

// NULL and an exception on failure, also when the owner is of another process.
struct job *job_new(const struct job_kind *kind, void *owner, unsigned generation, PyObject *args,
                    int64_t timeout_ms);

// Zeroed memory that lives as long as the job; NULL and an exception on failure.
void *job_block(struct job *job, size_t count, size_t size);

PyObject *job_none(struct job *job); // result of calls that give nothing

// A queue of jobs that have something to tell (queue.c). A job in flight holds it.
struct queue *queue_join(PyObject *queue, struct job *job);
void queue_leave(struct queue *queue, struct job *job);
void queue_tell(struct queue *queue, struct job *job);   // of output
bool queue_finish(struct queue *queue, struct job *job); // false: closed, nobody will look

// Makes its call return soon and its success undone. Thread-safe.
void job_stop(struct job *job);

// Objects that a thread without the interpreter's lock was left with; freed when a thread that has
// the lock comes by.
void native_bury(struct job *job);
void native_free_buried(void);
