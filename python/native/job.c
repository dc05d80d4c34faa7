// SPDX-License-Identifier: Apache-2.0
// Jobs: see job.h.
#include "job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stream.h"

#define SIGNAL_CHECK_MS                                                                            \
    100 // how often a waiting main thread looks for signals that came just before

PyTypeObject *job_type;

// --- running
// --------------------------------------------------------------------------------------

// A token for each thread, used again until it was triggered: most jobs then cost no descriptor.
static __thread struct sbx_cancel *thread_token;
static pthread_key_t token_key;
static pthread_once_t token_once = PTHREAD_ONCE_INIT;

static void free_token(void *token)
{
    sbx_cancel_free(token);
}

static void make_token_key(void)
{
    pthread_key_create(&token_key, free_token);
}

static int need_token(struct sbx_error *err)
{
    if (thread_token)
        return 0;
    pthread_once(&token_once, make_token_key);
    int code = sbx_cancel_new(&thread_token, err);
    if (code == 0)
        pthread_setspecific(token_key, thread_token);
    return code;
}

static void drop_token(void)
{
    pthread_setspecific(token_key, NULL);
    sbx_cancel_free(thread_token);
    thread_token = NULL;
}

static void set_cancelled(struct job *job)
{
    job->code = SBX_ERR_CANCELLED;
    job->err = (struct sbx_error){.code = SBX_ERR_CANCELLED};
    strcpy(job->err.message, "the call was cancelled");
    strcpy(job->err.remedy, "none is needed: it was asked for");
}

static bool begin(struct job *job)
{
    pthread_mutex_lock(&job->lock);
    bool wanted = !job->cancelled;
    if (wanted) {
        __atomic_store_n(&job->state, JOB_RUNNING, __ATOMIC_RELAXED);
        job->token = thread_token;
    }
    pthread_mutex_unlock(&job->lock);
    return wanted;
}

// Returns whether its success is not wanted any more.
static bool end(struct job *job)
{
    pthread_mutex_lock(&job->lock);
    job->token = NULL;
    bool cancelled = job->cancelled;
    pthread_mutex_unlock(&job->lock);
    return cancelled;
}

static void undo(struct job *job)
{
    if (job->code == 0 && job->kind->undo) {
        job->kind->undo(job);
        set_cancelled(job);
    }
}

// Runs it on this thread.
static void job_run(struct job *job)
{
    job->code = need_token(&job->err);
    if (job->code < 0)
        return;
    if (!begin(job)) {
        set_cancelled(job);
        return;
    }
    struct sbx_call call = SBX_CALL_INIT;
    call.timeout_ms = job->timeout_ms;
    call.cancel = thread_token;
    job->code = job->kind->run(job, &call);
    if (!end(job))
        return;
    drop_token(); // triggered, or about to be
    undo(job);
}

static void finish_alone(struct job *job)
{
    __atomic_store_n(&job->state, JOB_DONE, __ATOMIC_RELEASE);
    if (job->stream)
        stream_wake(job->stream);
    sem_post(&job->done); // the last that is done with it: its owner may free it now
}

static void run_work(struct work *work)
{
    struct job *job = (struct job *)((char *)work - offsetof(struct job, work));
    job_run(job);
    if (!job->queue) {
        finish_alone(job);
    } else if (!queue_finish(job->queue, job)) {
        undo(job);
        job->state = JOB_DONE;
        native_bury(job);
    }
}

static bool submit(struct job *job)
{
    job->work.run = run_work;
    if (workers_submit(&job->work))
        return true;
    PyErr_SetString(PyExc_RuntimeError, "no thread can be started: the limit of processes "
                                        "(ulimit -u) or of memory is reached");
    return false;
}

// --- the object
// -----------------------------------------------------------------------------------

