// SPDX-License-Identifier: Apache-2.0
// The cancel token seen from inside: a pollable descriptor. Layer: base.
#pragma once

#include <stdbool.h>

#include <sandboxes/types.h>

// Becomes readable and stays so once triggered. -1 for NULL.
int cancel_fd(const struct sbx_cancel *cancel);
bool cancel_triggered(const struct sbx_cancel *cancel);
