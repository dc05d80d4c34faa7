// SPDX-License-Identifier: Apache-2.0
// Lines of the launcher's own, which the runtime keeps in the task's log. Layer: metaflow.
#pragma once

#include "base/error.h"

void message_error(const struct sbx_error *err); // what failed, and what to do
void message_note(const char *format, ...) PRINTF_LIKE(1, 2);
