// SPDX-License-Identifier: Apache-2.0
// Commands of the provider "fake": their input and output. Layer: provider.
#include "provider/fake/process_impl.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

void fake_process_drop_head(struct fake_process *process)
{
    struct chunk *chunk = process->head;
    process->head = chunk->next;
    if (!process->head)
        process->tail = NULL;
    process->output_size -= chunk->size;
}

static bool push(struct fake_process *process, uint32_t stream, const void *data, size_t size)
{
    struct chunk *chunk = malloc(sizeof(*chunk) + size);
    if (!chunk)
        return false;
    *chunk = (struct chunk){.number = ++process->last_number, .stream = stream, .size = size};
    memcpy(chunk->data, data, size);
    if (process->tail)
        process->tail->next = chunk;
    else
        process->head = chunk;
    process->tail = chunk;
    process->output_size += size;
    while (fake_process_background(process) && process->output_size > PROCESS_LOG_MAX) {
        chunk = process->head;
        fake_process_drop_head(process);
        free(chunk);
    }
    fake_process_notify(process);
    return true;
}

// A terminal moves to the next line in two steps.
static bool push_terminal(struct fake_process *process, const char *data, size_t size)
{
    char *text = malloc(2 * size);
    size_t length = 0;
    for (size_t i = 0; text && i < size; i++) {
        if (data[i] == '\n')
            text[length++] = '\r';
        text[length++] = data[i];
    }
    bool done = text && push(process, SBX_STDOUT, text, length);
    free(text);
    return done;
}

bool fake_process_emit(struct fake_process *process, uint32_t stream, const void *data, size_t size)
{
    const char *at = data;
    if (process->flags & SBX_EXEC_MERGE)
        stream = SBX_STDOUT;
    while (size > 0) {
        size_t part = size < PROCESS_QUEUE_MAX / 2 ? size : PROCESS_QUEUE_MAX / 2;
        while (fake_process_alive(process) && !fake_process_background(process) &&
               process->output_size >= PROCESS_QUEUE_MAX)
            fake_process_wait_until(process, DEADLINE_NEVER);
        if (!fake_process_alive(process))
            return false;
        bool done = process->flags & SBX_EXEC_PTY ? push_terminal(process, at, part)
                                                  : push(process, stream, at, part);
        if (!done)
            return false;
        at += part;
        size -= part;
    }
    return fake_process_alive(process);
}

bool fake_process_take_input(struct fake_process *process, char *data, size_t size,
                             size_t *ret_size)
{
    while (fake_process_alive(process) && process->input_size == 0 && process->input_open &&
           !process->line_end)
        fake_process_wait_until(process, DEADLINE_NEVER);
    if (!fake_process_alive(process))
        return false;
    size_t part = size < process->input_size ? size : process->input_size;
    if (part == 0)
        process->line_end = false;
    else
        memcpy(data, process->input, part);
    process->input_size -= part;
    memmove(process->input, process->input + part, process->input_size);
    fake_process_notify(process);
    *ret_size = part;
    return true;
}

// The next chunk that this holder has not seen: the queue's own, or a copy of one that is kept for
// others.
static int next_chunk(struct held *held, struct chunk **ret_chunk, struct sbx_error *err)
{
    struct fake_process *process = held->process;
    struct chunk *chunk = process->head;
    while (chunk && chunk->number <= held->seen)
        chunk = chunk->next;
    *ret_chunk = chunk;
    if (!chunk)
        return 0;
    if (!fake_process_background(process)) {
        fake_process_drop_head(process);
        fake_process_notify(process);
        return 0;
    }
    *ret_chunk = malloc(sizeof(*chunk) + chunk->size);
    if (!*ret_chunk)
        return err_nomem(err);
    memcpy(*ret_chunk, chunk, sizeof(*chunk) + chunk->size);
    return 0;
}

