// SPDX-License-Identifier: Apache-2.0
/*
 * The extension module sandboxes._native: handles of the library as Python objects, and calls of
 * them as jobs. Only the limited API is used, so that one build serves all Pythons from 3.10 on.
 * What is pleasant to use is made of this in Python.
 */
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <pthread.h>
#include <sandboxes/sandboxes.h>
#include <stdbool.h>

// Handles of a process that was forked off are of no use: their threads and connections are the
// parent's.
extern unsigned native_generation;

struct client {
    PyObject_HEAD struct sbx_client *handle;
    unsigned generation;
    struct client *next, **place; // all that there are
};

struct box {
    PyObject_HEAD struct sbx_sandbox *handle;
    struct client *client; // the handle needs it
    unsigned generation;
};

struct process {
    PyObject_HEAD struct sbx_process *handle;
    struct box *box; // the handle needs it
    pthread_mutex_t write_lock;
    unsigned generation;
};

struct watch {
    PyObject_HEAD struct sbx_watch *handle;
    struct box *box; // the handle needs it
    pthread_mutex_t lock;
    unsigned generation;
};

extern PyTypeObject *client_type, *box_type, *process_type, *watch_type, *job_type, *queue_type,
    *policy_type;

// Each makes a type and puts it into the module; -1 and an exception on failure.
int client_ready(PyObject *module);
int box_ready(PyObject *module);
int process_ready(PyObject *module);
int watch_ready(PyObject *module);
int job_ready(PyObject *module);
int queue_ready(PyObject *module);
int policy_ready(PyObject *module);

// New objects; they take the handle over, also when they fail.
PyObject *box_wrap(struct client *client, struct sbx_sandbox *handle);
PyObject *process_wrap(struct box *box, struct sbx_process *handle);
PyObject *watch_wrap(struct box *box, struct sbx_watch *handle);

// In the child of a fork, before the generation changes.
void clients_forked(void);

// Sets the exception that the Python side makes of an error.
PyObject *native_raise(const struct sbx_error *err);
PyObject *native_set_error_factory(PyObject *module, PyObject *factory);

// False and an exception if the object was made before a fork.
bool native_usable(unsigned generation);

// Adds `type` made of spec to the module under its short name.
PyTypeObject *native_add_type(PyObject *module, PyType_Spec *spec, const char *name);
