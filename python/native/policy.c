// SPDX-License-Identifier: Apache-2.0
/*
 * What a manager of the library does about failures, for providers that are written in Python: when
 * a call is repeated, after how long, and when a provider is left alone. No waiting happens here.
 */
#include "native.h"

#include <string.h>

#include "core/operation.h"
#include "core/retry.h"

PyTypeObject *policy_type;

struct policy {
    PyObject_HEAD struct sbx_retry retry; // full
    struct sbx_breaker *breaker;
};

static const struct {
    const char *name;
    enum operation operation;
} operations[] = {
    {"create", OPERATION_CREATE},
    {"destroy", OPERATION_DESTROY},
    {"execute", OPERATION_PROCESS_START},
    {"list", OPERATION_INFO},
};

static int find_operation(const char *name, enum operation *ret_operation)
{
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (strcmp(operations[i].name, name) != 0)
            continue;
        *ret_operation = operations[i].operation;
        return 0;
    }
    PyErr_Format(PyExc_ValueError, "no operation '%s'", name);
    return -1;
}

static int fill(struct policy *self, const struct sbx_retry *retry,
                const struct sbx_breaker_options *options)
{
    struct sbx_error err;
    int code = retry_fill(retry, &self->retry, &err);
    if (code == 0)
        code = sbx_breaker_new(options, &self->breaker, &err);
    if (code < 0)
        native_raise(&err);
    return code;
}

static PyObject *new (PyTypeObject *type, PyObject *args, PyObject *named)
{
    struct sbx_retry retry = SBX_RETRY_INIT;
    struct sbx_breaker_options options = SBX_BREAKER_OPTIONS_INIT;
    long long first, most, budget, open;
    if (!PyArg_ParseTuple(args, "s(IIILLL)(IIIL):Policy", &options.name, &retry.attempts,
                          &retry.flags, &retry.factor_percent, &first, &most, &budget,
                          &options.failures, &options.successes, &options.probes, &open))
        return NULL;
    retry.first_ms = first;
    retry.most_ms = most;
    retry.budget_ms = budget;
    options.open_ms = open;
    allocfunc alloc = PyType_GetSlot(type, Py_tp_alloc);
    struct policy *self = (struct policy *)alloc(type, 0);
    if (self && fill(self, &retry, &options) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void dealloc(struct policy *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = PyType_GetSlot(type, Py_tp_free);
    sbx_breaker_free(self->breaker);
    release(self);
    Py_DECREF(type);
}

// The wait before another attempt in ms; None: there is none.
static PyObject *policy_next(struct policy *self, PyObject *args)
{
    const char *name;
    unsigned made;
    long long spent;
    unsigned long long random;
    enum operation operation;
    struct sbx_error err = {0};
    if (!PyArg_ParseTuple(args, "sIiiiILK:next", &name, &made, &err.code, &err.sys_errno,
                          &err.http_status, &err.retry_after_ms, &spent, &random) ||
        find_operation(name, &operation) < 0)
        return NULL;
    if (made >= self->retry.attempts || !operation_repeats(operation, err.code, &err))
        Py_RETURN_NONE;
    int64_t wait = sbx_retry_delay(&self->retry, made + 1, err.retry_after_ms, random);
    if (!retry_affords(&self->retry, spent, wait))
        Py_RETURN_NONE;
    return PyLong_FromLongLong(wait);
}

static PyObject *enter(struct policy *self, PyObject *unused)
{
    uint64_t pass;
    struct sbx_error err;
    if (sbx_breaker_enter(self->breaker, &pass, &err) < 0)
        return native_raise(&err);
    return PyLong_FromUnsignedLongLong(pass);
}

static PyObject *leave(struct policy *self, PyObject *args)
{
    unsigned long long pass;
    int code;
    if (!PyArg_ParseTuple(args, "Ki:leave", &pass, &code))
        return NULL;
    sbx_breaker_leave(self->breaker, pass, code);
    Py_RETURN_NONE;
}

static PyObject *reset(struct policy *self, PyObject *unused)
{
    sbx_breaker_reset(self->breaker);
    Py_RETURN_NONE;
}

static PyObject *get_state(struct policy *self, void *unused)
{
    struct sbx_breaker_status status = SBX_BREAKER_STATUS_INIT;
    sbx_breaker_status(self->breaker, &status);
    return PyUnicode_FromString(sbx_breaker_state_name(status.state));
}

static PyMethodDef methods[] = {
    {"next", (PyCFunction)policy_next, METH_VARARGS,
     "next(operation, made, code, errno, http_status, retry_after_ms, spent_ms, random): "
     "wait in ms or None"},
    {"enter", (PyCFunction)enter, METH_NOARGS, "enter(): a pass, for leave()"},
    {"leave", (PyCFunction)leave, METH_VARARGS, "leave(pass, code)"},
    {"reset", (PyCFunction)reset, METH_NOARGS, "reset(): the breaker is closed"},
    {NULL, NULL, 0, NULL}};

static PyGetSetDef properties[] = {{"state", (getter)get_state, NULL, NULL, NULL},
                                   {NULL, NULL, NULL, NULL, NULL}};

static PyType_Slot slots[] = {{Py_tp_new, new},
                              {Py_tp_dealloc, dealloc},
                              {Py_tp_methods, methods},
                              {Py_tp_getset, properties},
                              {Py_tp_doc, (void *)"Policy of a manager towards one provider."},
                              {0, NULL}};
static PyType_Spec spec = {"sandboxes._native.Policy", sizeof(struct policy), 0, Py_TPFLAGS_DEFAULT,
                           slots};

int policy_ready(PyObject *module)
{
    policy_type = native_add_type(module, &spec, "Policy");
    return policy_type ? 0 : -1;
}
