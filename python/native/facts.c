// SPDX-License-Identifier: Apache-2.0
// What the library tells, as Python values: see facts.h.
#include "facts.h"

PyObject *facts_pairs(const struct sbx_pair *pairs, size_t count)
{
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict && i < count; i++) {
        PyObject *value =
            PyUnicode_DecodeUTF8(pairs[i].value, (Py_ssize_t)strlen(pairs[i].value), "replace");
        if (!value || PyDict_SetItemString(dict, pairs[i].name, value) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    return dict;
}

PyObject *facts_outcome(const struct sbx_outcome *outcome)
{
    return Py_BuildValue("(iiIK)", outcome->exit_code, outcome->signal, outcome->flags,
                         (unsigned long long)outcome->duration_us);
}

PyObject *facts_result(const struct sbx_result *result)
{
    return Py_BuildValue(
        "(iiIKNN)", result->outcome.exit_code, result->outcome.signal, result->outcome.flags,
        (unsigned long long)result->outcome.duration_us,
        PyUnicode_DecodeUTF8(result->out, (Py_ssize_t)result->out_size, "replace"),
        PyUnicode_DecodeUTF8(result->err, (Py_ssize_t)result->err_size, "replace"));
}

static PyObject *ports_of(const struct sbx_info *info)
{
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict && i < info->port_count; i++) {
        PyObject *inside = PyLong_FromLong(info->ports[i].port);
        PyObject *here = PyLong_FromLong(info->ports[i].host_port);
        if (!inside || !here || PyDict_SetItem(dict, inside, here) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(inside);
        Py_XDECREF(here);
    }
    return dict;
}

PyObject *facts_info(const struct sbx_info *info)
{
    return Py_BuildValue("(zzzzIILLKKIINN)", info->id, info->provider, info->image, info->user,
                         info->state, info->network, (long long)info->created_ms,
                         (long long)info->expires_ms, (unsigned long long)info->memory_bytes,
                         (unsigned long long)info->disk_bytes, info->cpu_millis, info->max_pids,
                         facts_pairs(info->labels, info->label_count), ports_of(info));
}

PyObject *facts_file(const struct sbx_file_info *file)
{
    // Names are bytes of whoever made the file: what is no text comes as Python has it elsewhere.
    return Py_BuildValue(
        "(NNKLIIII)",
        PyUnicode_DecodeUTF8(file->name, (Py_ssize_t)strlen(file->name), "surrogateescape"),
        file->link
            ? PyUnicode_DecodeUTF8(file->link, (Py_ssize_t)strlen(file->link), "surrogateescape")
            : Py_BuildValue(""),
        (unsigned long long)file->size, (long long)file->modified_ms, file->kind, file->mode,
        file->uid, file->gid);
}

PyObject *facts_process(const struct sbx_process_info *info)
{
    return Py_BuildValue(
        "(IIiiLN)", info->pid, info->flags, (int)info->running, info->exit_code,
        (long long)info->started_ms,
        PyUnicode_DecodeUTF8(info->command, (Py_ssize_t)strlen(info->command), "replace"));
}

PyObject *facts_list(size_t count, PyObject *(*item)(const void *items, size_t index),
                     const void *items)
{
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && i < count; i++) {
        PyObject *value = item(items, i);
        if (!value || PyList_Append(list, value) < 0)
            Py_CLEAR(list);
        Py_XDECREF(value);
    }
    return list;
}
