// SPDX-License-Identifier: Apache-2.0
// Watch: changes in a directory of a sandbox, one job for each.
#include "box.h"

#include <stdlib.h>
#include <string.h>

PyTypeObject *watch_type;

static int run_next(struct job *job, const struct sbx_call *call)
{
    struct watch *watch = (struct watch *)job->owner;
    struct sbx_change change;
    // A name is there until the next call only.
    pthread_mutex_lock(&watch->lock);
    int code = sbx_watch_next(watch->handle, call, &change, &job->err);
    if (code == 0) {
        job->in.number = change.kind;
        job->out.data = strdup(change.name);
    }
    pthread_mutex_unlock(&watch->lock);
    return code;
}

static PyObject *give_change(struct job *job)
{
    return job->out.data ? Py_BuildValue("(IN)", (unsigned)job->in.number,
                                         PyUnicode_DecodeFSDefault(job->out.data))
                         : PyErr_NoMemory();
}
static const struct job_kind next_kind = {"next", run_next, give_change, NULL};

static PyObject *watch_next(struct watch *self, PyObject *args)
{
    long long timeout;
    if (!PyArg_ParseTuple(args, "L:next", &timeout))
        return NULL;
    return (PyObject *)job_new(&next_kind, self, self->generation, args, timeout);
}

PyObject *watch_wrap(struct box *box, struct sbx_watch *handle)
{
    allocfunc alloc = PyType_GetSlot(watch_type, Py_tp_alloc);
    struct watch *self = (struct watch *)alloc(watch_type, 0);
    if (!self) {
        sbx_watch_free(handle);
        return NULL;
    }
    self->handle = handle;
    self->box = box;
    Py_INCREF(box);
    self->generation = box->generation;
    pthread_mutex_init(&self->lock, NULL);
    return (PyObject *)self;
}

static void dealloc(struct watch *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = PyType_GetSlot(type, Py_tp_free);
    if (self->generation == native_generation)
        sbx_watch_free(self->handle);
    pthread_mutex_destroy(&self->lock);
    Py_DECREF(self->box);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {{"next", (PyCFunction)watch_next, METH_VARARGS, "next(timeout_ms)"},
                                {NULL, NULL, 0, NULL}};

static PyType_Slot slots[] = {{Py_tp_dealloc, dealloc},
                              {Py_tp_methods, methods},
                              {Py_tp_doc, (void *)"Handle of a directory that is watched."},
                              {0, NULL}};
static PyType_Spec spec = {"sandboxes._native.Watch", sizeof(struct watch), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

int watch_ready(PyObject *module)
{
    watch_type = native_add_type(module, &spec, "Watch");
    return watch_type ? 0 : -1;
}
