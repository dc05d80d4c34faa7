// SPDX-License-Identifier: Apache-2.0
// What the library tells, as Python values: tuples in an order the Python side knows.
#pragma once

#include "native.h"

PyObject *facts_pairs(const struct sbx_pair *pairs, size_t count); // dict
PyObject *facts_outcome(const struct sbx_outcome *outcome);        // tuple
PyObject *facts_result(const struct sbx_result *result);           // outcome + (out, err) as text
PyObject *facts_info(const struct sbx_info *info);                 // tuple
PyObject *facts_file(const struct sbx_file_info *file);            // tuple
PyObject *facts_process(const struct sbx_process_info *info);      // tuple
PyObject *facts_list(size_t count, PyObject *(*item)(const void *items, size_t index),
                     const void *items);
