// SPDX-License-Identifier: Apache-2.0
// Arguments from Python, as what the library takes. What they point to lives as long as the job.
#pragma once

#include "job.h"

// Each returns false and sets an exception if the value has not the form it must have.
bool args_strings(struct job *job, PyObject *tuple, const char *const **ret, size_t *ret_count);
bool args_pairs(struct job *job, PyObject *flat, const struct sbx_pair **ret, size_t *ret_count);
bool args_spec(struct job *job, PyObject *tuple);
bool args_exec(struct job *job, PyObject *tuple);
