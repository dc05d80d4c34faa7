// SPDX-License-Identifier: Apache-2.0
// A command's output on its way to a WebSocket. Layer: serve.
#include "serve/job_socket.h"

#include <stdlib.h>

#define SLICE_MS 200

void listener_to_socket(struct listener *listener, struct ws *ws, atomic_bool *left,
                        struct job_event *ret_last)
{
    *ret_last = (struct job_event){.kind = JOB_SILENT};
    while (ret_last->kind != JOB_END && !atomic_load(left)) {
        listener_read(listener, SLICE_MS, ret_last);
        if (ret_last->kind == JOB_OUTPUT &&
            ws_send(ws, WS_BINARY, ret_last->data, ret_last->size) < 0)
            atomic_store(left, true);
        free(ret_last->data);
        ret_last->data = NULL;
    }
}