struct job *job_new(const struct job_kind *kind, void *owner, unsigned generation, PyObject *args,
                    int64_t timeout_ms)
{
    if (!native_usable(generation))
        return NULL;
    allocfunc alloc = PyType_GetSlot(job_type, Py_tp_alloc);
    struct job *job = (struct job *)alloc(job_type, 0);
    if (!job)
        return NULL;
    job->kind = kind;
    job->owner = owner;
    job->args = args;
    Py_XINCREF(job->owner);
    Py_XINCREF(job->args);
    job->timeout_ms = timeout_ms;
    job->in.spec.size = sizeof(job->in.spec);
    job->in.exec.size = sizeof(job->in.exec);
    job->in.file.size = sizeof(job->in.file);
    job->out.metrics.size = sizeof(job->out.metrics);
    job->out.info.size = sizeof(job->out.info);
    pthread_mutex_init(&job->lock, NULL);
    sem_init(&job->done, 0, 0);
    return job;
}

void *job_block(struct job *job, size_t count, size_t size)
{
    void *block = job->block_count < JOB_BLOCKS ? calloc(count ? count : 1, size) : NULL;
    if (!block)
        return PyErr_NoMemory();
    job->blocks[job->block_count++] = block;
    return block;
}

PyObject *job_none(struct job *job)
{
    Py_RETURN_NONE;
}

static void free_out(struct job_out *out)
{
    sbx_process_free(out->process);
    sbx_watch_free(out->watch);
    sbx_sandbox_free(out->sandbox);
    sbx_list_free(&out->list);
    sbx_file_list_free(&out->files);
    sbx_process_list_free(&out->processes);
    sbx_result_deinit(&out->result);
    sbx_free(out->data);
}

static void job_dealloc(struct job *job)
{
    Py_BEGIN_ALLOW_THREADS if (job->state == JOB_QUEUED || job->state == JOB_RUNNING)
    {
        job_stop(job); // of a reader that was let run alone
        sem_wait(&job->done);
    }
    if (job->state == JOB_DONE && !job->claimed)
        undo(job);
    free_out(&job->out);
    if (job->stream)
        stream_free(job->stream);
    Py_END_ALLOW_THREADS for (size_t i = 0; i < job->block_count; i++) free(job->blocks[i]);
    pthread_mutex_destroy(&job->lock);
    sem_destroy(&job->done);
    Py_XDECREF(job->owner);
    Py_XDECREF(job->args);
    PyTypeObject *type = Py_TYPE(job);
    freefunc release = PyType_GetSlot(type, Py_tp_free);
    release(job);
    Py_DECREF(type);
}

// --- methods
// --------------------------------------------------------------------------------------

static bool only_once(struct job *job)
{
    native_free_buried();
    if (job->state == JOB_NEW)
        return true;
    PyErr_SetString(PyExc_RuntimeError, "a job runs once");
    return false;
}

static PyObject *job_start(struct job *job, PyObject *queue)
{
    if (!only_once(job))
        return NULL;
    if (!PyObject_TypeCheck(queue, queue_type)) {
        PyErr_SetString(PyExc_TypeError, "start() takes a Queue");
        return NULL;
    }
    job->state = JOB_QUEUED;
    job->queue = queue_join(queue, job);
    Py_INCREF(job); // the thread's
    if (submit(job))
        Py_RETURN_NONE;
    queue_leave(job->queue, job);
    job->queue = NULL;
    job->state = JOB_NEW;
    Py_DECREF(job);
    return NULL;
}

void job_stop(struct job *job)
{
    pthread_mutex_lock(&job->lock);
    job->cancelled = true;
    if (job->token)
        sbx_cancel_trigger(job->token);
    pthread_mutex_unlock(&job->lock);
    if (job->stream)
        stream_stop(job->stream);
}

// A success that came before the cancel is undone when the job is freed without being asked for it.
static PyObject *job_cancel(struct job *job, PyObject *unused)
{
    bool pending = job->state != JOB_NEW && (job->queue ? !job->told : !job_is_done(job));
    job_stop(job);
    return PyBool_FromLong(pending);
}

