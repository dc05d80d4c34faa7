// SPDX-License-Identifier: Apache-2.0
// Process: a running command; its output is read by one job until the end.
#include "facts.h"
#include "stream.h"

PyTypeObject *process_type;

static int run_read(struct job *job, const struct sbx_call *call)
{
    struct sbx_event event;
    for (;;) {
        int code = sbx_process_read(job_process(job)->handle, call, &event, &job->err);
        if (code < 0)
            return code;
        if (event.kind == SBX_EVENT_EXIT) {
            job->out.result.outcome = event.outcome;
            return 0;
        }
        if (!stream_add(job->stream, &event, job)) {
            job->err = (struct sbx_error){.code = SBX_ERR_CANCELLED};
            return SBX_ERR_CANCELLED;
        }
    }
}

static PyObject *give_outcome(struct job *job)
{
    return facts_outcome(&job->out.result.outcome);
}
static const struct job_kind read_kind = {"read", run_read, give_outcome, NULL};

// read(): a job that gathers output until the command ends; its result is the outcome.
static PyObject *process_read(struct process *self, PyObject *unused)
{
    struct job *job = job_new(&read_kind, self, self->generation, NULL, 0);
    if (!job)
        return NULL;
    job->stream = stream_new();
    if (job->stream)
        return (PyObject *)job;
    Py_DECREF(job);
    return PyErr_NoMemory();
}

static int run_write(struct job *job, const struct sbx_call *call)
{
    struct process *process = job_process(job);
    pthread_mutex_lock(&process->write_lock);
    int code = sbx_process_write(process->handle, job->in.data, job->in.size, call, &job->err);
    pthread_mutex_unlock(&process->write_lock);
    return code;
}
static const struct job_kind write_kind = {"write", run_write, job_none, NULL};

static PyObject *process_write(struct process *self, PyObject *args)
{
    const char *data;
    Py_ssize_t size;
    long long timeout;
    if (!PyArg_ParseTuple(args, "y#L:write", &data, &size, &timeout))
        return NULL;
    struct job *job = job_new(&write_kind, self, self->generation, args, timeout);
    if (job) {
        job->in.data = data;
        job->in.size = (size_t)size;
    }
    return (PyObject *)job;
}

static int run_close_input(struct job *job, const struct sbx_call *call)
{
    return sbx_process_close_input(job_process(job)->handle, &job->err);
}
static const struct job_kind close_kind = {"close_input", run_close_input, job_none, NULL};

static PyObject *process_close_input(struct process *self, PyObject *unused)
{
    return (PyObject *)job_new(&close_kind, self, self->generation, NULL, 0);
}

static int run_signal(struct job *job, const struct sbx_call *call)
{
    return sbx_process_signal(job_process(job)->handle, (int32_t)job->in.number, &job->err);
}
static const struct job_kind signal_kind = {"signal", run_signal, job_none, NULL};

static PyObject *process_signal(struct process *self, PyObject *args)
{
    int signal;
    if (!PyArg_ParseTuple(args, "i:signal", &signal))
        return NULL;
    struct job *job = job_new(&signal_kind, self, self->generation, args, 0);
    if (job)
        job->in.number = signal;
    return (PyObject *)job;
}

static int run_resize(struct job *job, const struct sbx_call *call)
{
    return sbx_process_resize(job_process(job)->handle, job->in.exec.rows, job->in.exec.cols,
                              &job->err);
}
static const struct job_kind resize_kind = {"resize", run_resize, job_none, NULL};

static PyObject *process_resize(struct process *self, PyObject *args)
{
    unsigned short rows, cols;
    if (!PyArg_ParseTuple(args, "HH:resize", &rows, &cols))
        return NULL;
    struct job *job = job_new(&resize_kind, self, self->generation, args, 0);
    if (job) {
        job->in.exec.rows = rows;
        job->in.exec.cols = cols;
    }
    return (PyObject *)job;
}

PyObject *process_wrap(struct box *box, struct sbx_process *handle)
{
    allocfunc alloc = PyType_GetSlot(process_type, Py_tp_alloc);
    struct process *self = (struct process *)alloc(process_type, 0);
    if (!self) {
        sbx_process_free(handle);
        return NULL;
    }
    self->handle = handle;
    self->box = box;
    Py_INCREF(box);
    self->generation = box->generation;
    pthread_mutex_init(&self->write_lock, NULL);
    return (PyObject *)self;
}

static void dealloc(struct process *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = PyType_GetSlot(type, Py_tp_free);
    if (self->generation == native_generation) {
        Py_BEGIN_ALLOW_THREADS sbx_process_free(self->handle);
        Py_END_ALLOW_THREADS
    }
    pthread_mutex_destroy(&self->write_lock);
    Py_DECREF(self->box);
    release(self);
    Py_DECREF(type);
}

static PyObject *get_pid(struct process *self, void *unused)
{
    return PyLong_FromUnsignedLong(sbx_process_pid(self->handle));
}

static PyMethodDef methods[] = {
    {"read", (PyCFunction)process_read, METH_NOARGS, "read()"},
    {"write", (PyCFunction)process_write, METH_VARARGS, "write(data, timeout_ms)"},
    {"close_input", (PyCFunction)process_close_input, METH_NOARGS, "close_input()"},
    {"signal", (PyCFunction)process_signal, METH_VARARGS, "signal(number)"},
    {"resize", (PyCFunction)process_resize, METH_VARARGS, "resize(rows, cols)"},
    {NULL, NULL, 0, NULL}};

static PyGetSetDef properties[] = {{"pid", (getter)get_pid, NULL, NULL, NULL},
                                   {NULL, NULL, NULL, NULL, NULL}};

static PyType_Slot slots[] = {{Py_tp_dealloc, dealloc},
                              {Py_tp_methods, methods},
                              {Py_tp_getset, properties},
                              {Py_tp_doc, (void *)"Handle of a running command."},
                              {0, NULL}};
static PyType_Spec spec = {"sandboxes._native.Process", sizeof(struct process), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

int process_ready(PyObject *module)
{
    process_type = native_add_type(module, &spec, "Process");
    return process_type ? 0 : -1;
}