static int read_event(struct held *held, struct deadline deadline, struct sbx_event *ret_event,
                      struct sbx_error *err)
{
    struct fake_process *process = held->process;
    for (;;) {
        struct chunk *chunk;
        int code = next_chunk(held, &chunk, err);
        if (code < 0)
            return code;
        if (chunk) {
            held->current = chunk;
            held->seen = chunk->number;
            *ret_event = (struct sbx_event){.kind = SBX_EVENT_OUTPUT,
                                            .stream = chunk->stream,
                                            .data = chunk->data,
                                            .size = chunk->size};
            return 0;
        }
        if (process->box->gone || process->box->expires_at <= clock_boot_ms())
            return err_set(err, SBX_ERR_UNAVAILABLE, "sandbox %s ended while command %u ran",
                           process->box->id, process->pid);
        if (process->ended) {
            *ret_event = (struct sbx_event){.kind = SBX_EVENT_EXIT, .outcome = process->outcome};
            return 0;
        }
        code = fake_process_wait_change(process, deadline, err);
        if (code < 0)
            return code;
    }
}

int fake_process_read(void *self, const struct sbx_call *call, struct sbx_event *ret_event,
                      struct sbx_error *err)
{
    struct held *held = self;
    struct deadline deadline = deadline_from_call(call);
    free(steal_ptr(held->current));
    fake_lock(held->process->box->provider);
    int code = read_event(held, deadline, ret_event, err);
    fake_unlock(held->process->box->provider);
    return code;
}

// What a terminal does with a typed character besides passing it on.
static void type(struct fake_process *process, char c)
{
    static const struct {
        char c;
        int signal;
    } keys[] = {{0x03, SIGINT}, {0x1a, SIGTSTP}, {0x1c, SIGQUIT}};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (c == keys[i].c) {
            fake_process_deliver(process, keys[i].signal);
            return;
        }
    if (c == 0x04) {
        process->line_end = true;
        return;
    }
    if (c == '\r')
        c = '\n';
    process->input[process->input_size++] = c;
    push_terminal(process, &c, 1);
}

static int check_writable(const struct fake_process *process, struct sbx_error *err)
{
    if (process->ended)
        return err_set(err, SBX_ERR_UNAVAILABLE, "command %u has ended", process->pid);
    if (!process->input_open)
        return err_set(err, SBX_ERR_CONFLICT, "the input of command %u is closed", process->pid);
    return 0;
}

static int write_input(struct fake_process *process, const char *data, size_t size,
                       struct deadline deadline, struct sbx_error *err)
{
    for (;;) {
        int code = check_writable(process, err);
        if (code < 0)
            return code;
        size_t room = PROCESS_QUEUE_MAX - process->input_size, part = size < room ? size : room;
        if (process->flags & SBX_EXEC_PTY) {
            for (size_t i = 0; i < part; i++)
                type(process, data[i]);
        } else {
            memcpy(process->input + process->input_size, data, part);
            process->input_size += part;
        }
        fake_process_notify(process);
        data += part;
        size -= part;
        code = size ? fake_process_wait_change(process, deadline, err) : 0;
        if (code < 0 || size == 0)
            return code;
    }
}

int fake_process_write(void *self, const void *data, size_t size, const struct sbx_call *call,
                       struct sbx_error *err)
{
    struct fake_process *process = ((struct held *)self)->process;
    struct deadline deadline = deadline_from_call(call);
    fake_lock(process->box->provider);
    int code = write_input(process, data, size, deadline, err);
    fake_unlock(process->box->provider);
    return code;
}

int fake_process_close_input(void *self, struct sbx_error *err)
{
    struct fake_process *process = ((struct held *)self)->process;
    fake_lock(process->box->provider);
    process->input_open = false;
    fake_process_notify(process);
    fake_unlock(process->box->provider);
    return 0;
}

int fake_process_resize(void *self, uint16_t rows, uint16_t cols, struct sbx_error *err)
{
    struct fake_process *process = ((struct held *)self)->process;
    fake_lock(process->box->provider);
    process->rows = rows;
    process->cols = cols;
    fake_unlock(process->box->provider);
    return 0;
}
