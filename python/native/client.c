// SPDX-License-Identifier: Apache-2.0
// Client: providers, making and finding sandboxes, a command in a sandbox of its own.
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "facts.h"

PyTypeObject *client_type;

static struct client *first_client; // guarded by the interpreter's lock

// --- making and finding
// ---------------------------------------------------------------------------

static PyObject *give_box(struct job *job)
{
    struct sbx_sandbox *handle = job->out.sandbox;
    job->out.sandbox = NULL;
    return box_wrap(job_client(job), handle);
}

static void destroy_made(struct job *job)
{
    struct sbx_error err;
    sbx_sandbox_destroy(job->out.sandbox, NULL, &err);
}

static int run_create(struct job *job, const struct sbx_call *call)
{
    return sbx_sandbox_create(job_client(job)->handle, &job->in.spec, call, &job->out.sandbox,
                              &job->err);
}
static const struct job_kind create_kind = {"create", run_create, give_box, destroy_made};

static PyObject *client_create(struct client *self, PyObject *args)
{
    PyObject *spec;
    long long timeout;
    if (!PyArg_ParseTuple(args, "OL:create", &spec, &timeout))
        return NULL;
    struct job *job = job_new(&create_kind, self, self->generation, args, timeout);
    if (job && !args_spec(job, spec))
        Py_CLEAR(job);
    return (PyObject *)job;
}

static int run_get_or_create(struct job *job, const struct sbx_call *call)
{
    return sbx_sandbox_get_or_create(job_client(job)->handle, &job->in.spec, call,
                                     &job->out.sandbox, &job->out.created, &job->err);
}

static PyObject *give_box_created(struct job *job)
{
    return Py_BuildValue("(NN)", give_box(job), PyBool_FromLong(job->out.created));
}

static void destroy_if_made(struct job *job)
{
    if (job->out.created)
        destroy_made(job);
}
static const struct job_kind get_or_create_kind = {"get_or_create", run_get_or_create,
                                                   give_box_created, destroy_if_made};

static PyObject *client_get_or_create(struct client *self, PyObject *args)
{
    PyObject *spec;
    long long timeout;
    if (!PyArg_ParseTuple(args, "OL:get_or_create", &spec, &timeout))
        return NULL;
    struct job *job = job_new(&get_or_create_kind, self, self->generation, args, timeout);
    if (job && !args_spec(job, spec))
        Py_CLEAR(job);
    return (PyObject *)job;
}

static int run_get(struct job *job, const struct sbx_call *call)
{
    return sbx_sandbox_get(job_client(job)->handle, job->in.provider, job->in.path, call,
                           &job->out.sandbox, &job->err);
}
static const struct job_kind get_kind = {"get", run_get, give_box, NULL};

static PyObject *client_get(struct client *self, PyObject *args)
{
    const char *provider, *id;
    long long timeout;
    if (!PyArg_ParseTuple(args, "zsL:get", &provider, &id, &timeout))
        return NULL;
    struct job *job = job_new(&get_kind, self, self->generation, args, timeout);
    if (job) {
        job->in.provider = provider;
        job->in.path = id;
    }
    return (PyObject *)job;
}

static int run_find(struct job *job, const struct sbx_call *call)
{
    return sbx_sandbox_find(job_client(job)->handle, job->in.provider, job->in.spec.labels,
                            job->in.spec.label_count, call, &job->out.sandbox, &job->err);
}
static const struct job_kind find_kind = {"find", run_find, give_box, NULL};

static int run_list(struct job *job, const struct sbx_call *call)
{
    return sbx_sandbox_list(job_client(job)->handle, job->in.provider, job->in.spec.labels,
                            job->in.spec.label_count, call, &job->out.list, &job->err);
}

static PyObject *info_at(const void *items, size_t index)
{
    return facts_info((const struct sbx_info *)items + index);
}

static PyObject *give_list(struct job *job)
{
    return facts_list(job->out.list.count, info_at, job->out.list.items);
}
static const struct job_kind list_kind = {"list", run_list, give_list, NULL};

static PyObject *by_labels(struct client *self, PyObject *args, const struct job_kind *kind)
{
    const char *provider;
    PyObject *labels;
    long long timeout;
    if (!PyArg_ParseTuple(args, "zOL", &provider, &labels, &timeout))
        return NULL;
    struct job *job = job_new(kind, self, self->generation, args, timeout);
    if (!job)
        return NULL;
    job->in.provider = provider;
    if (!args_pairs(job, labels, &job->in.spec.labels, &job->in.spec.label_count))
        Py_CLEAR(job);
    return (PyObject *)job;
}

static PyObject *client_find(struct client *self, PyObject *args)
{
    return by_labels(self, args, &find_kind);
}

static PyObject *client_list(struct client *self, PyObject *args)
{
    return by_labels(self, args, &list_kind);
}

// --- a command in a sandbox of its own
// ------------------------------------------------------------

