// SPDX-License-Identifier: Apache-2.0
// The provider `local`: commands. Layer: provider.
#include "provider/local/handle.h"
#include "wire/agent_msg.h"

static struct box *box_of(void *handle)
{
    return ((struct local_box *)handle)->box;
}

int local_process_start(void *box, const struct sbx_exec *exec, const struct sbx_call *call,
                        void **ret_process, struct sbx_error *err)
{
    struct task *task;
    int code = task_start(box_of(box), exec, deadline_from_call(call), &task, err);
    if (code == 0)
        *ret_process = task;
    return code;
}

// Nobody sees more of it than its output and its end.
int local_process_run(void *box, const struct sbx_exec *exec, const struct sbx_call *call,
                      void **ret_process, struct sbx_error *err)
{
    struct sbx_exec whole = *exec;
    whole.flags |= AGENT_EXEC_WHOLE;
    return local_process_start(box, &whole, call, ret_process, err);
}

int local_process_attach(void *box, uint32_t pid, const struct sbx_call *call, void **ret_process,
                         struct sbx_error *err)
{
    struct task *task;
    int code = task_attach(box_of(box), pid, deadline_from_call(call), &task, err);
    if (code == 0)
        *ret_process = task;
    return code;
}

uint32_t local_process_pid(void *process)
{
    return task_pid(process);
}

int local_process_read(void *process, const struct sbx_call *call, struct sbx_event *ret_event,
                       struct sbx_error *err)
{
    return task_read(process, deadline_from_call(call), ret_event, err);
}

int local_process_write(void *process, const void *data, size_t size, const struct sbx_call *call,
                        struct sbx_error *err)
{
    return task_write(process, data, size, deadline_from_call(call), err);
}

int local_process_close_input(void *process, struct sbx_error *err)
{
    return task_close_input(process, err);
}

int local_process_resize(void *process, uint16_t rows, uint16_t cols, struct sbx_error *err)
{
    return task_resize(process, rows, cols, err);
}

int local_process_signal(void *process, int32_t signal, struct sbx_error *err)
{
    return task_signal(process, signal, err);
}

void local_process_free(void *process)
{
    task_free(process);
}

int local_process_list(void *box, const struct sbx_call *call, struct sbx_process_list *ret_list,
                       struct sbx_error *err)
{
    return task_list(box_of(box), deadline_from_call(call), ret_list, err);
}
