// SPDX-License-Identifier: Apache-2.0
// Sandbox: facts, the end, commands. Its files are in files.c.
#include "box.h"

#include <string.h>

#include "args.h"
#include "facts.h"

PyTypeObject *box_type;

static struct job *simple_job(struct box *self, PyObject *args, const struct job_kind *kind)
{
    long long timeout;
    if (!PyArg_ParseTuple(args, "L", &timeout))
        return NULL;
    return job_new(kind, self, self->generation, args, timeout);
}

// --- as a whole
// -----------------------------------------------------------------------------------

// The strings are turned into Python's later; until then nobody else may ask on this handle. So it
// is asked through a handle of its own.
static int run_info(struct job *job, const struct sbx_call *call)
{
    struct box *box = job_box(job);
    int code = sbx_sandbox_get(box->client->handle, sbx_sandbox_provider(box->handle),
                               sbx_sandbox_id(box->handle), call, &job->out.sandbox, &job->err);
    if (code < 0)
        return code;
    return sbx_sandbox_info(job->out.sandbox, call, &job->out.info, &job->err);
}

static PyObject *give_info(struct job *job)
{
    return facts_info(&job->out.info);
}
static const struct job_kind info_kind = {"info", run_info, give_info, NULL};

static PyObject *box_info(struct box *self, PyObject *args)
{
    return (PyObject *)simple_job(self, args, &info_kind);
}

static int run_destroy(struct job *job, const struct sbx_call *call)
{
    return sbx_sandbox_destroy(job_box(job)->handle, call, &job->err);
}
static const struct job_kind destroy_kind = {"destroy", run_destroy, job_none, NULL};

static PyObject *box_destroy(struct box *self, PyObject *args)
{
    return (PyObject *)simple_job(self, args, &destroy_kind);
}

static int run_pause(struct job *job, const struct sbx_call *call)
{
    return sbx_sandbox_pause(job_box(job)->handle, call, &job->err);
}
static const struct job_kind pause_kind = {"pause", run_pause, job_none, NULL};

static PyObject *box_pause(struct box *self, PyObject *args)
{
    return (PyObject *)simple_job(self, args, &pause_kind);
}

static int run_resume(struct job *job, const struct sbx_call *call)
{
    return sbx_sandbox_resume(job_box(job)->handle, call, &job->err);
}
static const struct job_kind resume_kind = {"resume", run_resume, job_none, NULL};

static PyObject *box_resume(struct box *self, PyObject *args)
{
    return (PyObject *)simple_job(self, args, &resume_kind);
}

static int run_snapshot(struct job *job, const struct sbx_call *call)
{
    return sbx_sandbox_snapshot(job_box(job)->handle, job->in.path, call, &job->err);
}
static const struct job_kind snapshot_kind = {"snapshot", run_snapshot, job_none, NULL};

static PyObject *box_snapshot(struct box *self, PyObject *args)
{
    const char *name;
    long long timeout;
    if (!PyArg_ParseTuple(args, "sL:snapshot", &name, &timeout))
        return NULL;
    struct job *job = job_new(&snapshot_kind, self, self->generation, args, timeout);
    if (job)
        job->in.path = name;
    return (PyObject *)job;
}

static int run_fork(struct job *job, const struct sbx_call *call)
{
    return sbx_sandbox_fork(job_box(job)->handle, &job->in.fork, call, &job->out.sandbox,
                            &job->err);
}

static PyObject *give_fork(struct job *job)
{
    struct sbx_sandbox *handle = job->out.sandbox;
    job->out.sandbox = NULL;
    return box_wrap(job_box(job)->client, handle);
}

static void destroy_fork(struct job *job)
{
    struct sbx_error err;
    sbx_sandbox_destroy(job->out.sandbox, NULL, &err);
}
static const struct job_kind fork_kind = {"fork", run_fork, give_fork, destroy_fork};

static PyObject *box_fork(struct box *self, PyObject *args)
{
    PyObject *labels, *env;
    long long ttl, timeout;
    int tied;
    if (!PyArg_ParseTuple(args, "OOLpL:fork", &labels, &env, &ttl, &tied, &timeout))
        return NULL;
    struct job *job = job_new(&fork_kind, self, self->generation, args, timeout);
    if (!job)
        return NULL;
    struct sbx_fork *fork = &job->in.fork;
    *fork = (struct sbx_fork)SBX_FORK_INIT;
    fork->ttl_ms = ttl;
    fork->lifetime = tied ? SBX_LIFETIME_TIED : SBX_LIFETIME_DETACHED;
    if (!args_pairs(job, labels, &fork->labels, &fork->label_count) ||
        !args_pairs(job, env, &fork->env, &fork->env_count))
        Py_CLEAR(job);
    return (PyObject *)job;
}

static int run_set_ttl(struct job *job, const struct sbx_call *call)
{
    return sbx_sandbox_set_ttl(job_box(job)->handle, job->in.number, call, &job->err);
}
static const struct job_kind set_ttl_kind = {"set_ttl", run_set_ttl, job_none, NULL};

