// SPDX-License-Identifier: Apache-2.0
// The module: types, errors, forks, what threads left behind.
#include "job.h"

#include "core/failures.h"

unsigned native_generation = 1;

static PyObject *error_factory;

PyObject *native_raise(const struct sbx_error *err)
{
    PyObject *error = NULL;
    if (error_factory)
        error = PyObject_CallFunction(error_factory, "iiiIsss", (int)err->code, (int)err->sys_errno,
                                      (int)err->http_status, err->retry_after_ms, err->origin,
                                      err->message, err->remedy);
    else
        PyErr_SetString(PyExc_RuntimeError, err->message);
    if (error)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(error);
    return NULL;
}

PyObject *native_set_error_factory(PyObject *module, PyObject *factory)
{
    Py_INCREF(factory);
    Py_XDECREF(error_factory);
    error_factory = factory;
    Py_RETURN_NONE;
}

bool native_usable(unsigned generation)
{
    if (generation == native_generation)
        return true;
    PyErr_SetString(PyExc_RuntimeError, "this object was made before a fork; in the child, get the "
                                        "sandbox again by its id or labels");
    return false;
}

PyTypeObject *native_add_type(PyObject *module, PyType_Spec *spec, const char *name)
{
    PyObject *type = PyType_FromSpec(spec);
    if (type && PyModule_AddObjectRef(module, name, type) == 0)
        return (PyTypeObject *)type;
    Py_XDECREF(type);
    return NULL;
}

static struct {
    pthread_mutex_t lock;
    struct job *first;
} buried = {.lock = PTHREAD_MUTEX_INITIALIZER};

void native_bury(struct job *job)
{
    pthread_mutex_lock(&buried.lock);
    job->next_done = buried.first;
    buried.first = job;
    pthread_mutex_unlock(&buried.lock);
}

void native_free_buried(void)
{
    if (!__atomic_load_n(&buried.first, __ATOMIC_RELAXED))
        return;
    pthread_mutex_lock(&buried.lock);
    struct job *job = buried.first;
    buried.first = NULL;
    pthread_mutex_unlock(&buried.lock);
    while (job) {
        struct job *next = job->next_done;
        Py_DECREF(job);
        job = next;
    }
}

// For os.register_at_fork(after_in_child=).
static PyObject *after_fork(PyObject *module, PyObject *unused)
{
    clients_forked();
    native_generation++;
    workers_after_fork();
    pthread_mutex_init(&buried.lock, NULL);
    buried.first = NULL;
    Py_RETURN_NONE;
}

static PyObject *threads(PyObject *module, PyObject *unused)
{
    return PyLong_FromSize_t(workers_count());
}

static PyObject *capability_name(PyObject *module, PyObject *bit)
{
    unsigned long value = PyLong_AsUnsignedLong(bit);
    const char *name = PyErr_Occurred() ? NULL : sbx_capability_name((uint32_t)value);
    return PyErr_Occurred() ? NULL : Py_BuildValue("z", name);
}

static PyObject *code_name(PyObject *module, PyObject *code)
{
    long value = PyLong_AsLong(code);
    return PyErr_Occurred() ? NULL : PyUnicode_FromString(sbx_code_name((int32_t)value));
}

static PyObject *code_rank(PyObject *module, PyObject *code)
{
    long value = PyLong_AsLong(code);
    return PyErr_Occurred() ? NULL : PyLong_FromSize_t(failures_rank((int)value));
}

static PyMethodDef functions[] = {
    {"set_error_factory", native_set_error_factory, METH_O,
     "Called with (code, errno, http_status, retry_after_ms, origin, message, remedy)."},
    {"after_fork", after_fork, METH_NOARGS, "To be called in a forked child."},
    {"threads", threads, METH_NOARGS, "Threads that make blocking calls just now."},
    {"capability_name", capability_name, METH_O, "Name of a capability's bit, or None."},
    {"code_name", code_name, METH_O, "Name of an error's code."},
    {"code_rank", code_rank, METH_O,
     "How telling a failure with this code is among several: the least is what a caller can mend."},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "sandboxes._native",
                                        .m_doc = "The library, as handles and jobs.", .m_size = -1,
                                        .m_methods = functions};

PyMODINIT_FUNC PyInit__native(void); // headers before 3.12 declare none
PyMODINIT_FUNC PyInit__native(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (!module)
        return NULL;
    if (client_ready(module) < 0 || box_ready(module) < 0 || process_ready(module) < 0 ||
        watch_ready(module) < 0 || job_ready(module) < 0 || queue_ready(module) < 0 ||
        policy_ready(module) < 0 ||
        PyModule_AddStringConstant(module, "version", sbx_version()) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
