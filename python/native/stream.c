// SPDX-License-Identifier: Apache-2.0
// Gathered output of a command: see stream.h.
#include "stream.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STREAM_MAX (4u << 20) // bytes that may wait for Python
#define CHUNK_MIN (32u << 10) // small pieces share a chunk
#define WAIT_MS 100

struct chunk {
    struct chunk *next;
    size_t size, capacity;
    uint32_t stream;
    char data[];
};

struct stream {
    pthread_mutex_t lock;
    pthread_cond_t room, output;
    struct chunk *first, *last;
    size_t size;
    bool stopped;
};

struct stream *stream_new(void)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        return NULL;
    pthread_mutex_init(&stream->lock, NULL);
    pthread_cond_init(&stream->room, NULL);
    pthread_cond_init(&stream->output, NULL);
    return stream;
}

static void free_chunks(struct chunk *chunk)
{
    while (chunk) {
        struct chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void stream_free(struct stream *stream)
{
    free_chunks(stream->first);
    pthread_cond_destroy(&stream->output);
    pthread_cond_destroy(&stream->room);
    pthread_mutex_destroy(&stream->lock);
    free(stream);
}

void stream_stop(struct stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->stopped = true;
    pthread_cond_broadcast(&stream->room);
    pthread_mutex_unlock(&stream->lock);
}

void stream_wake(struct stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    pthread_cond_broadcast(&stream->output);
    pthread_mutex_unlock(&stream->lock);
}

// With the lock held: a chunk with room for the event, NULL if there is no memory.
static struct chunk *chunk_for(struct stream *stream, const struct sbx_event *event)
{
    struct chunk *last = stream->last;
    if (last && last->stream == event->stream && last->capacity - last->size >= event->size)
        return last;
    size_t capacity = event->size > CHUNK_MIN ? event->size : CHUNK_MIN;
    struct chunk *chunk = malloc(sizeof(*chunk) + capacity);
    if (!chunk)
        return NULL;
    *chunk = (struct chunk){.capacity = capacity, .stream = event->stream};
    if (last)
        last->next = chunk;
    else
        stream->first = chunk;
    stream->last = chunk;
    return chunk;
}

bool stream_add(struct stream *stream, const struct sbx_event *event, struct job *job)
{
    pthread_mutex_lock(&stream->lock);
    while (stream->size >= STREAM_MAX && !stream->stopped)
        pthread_cond_wait(&stream->room, &stream->lock);
    bool was_empty = stream->size == 0;
    struct chunk *chunk = stream->stopped ? NULL : chunk_for(stream, event);
    if (chunk) {
        memcpy(chunk->data + chunk->size, event->data, event->size);
        chunk->size += event->size;
        stream->size += event->size;
        pthread_cond_broadcast(&stream->output);
    }
    pthread_mutex_unlock(&stream->lock);
    if (chunk && was_empty && job->queue)
        queue_tell(job->queue, job);
    return chunk != NULL;
}

static PyObject *list_of(const struct chunk *chunk)
{
    PyObject *list = PyList_New(0);
    for (; list && chunk; chunk = chunk->next) {
        PyObject *item =
            Py_BuildValue("(Iy#)", chunk->stream, chunk->data, (Py_ssize_t)chunk->size);
        if (!item || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

static bool is_stream(struct job *job)
{
    if (!job->stream)
        PyErr_SetString(PyExc_RuntimeError, "this job reads no process");
    return job->stream != NULL;
}

PyObject *stream_take(struct job *job, PyObject *unused)
{
    if (!is_stream(job))
        return NULL;
    struct stream *stream = job->stream;
    pthread_mutex_lock(&stream->lock);
    struct chunk *chunks = stream->first;
    stream->first = stream->last = NULL;
    stream->size = 0;
    pthread_cond_broadcast(&stream->room);
    pthread_mutex_unlock(&stream->lock);
    PyObject *list = list_of(chunks);
    free_chunks(chunks);
    return list;
}

PyObject *stream_run_on(struct job *job, PyObject *unused)
{
    if (!is_stream(job) || !job_start_alone(job))
        return NULL;
    Py_RETURN_NONE;
}

// Waits a while; returns whether there is something to see.
static bool wait_a_while(struct job *job)
{
    struct stream *stream = job->stream;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WAIT_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&stream->lock);
    int code = 0;
    while (!stream->first && !job_is_done(job) && code == 0)
        code = pthread_cond_timedwait(&stream->output, &stream->lock, &until);
    bool ready = stream->first || job_is_done(job);
    pthread_mutex_unlock(&stream->lock);
    return ready;
}

PyObject *stream_wait_output(struct job *job, PyObject *unused)
{
    bool ready = false;
    if (!is_stream(job))
        return NULL;
    while (!ready) {
        Py_BEGIN_ALLOW_THREADS ready = wait_a_while(job);
        Py_END_ALLOW_THREADS if (!ready && PyErr_CheckSignals() < 0) return NULL;
    }
    Py_RETURN_NONE;
}