static PyObject *box_set_ttl(struct box *self, PyObject *args)
{
    long long ttl, timeout;
    if (!PyArg_ParseTuple(args, "LL:set_ttl", &ttl, &timeout))
        return NULL;
    struct job *job = job_new(&set_ttl_kind, self, self->generation, args, timeout);
    if (job)
        job->in.number = ttl;
    return (PyObject *)job;
}

static int run_set_network(struct job *job, const struct sbx_call *call)
{
    const struct sbx_spec *rules = &job->in.spec;
    return sbx_sandbox_set_network(job_box(job)->handle, rules->network, rules->allow,
                                   rules->allow_count, call, &job->err);
}
static const struct job_kind set_network_kind = {"set_network", run_set_network, job_none, NULL};

static PyObject *box_set_network(struct box *self, PyObject *args)
{
    PyObject *allow;
    unsigned network;
    long long timeout;
    if (!PyArg_ParseTuple(args, "IOL:set_network", &network, &allow, &timeout))
        return NULL;
    struct job *job = job_new(&set_network_kind, self, self->generation, args, timeout);
    if (!job)
        return NULL;
    struct sbx_spec *rules = &job->in.spec;
    *rules = (struct sbx_spec)SBX_SPEC_INIT;
    rules->network = network;
    if (!args_strings(job, allow, &rules->allow, &rules->allow_count))
        Py_CLEAR(job);
    return (PyObject *)job;
}

static int run_metrics(struct job *job, const struct sbx_call *call)
{
    return sbx_sandbox_metrics(job_box(job)->handle, call, &job->out.metrics, &job->err);
}

static PyObject *give_metrics(struct job *job)
{
    const struct sbx_metrics *metrics = &job->out.metrics;
    return Py_BuildValue(
        "(KKKKKKII)", (unsigned long long)metrics->cpu_usec,
        (unsigned long long)metrics->memory_bytes, (unsigned long long)metrics->memory_peak_bytes,
        (unsigned long long)metrics->memory_limit_bytes, (unsigned long long)metrics->disk_bytes,
        (unsigned long long)metrics->disk_limit_bytes, metrics->pids, metrics->oom_kills);
}
static const struct job_kind metrics_kind = {"metrics", run_metrics, give_metrics, NULL};

static PyObject *box_metrics(struct box *self, PyObject *args)
{
    return (PyObject *)simple_job(self, args, &metrics_kind);
}

static int run_expose(struct job *job, const struct sbx_call *call)
{
    return sbx_sandbox_expose(job_box(job)->handle, &job->in.port, call, job->out.url,
                              sizeof(job->out.url), &job->err);
}

static PyObject *give_url(struct job *job)
{
    return PyUnicode_FromString(job->out.url);
}
static const struct job_kind expose_kind = {"expose", run_expose, give_url, NULL};

static PyObject *box_expose(struct box *self, PyObject *args)
{
    unsigned short port, host_port;
    long long timeout;
    if (!PyArg_ParseTuple(args, "HHL:expose", &port, &host_port, &timeout))
        return NULL;
    struct job *job = job_new(&expose_kind, self, self->generation, args, timeout);
    if (job)
        job->in.port = (struct sbx_port){port, host_port};
    return (PyObject *)job;
}

// --- commands
// -------------------------------------------------------------------------------------

static struct job *exec_job(struct box *self, PyObject *args, const struct job_kind *kind)
{
    PyObject *exec;
    long long timeout;
    if (!PyArg_ParseTuple(args, "OL", &exec, &timeout))
        return NULL;
    struct job *job = job_new(kind, self, self->generation, args, timeout);
    if (job && !args_exec(job, exec))
        Py_CLEAR(job);
    return job;
}

static int run_run(struct job *job, const struct sbx_call *call)
{
    return sbx_run(job_box(job)->handle, &job->in.exec, call, &job->out.result, &job->err);
}

static PyObject *give_result(struct job *job)
{
    return facts_result(&job->out.result);
}
static const struct job_kind run_kind = {"run", run_run, give_result, NULL};

static PyObject *box_run(struct box *self, PyObject *args)
{
    return (PyObject *)exec_job(self, args, &run_kind);
}

static PyObject *give_process(struct job *job)
{
    struct sbx_process *handle = job->out.process;
    job->out.process = NULL;
    return process_wrap(job_box(job), handle);
}

static int run_start(struct job *job, const struct sbx_call *call)
{
    return sbx_process_start(job_box(job)->handle, &job->in.exec, call, &job->out.process,
                             &job->err);
}

// Freeing the handle ends a command, unless it is one of the background.
static void kill_started(struct job *job)
{
    struct sbx_error err;
    sbx_process_signal(job->out.process, 9, &err);
}
static const struct job_kind start_kind = {"start", run_start, give_process, kill_started};

static PyObject *box_start(struct box *self, PyObject *args)
{
    return (PyObject *)exec_job(self, args, &start_kind);
}

static int run_attach(struct job *job, const struct sbx_call *call)
{
    return sbx_process_attach(job_box(job)->handle, (uint32_t)job->in.number, call,
                              &job->out.process, &job->err);
}
static const struct job_kind attach_kind = {"attach", run_attach, give_process, NULL};

