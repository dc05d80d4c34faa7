// SPDX-License-Identifier: Apache-2.0
/*
 * Queues of jobs that have something to tell, one for each event loop. Threads put jobs in; the
 * loop is woken by a descriptor and takes all of them at once. When the loop is gone, whatever is
 * still running is stopped, and what it made is unmade.
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "job.h"
#include "stream.h"

struct queue {
    pthread_mutex_t lock;
    size_t refs;
    int fd;
    bool closed;
    struct job *first, **last; // with something to tell
    struct job *living;        // started and not taken yet
};

struct queue_object {
    PyObject_HEAD struct queue *queue;
};

PyTypeObject *queue_type;

static void lock(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
}

static void unlock(struct queue *queue)
{
    pthread_mutex_unlock(&queue->lock);
}

struct queue *queue_join(PyObject *object, struct job *job)
{
    struct queue *queue = ((struct queue_object *)object)->queue;
    lock(queue);
    queue->refs++;
    job->living_next = queue->living;
    job->living_place = &queue->living;
    if (queue->living)
        queue->living->living_place = &job->living_next;
    queue->living = job;
    unlock(queue);
    return queue;
}

// With the lock held.
static void leave(struct job *job)
{
    *job->living_place = job->living_next;
    if (job->living_next)
        job->living_next->living_place = job->living_place;
}

static void unref(struct queue *queue)
{
    lock(queue);
    size_t left = --queue->refs;
    unlock(queue);
    if (left > 0)
        return;
    close(queue->fd);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

void queue_leave(struct queue *queue, struct job *job)
{
    lock(queue);
    leave(job);
    unlock(queue);
    unref(queue);
}

// With the lock held.
static void link_job(struct queue *queue, struct job *job)
{
    if (job->in_queue)
        return;
    bool was_empty = !queue->first;
    job->in_queue = true;
    job->next_done = NULL;
    *queue->last = job;
    queue->last = &job->next_done;
    if (was_empty)
        eventfd_write(queue->fd, 1);
}

void queue_tell(struct queue *queue, struct job *job)
{
    lock(queue);
    if (!queue->closed)
        link_job(queue, job);
    unlock(queue);
}

bool queue_finish(struct queue *queue, struct job *job)
{
    lock(queue);
    bool open = !queue->closed;
    if (open) {
        __atomic_store_n(&job->state, JOB_DONE, __ATOMIC_RELEASE);
        link_job(queue, job);
    } else {
        leave(job);
    }
    unlock(queue);
    if (!open)
        unref(queue);
    return open;
}

// Unlinks the first; a reference to it for the caller. With the lock held.
static struct job *pop(struct queue *queue)
{
    struct job *job = queue->first;
    if (!job)
        return NULL;
    queue->first = job->next_done;
    if (!queue->first)
        queue->last = &queue->first;
    job->in_queue = false;
    if (job->state == JOB_DONE) {
        leave(job);
        job->told = true;
        queue->refs--; // never the last: the object holds one
    } else {
        Py_INCREF(job);
    }
    return job;
}

static PyObject *drain(struct queue_object *self, PyObject *unused)
{
    struct queue *queue = self->queue;
    eventfd_t count;
    native_free_buried();
    PyObject *list = PyList_New(0);
    if (!list)
        return NULL;
    lock(queue);
    eventfd_read(queue->fd, &count);
    struct job *job;
    int code = 0;
    while (code == 0 && (job = pop(queue))) {
        code = PyList_Append(list, (PyObject *)job);
        Py_DECREF(job);
    }
    unlock(queue);
    if (code < 0)
        Py_CLEAR(list);
    return list;
}

// Stops what runs; takes what has ended out. Threads find the queue closed.
static void shut(struct queue *queue)
{
    PyObject *ended = PyList_New(0);
    lock(queue);
    queue->closed = true;
    for (struct job *job = queue->living; job; job = job->living_next)
        job_stop(job);
    for (struct job *job; (job = pop(queue));) {
        if (ended)
            PyList_Append(ended, (PyObject *)job);
        Py_DECREF(job);
    }
    unlock(queue);
    PyErr_Clear();
    Py_XDECREF(ended); // outside of the lock: what they made is unmade now
}

static PyObject *close_queue(struct queue_object *self, PyObject *unused)
{
    shut(self->queue);
    Py_RETURN_NONE;
}

static PyObject *get_fileno(struct queue_object *self, PyObject *unused)
{
    return PyLong_FromLong(self->queue->fd);
}

static struct queue *queue_new(void)
{
    struct queue *queue = calloc(1, sizeof(*queue));
    if (!queue) {
        PyErr_NoMemory();
        return NULL;
    }
    queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue->fd < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        free(queue);
        return NULL;
    }
    pthread_mutex_init(&queue->lock, NULL);
    queue->refs = 1;
    queue->last = &queue->first;
    return queue;
}

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    struct queue *queue = queue_new();
    if (!queue)
        return NULL;
    allocfunc alloc = PyType_GetSlot(type, Py_tp_alloc);
    struct queue_object *self = (struct queue_object *)alloc(type, 0);
    if (self)
        self->queue = queue;
    else
        unref(queue);
    return (PyObject *)self;
}

static void dealloc(struct queue_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = PyType_GetSlot(type, Py_tp_free);
    if (self->queue) {
        shut(self->queue);
        unref(self->queue);
    }
    release(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"drain", (PyCFunction)drain, METH_NOARGS, "drain(): the jobs that have something to tell."},
    {"close", (PyCFunction)close_queue, METH_NOARGS, "close(): stop what still runs."},
    {"fileno", (PyCFunction)get_fileno, METH_NOARGS, "fileno(): readable while drain() helps."},
    {NULL, NULL, 0, NULL}};

static PyType_Slot slots[] = {
    {Py_tp_new, make},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {Py_tp_doc, (void *)"Where jobs of one event loop tell that they are done."},
    {0, NULL}};
static PyType_Spec spec = {"sandboxes._native.Queue", sizeof(struct queue_object), 0,
                           Py_TPFLAGS_DEFAULT, slots};

int queue_ready(PyObject *module)
{
    queue_type = native_add_type(module, &spec, "Queue");
    return queue_type ? 0 : -1;
}