bool job_is_done(struct job *job)
{
    return __atomic_load_n(&job->state, __ATOMIC_ACQUIRE) == JOB_DONE;
}

bool job_start_alone(struct job *job)
{
    if (!only_once(job))
        return false;
    job->state = JOB_QUEUED;
    if (submit(job))
        return true;
    job->state = JOB_NEW;
    return false;
}

static bool wait_done(struct job *job, long ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return sem_timedwait(&job->done, &until) == 0;
}

// Waits with an eye on signals: an interrupt stops the call in the sandbox, then is raised.
static bool wait_interruptible(struct job *job)
{
    for (;;) {
        bool done;
        Py_BEGIN_ALLOW_THREADS done = wait_done(job, SIGNAL_CHECK_MS);
        Py_END_ALLOW_THREADS if (done) return true;
        if (PyErr_CheckSignals() == 0)
            continue;
        job_stop(job);
        Py_BEGIN_ALLOW_THREADS while (sem_wait(&job->done) < 0 && errno == EINTR);
        undo(job);
        Py_END_ALLOW_THREADS return false;
    }
}

static PyObject *job_take_result(struct job *job, PyObject *unused)
{
    if (!job_is_done(job) || job->claimed) {
        PyErr_SetString(PyExc_RuntimeError, "the job is not done, or its result was taken");
        return NULL;
    }
    if (job->code < 0)
        return native_raise(&job->err);
    job->claimed = true;
    return job->kind->result(job);
}

// wait(interruptible): with False on this thread, for those that get no signals.
static PyObject *job_wait(struct job *job, PyObject *interruptible)
{
    if (!only_once(job))
        return NULL;
    if (PyObject_IsTrue(interruptible) != 1) {
        Py_BEGIN_ALLOW_THREADS job_run(job);
        Py_END_ALLOW_THREADS job->state = JOB_DONE;
        return job_take_result(job, NULL);
    }
    if (!job_start_alone(job))
        return NULL;
    return wait_interruptible(job) ? job_take_result(job, NULL) : NULL;
}

static PyObject *get_done(struct job *job, void *unused)
{
    return PyBool_FromLong(job_is_done(job));
}

static PyObject *get_name(struct job *job, void *unused)
{
    return PyUnicode_FromString(job->kind->name);
}

static PyMethodDef methods[] = {
    {"start", (PyCFunction)job_start, METH_O,
     "start(queue): run it on a thread; the queue tells its end."},
    {"wait", (PyCFunction)job_wait, METH_O,
     "wait(interruptible): run it to its end and return the result."},
    {"cancel", (PyCFunction)job_cancel, METH_NOARGS,
     "cancel(): stop it; what it made is unmade. True if its end is still to come."},
    {"result", (PyCFunction)job_take_result, METH_NOARGS, "result() of a job that is done, once."},
    {"take", (PyCFunction)stream_take, METH_NOARGS,
     "take(): what a reading job has got since: a list of (stream, bytes)."},
    {"run_on", (PyCFunction)stream_run_on, METH_NOARGS,
     "run_on(): let a reading job run on a thread of its own, for wait_output()."},
    {"wait_output", (PyCFunction)stream_wait_output, METH_NOARGS,
     "wait_output(): until a reading job has got something, or is done."},
    {NULL, NULL, 0, NULL}};

static PyGetSetDef properties[] = {{"done", (getter)get_done, NULL, NULL, NULL},
                                   {"name", (getter)get_name, NULL, NULL, NULL},
                                   {NULL, NULL, NULL, NULL, NULL}};

static PyType_Slot slots[] = {{Py_tp_dealloc, job_dealloc},
                              {Py_tp_methods, methods},
                              {Py_tp_getset, properties},
                              {Py_tp_doc, (void *)"One blocking call of the library."},
                              {0, NULL}};
static PyType_Spec spec = {"sandboxes._native.Job", sizeof(struct job), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

int job_ready(PyObject *module)
{
    job_type = native_add_type(module, &spec, "Job");
    return job_type ? 0 : -1;
}