static PyObject *box_attach(struct box *self, PyObject *args)
{
    unsigned pid;
    long long timeout;
    if (!PyArg_ParseTuple(args, "IL:attach", &pid, &timeout))
        return NULL;
    struct job *job = job_new(&attach_kind, self, self->generation, args, timeout);
    if (job)
        job->in.number = pid;
    return (PyObject *)job;
}

static int run_processes(struct job *job, const struct sbx_call *call)
{
    return sbx_process_list(job_box(job)->handle, call, &job->out.processes, &job->err);
}

static PyObject *process_at(const void *items, size_t index)
{
    return facts_process((const struct sbx_process_info *)items + index);
}

static PyObject *give_processes(struct job *job)
{
    return facts_list(job->out.processes.count, process_at, job->out.processes.items);
}
static const struct job_kind processes_kind = {"processes", run_processes, give_processes, NULL};

static PyObject *box_processes(struct box *self, PyObject *args)
{
    return (PyObject *)simple_job(self, args, &processes_kind);
}

// --- the object
// -----------------------------------------------------------------------------------

PyObject *box_wrap(struct client *client, struct sbx_sandbox *handle)
{
    allocfunc alloc = PyType_GetSlot(box_type, Py_tp_alloc);
    struct box *self = (struct box *)alloc(box_type, 0);
    if (!self) {
        sbx_sandbox_free(handle);
        return NULL;
    }
    self->handle = handle;
    self->client = client;
    Py_INCREF(client);
    self->generation = client->generation;
    return (PyObject *)self;
}

static void dealloc(struct box *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = PyType_GetSlot(type, Py_tp_free);
    if (self->generation == native_generation) {
        Py_BEGIN_ALLOW_THREADS sbx_sandbox_free(self->handle);
        Py_END_ALLOW_THREADS
    }
    Py_DECREF(self->client);
    release(self);
    Py_DECREF(type);
}

static PyObject *get_id(struct box *self, void *unused)
{
    return PyUnicode_FromString(sbx_sandbox_id(self->handle));
}

static PyObject *get_provider(struct box *self, void *unused)
{
    return PyUnicode_FromString(sbx_sandbox_provider(self->handle));
}

static PyObject *get_usable(struct box *self, void *unused)
{
    return PyBool_FromLong(self->generation == native_generation);
}

#define METHOD(name, function, text)                                                               \
    {                                                                                              \
        name, (PyCFunction)function, METH_VARARGS, name text                                       \
    }
#define FILE_ARGS "(path, to, user, mode, recursive, limit, timeout_ms)"
static PyMethodDef methods[] = {
    METHOD("info", box_info, "(timeout_ms)"),
    METHOD("destroy", box_destroy, "(timeout_ms)"),
    METHOD("pause", box_pause, "(timeout_ms)"),
    METHOD("snapshot", box_snapshot, "(name, timeout_ms)"),
    METHOD("fork", box_fork, "(labels, env, ttl_ms, tied, timeout_ms)"),
    METHOD("resume", box_resume, "(timeout_ms)"),
    METHOD("set_ttl", box_set_ttl, "(ttl_ms, timeout_ms)"),
    METHOD("set_network", box_set_network, "(network, allow, timeout_ms)"),
    METHOD("metrics", box_metrics, "(timeout_ms)"),
    METHOD("expose", box_expose, "(port, host_port, timeout_ms)"),
    METHOD("run", box_run, "(exec, timeout_ms)"),
    METHOD("start", box_start, "(exec, timeout_ms)"),
    METHOD("attach", box_attach, "(pid, timeout_ms)"),
    METHOD("processes", box_processes, "(timeout_ms)"),
    METHOD("write_file", box_write_file, "(path, data, user, mode, timeout_ms)"),
    METHOD("read_file", box_read_file, FILE_ARGS),
    METHOD("upload", box_upload, FILE_ARGS),
    METHOD("download", box_download, FILE_ARGS),
    METHOD("stat", box_stat, FILE_ARGS),
    METHOD("list_files", box_list_files, FILE_ARGS),
    METHOD("mkdir", box_mkdir, FILE_ARGS),
    METHOD("remove", box_remove, FILE_ARGS),
    METHOD("rename", box_rename, FILE_ARGS),
    METHOD("watch", box_watch, FILE_ARGS),
    {NULL, NULL, 0, NULL}};

static PyGetSetDef properties[] = {{"id", (getter)get_id, NULL, NULL, NULL},
                                   {"provider", (getter)get_provider, NULL, NULL, NULL},
                                   {"usable", (getter)get_usable, NULL, NULL, NULL},
                                   {NULL, NULL, NULL, NULL, NULL}};

static PyType_Slot slots[] = {{Py_tp_dealloc, dealloc},
                              {Py_tp_methods, methods},
                              {Py_tp_getset, properties},
                              {Py_tp_doc, (void *)"Handle of a living sandbox."},
                              {0, NULL}};
static PyType_Spec spec = {"sandboxes._native.Box", sizeof(struct box), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

int box_ready(PyObject *module)
{
    box_type = native_add_type(module, &spec, "Box");
    return box_type ? 0 : -1;
}