// The sandbox ends before this returns, whatever happens to the command.
static int run_once(struct job *job, const struct sbx_call *call)
{
    struct sbx_sandbox *box;
    struct sbx_error ignored;
    int code = sbx_sandbox_create(job_client(job)->handle, &job->in.spec, call, &box, &job->err);
    if (code < 0)
        return code;
    code = sbx_run(box, &job->in.exec, call, &job->out.result, &job->err);
    sbx_sandbox_destroy(box, NULL, &ignored);
    sbx_sandbox_free(box);
    return code;
}

static PyObject *give_result(struct job *job)
{
    return facts_result(&job->out.result);
}
static const struct job_kind once_kind = {"run", run_once, give_result, NULL};

static PyObject *client_run(struct client *self, PyObject *args)
{
    PyObject *spec, *exec;
    long long timeout;
    if (!PyArg_ParseTuple(args, "OOL:run", &spec, &exec, &timeout))
        return NULL;
    struct job *job = job_new(&once_kind, self, self->generation, args, timeout);
    if (job && (!args_spec(job, spec) || !args_exec(job, exec)))
        Py_CLEAR(job);
    return (PyObject *)job;
}

// --- providers
// ------------------------------------------------------------------------------------

static PyObject *client_default_provider(struct client *self, PyObject *unused)
{
    const char *name;
    if (!native_usable(self->generation))
        return NULL;
    Py_BEGIN_ALLOW_THREADS name = sbx_client_default_provider(self->handle);
    Py_END_ALLOW_THREADS return PyUnicode_FromString(name);
}

// providers(index): (name, description, capabilities, configured, reason, remedy) or None at the
// end.
static PyObject *client_provider(struct client *self, PyObject *args)
{
    unsigned index;
    int code;
    struct sbx_error err;
    struct sbx_provider_info info = SBX_PROVIDER_INFO_INIT;
    if (!native_usable(self->generation) || !PyArg_ParseTuple(args, "I:provider", &index))
        return NULL;
    if (index >= sbx_provider_count(self->handle))
        Py_RETURN_NONE;
    Py_BEGIN_ALLOW_THREADS code = sbx_provider_get(self->handle, index, &info, &err);
    Py_END_ALLOW_THREADS if (code < 0) return native_raise(&err);
    return Py_BuildValue("(szINss)", info.name, info.description, info.capabilities,
                         PyBool_FromLong(info.configured), info.reason, info.remedy);
}

// --- the object
// -----------------------------------------------------------------------------------

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    struct sbx_client_options options = SBX_CLIENT_OPTIONS_INIT;
    struct sbx_client *handle;
    struct sbx_error err;
    if (!PyArg_ParseTuple(args, "|zzI:Client", &options.provider, &options.config_path,
                          &options.flags))
        return NULL;
    if (sbx_client_open(&options, &handle, &err) < 0)
        return native_raise(&err);
    allocfunc alloc = PyType_GetSlot(type, Py_tp_alloc);
    struct client *self = (struct client *)alloc(type, 0);
    if (!self) {
        sbx_client_close(handle);
        return NULL;
    }
    self->handle = handle;
    self->generation = native_generation;
    self->next = first_client;
    self->place = &first_client;
    if (self->next)
        self->next->place = &self->next;
    first_client = self;
    return (PyObject *)self;
}

void clients_forked(void)
{
    for (struct client *client = first_client; client; client = client->next)
        if (client->generation == native_generation)
            sbx_client_forked(client->handle);
}

static void dealloc(struct client *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = PyType_GetSlot(type, Py_tp_free);
    *self->place = self->next;
    if (self->next)
        self->next->place = self->place;
    if (self->generation == native_generation) {
        Py_BEGIN_ALLOW_THREADS sbx_client_close(self->handle);
        Py_END_ALLOW_THREADS
    }
    release(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"create", (PyCFunction)client_create, METH_VARARGS, "create(spec, timeout_ms)"},
    {"get_or_create", (PyCFunction)client_get_or_create, METH_VARARGS,
     "get_or_create(spec, timeout_ms)"},
    {"get", (PyCFunction)client_get, METH_VARARGS, "get(provider, id, timeout_ms)"},
    {"find", (PyCFunction)client_find, METH_VARARGS, "find(provider, labels, timeout_ms)"},
    {"list", (PyCFunction)client_list, METH_VARARGS, "list(provider, labels, timeout_ms)"},
    {"run", (PyCFunction)client_run, METH_VARARGS, "run(spec, exec, timeout_ms)"},
    {"default_provider", (PyCFunction)client_default_provider, METH_NOARGS, "default_provider()"},
    {"provider", (PyCFunction)client_provider, METH_VARARGS, "provider(index)"},
    {NULL, NULL, 0, NULL}};

static PyType_Slot slots[] = {{Py_tp_new, make},
                              {Py_tp_dealloc, dealloc},
                              {Py_tp_methods, methods},
                              {Py_tp_doc, (void *)"Client(provider=None, config_path=None)"},
                              {0, NULL}};
static PyType_Spec spec = {"sandboxes._native.Client", sizeof(struct client), 0, Py_TPFLAGS_DEFAULT,
                           slots};

int client_ready(PyObject *module)
{
    client_type = native_add_type(module, &spec, "Client");
    return client_type ? 0 : -1;
}
