// SPDX-License-Identifier: Apache-2.0
// A command's output on its way to a WebSocket. Layer: serve.
#pragma once

#include <stdatomic.h>

#include "httpd/ws.h"
#include "serve/job.h"

// Until the command ends (*ret_last is JOB_END then), or the client has left, which *left tells or
// is told.
void listener_to_socket(struct listener *listener, struct ws *ws, atomic_bool *left,
                        struct job_event *ret_last);
