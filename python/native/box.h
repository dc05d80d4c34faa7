// SPDX-License-Identifier: Apache-2.0
// Methods of sandboxes on files; they live in files.c.
#pragma once

#include "job.h"

PyObject *box_write_file(struct box *self, PyObject *args);
PyObject *box_read_file(struct box *self, PyObject *args);
PyObject *box_upload(struct box *self, PyObject *args);
PyObject *box_download(struct box *self, PyObject *args);
PyObject *box_stat(struct box *self, PyObject *args);
PyObject *box_list_files(struct box *self, PyObject *args);
PyObject *box_mkdir(struct box *self, PyObject *args);
PyObject *box_remove(struct box *self, PyObject *args);
PyObject *box_rename(struct box *self, PyObject *args);
PyObject *box_watch(struct box *self, PyObject *args);
