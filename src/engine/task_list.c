// SPDX-License-Identifier: Apache-2.0
// Commands that run in a sandbox or are kept. Layer: engine.
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "engine/task.h"
#include "wire/agent_msg.h"

#define PROCESSES_MAX 65536
#define TASK_TEXT_MAX 256

struct processes {
    struct sbx_process_info *items;
    size_t count, capacity;
};

static void free_items(struct sbx_process_info *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((char *)(uintptr_t)items[i].command);
    free(items);
}

static void processes_deinit(struct processes *processes)
{
    free_items(processes->items, processes->count);
}

static int grow(struct processes *processes)
{
    if (processes->count < processes->capacity)
        return 0;
    size_t capacity = processes->capacity ? processes->capacity * 2 : 16;
    void *items = realloc(processes->items, capacity * sizeof(*processes->items));
    if (!items)
        return -1;
    processes->items = items;
    processes->capacity = capacity;
    return 0;
}

static int add(struct processes *processes, const struct frame *frame, struct sbx_error *err)
{
    struct wire_reader in = wire_reader(frame->payload, frame->size);
    struct sbx_process_info info = {.pid = wire_u32(&in)};
    info.flags = wire_u32(&in);
    info.running = wire_u32(&in);
    info.exit_code = (int32_t)wire_u32(&in);
    info.started_ms = (int64_t)wire_u64(&in);
    const char *command = wire_text(&in);
    if (!wire_end(&in) || info.running > 1 || processes->count == PROCESSES_MAX)
        return conn_nonsense(err);
    info.command = strndup(command, TASK_TEXT_MAX);
    if (!info.command || grow(processes) < 0) {
        free((char *)(uintptr_t)info.command);
        return err_nomem(err);
    }
    processes->items[processes->count++] = info;
    return 0;
}

static int receive_all(struct box *box, struct conn *conn, struct deadline deadline,
                       struct processes *processes, struct sbx_error *err)
{
    for (;;) {
        struct frame frame;
        int code = box_receive(box, conn, BOX_ANSWER_MS, deadline, &frame, err);
        if (code < 0)
            return code;
        if (frame.type == AGENT_DONE && frame.size == 0)
            return 0;
        code = frame.type == AGENT_PROCESS ? add(processes, &frame, err) : conn_nonsense(err);
        if (code < 0)
            return code;
    }
}

int task_list(struct box *box, struct deadline deadline, struct sbx_process_list *ret_list,
              struct sbx_error *err)
{
    cleanup(processes_deinit) struct processes processes = {0};
    cleanup_conn struct conn conn = CONN_NONE;
    int code = box_connect(box, deadline, &conn, err);
    if (code == 0)
        code = frame_send(conn.fd, AGENT_PROCESSES, NULL, 0, NULL, 0, deadline, err);
    if (code == 0)
        code = receive_all(box, &conn, deadline, &processes, err);
    if (code < 0)
        return code;
    box_return(box, &conn);
    *ret_list = (struct sbx_process_list){.count = processes.count, .items = processes.items};
    processes = (struct processes){0};
    return 0;
}

void task_list_free(struct sbx_process_list *list)
{
    free_items((struct sbx_process_info *)(uintptr_t)list->items, list->count);
    *list = (struct sbx_process_list){0};
}
