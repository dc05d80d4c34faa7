// SPDX-License-Identifier: Apache-2.0
// Arguments from Python: see args.h. The Python side has ordered them; here they are only unpacked.
#include "args.h"

static bool is_tuple(PyObject *value)
{
    if (PyTuple_Check(value))
        return true;
    PyErr_SetString(PyExc_TypeError, "a tuple is needed");
    return false;
}

// Text without NUL, kept by the string itself.
static const char *text_of(PyObject *string)
{
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(string, &size);
    if (!text || (size_t)size == strlen(text))
        return text;
    PyErr_SetString(PyExc_ValueError, "embedded null character");
    return NULL;
}

bool args_strings(struct job *job, PyObject *tuple, const char *const **ret, size_t *ret_count)
{
    if (!is_tuple(tuple))
        return false;
    Py_ssize_t count = PyTuple_Size(tuple);
    const char **strings = job_block(job, (size_t)count, sizeof(*strings));
    if (!strings)
        return false;
    for (Py_ssize_t i = 0; i < count; i++)
        if (!(strings[i] = text_of(PyTuple_GetItem(tuple, i))))
            return false;
    *ret = strings;
    *ret_count = (size_t)count;
    return true;
}

// A struct sbx_pair is two strings, one after the other.
bool args_pairs(struct job *job, PyObject *flat, const struct sbx_pair **ret, size_t *ret_count)
{
    const char *const *strings;
    size_t count;
    if (!args_strings(job, flat, &strings, &count))
        return false;
    *ret = (const struct sbx_pair *)strings;
    *ret_count = count / 2;
    return true;
}
_Static_assert(sizeof(struct sbx_pair) == 2 * sizeof(char *), "pairs are flat");

static bool mounts_of(struct job *job, PyObject *tuple)
{
    if (!is_tuple(tuple))
        return false;
    Py_ssize_t count = PyTuple_Size(tuple);
    struct sbx_mount *mounts = job_block(job, (size_t)count, sizeof(*mounts));
    if (!mounts)
        return false;
    for (Py_ssize_t i = 0; i < count; i++)
        if (!PyArg_ParseTuple(PyTuple_GetItem(tuple, i), "ssI", &mounts[i].source,
                              &mounts[i].target, &mounts[i].flags))
            return false;
    job->in.spec.mounts = mounts;
    job->in.spec.mount_count = (size_t)count;
    return true;
}

static bool ports_of(struct job *job, PyObject *tuple)
{
    if (!is_tuple(tuple))
        return false;
    Py_ssize_t count = PyTuple_Size(tuple);
    struct sbx_port *ports = job_block(job, (size_t)count, sizeof(*ports));
    if (!ports)
        return false;
    for (Py_ssize_t i = 0; i < count; i++)
        if (!PyArg_ParseTuple(PyTuple_GetItem(tuple, i), "HH", &ports[i].port, &ports[i].host_port))
            return false;
    job->in.spec.ports = ports;
    job->in.spec.port_count = (size_t)count;
    return true;
}

bool args_spec(struct job *job, PyObject *tuple)
{
    struct sbx_spec *spec = &job->in.spec;
    PyObject *allow, *env, *labels, *mounts, *ports;
    unsigned long long memory, disk;
    long long ttl;
    if (!is_tuple(tuple) ||
        !PyArg_ParseTuple(tuple, "zzzzzzKKIIIILIOOOOO:spec", &spec->provider, &spec->image,
                          &spec->user, &spec->workdir, &spec->hostname, &spec->gpu, &memory, &disk,
                          &spec->cpu_millis, &spec->max_pids, &spec->max_open_files,
                          &spec->lifetime, &ttl, &spec->network, &allow, &env, &labels, &mounts,
                          &ports))
        return false;
    spec->memory_bytes = memory;
    spec->disk_bytes = disk;
    spec->ttl_ms = ttl;
    return args_strings(job, allow, &spec->allow, &spec->allow_count) &&
           args_pairs(job, env, &spec->env, &spec->env_count) &&
           args_pairs(job, labels, &spec->labels, &spec->label_count) && mounts_of(job, mounts) &&
           ports_of(job, ports);
}

bool args_exec(struct job *job, PyObject *tuple)
{
    struct sbx_exec *exec = &job->in.exec;
    PyObject *argv, *env;
    const char *input;
    Py_ssize_t input_size;
    unsigned long long limit;
    long long timeout;
    if (!is_tuple(tuple) ||
        !PyArg_ParseTuple(tuple, "OzzzOz#IHHLK:exec", &argv, &exec->shell, &exec->cwd, &exec->user,
                          &env, &input, &input_size, &exec->flags, &exec->rows, &exec->cols,
                          &timeout, &limit))
        return false;
    exec->input = input;
    exec->input_size = input ? (size_t)input_size : 0;
    exec->timeout_ms = timeout;
    exec->output_limit = limit;
    return (argv == Py_None || args_strings(job, argv, &exec->argv, &exec->argc)) &&
           args_pairs(job, env, &exec->env, &exec->env_count);
}
