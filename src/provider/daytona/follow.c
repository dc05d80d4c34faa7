// SPDX-License-Identifier: Apache-2.0
/*
 * Commands whose output is read as it comes, by one call until their end, where the server is
 * `sandboxes serve`: one request, whose answer is the output as it is, in envelopes of five bytes
 * (a flag and the size) and what they hold. Ending the request ends the command. Layer: provider.
 */
#include <string.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "net/status.h"
#include "provider/daytona/process.h"

#define STREAM_TYPE "application/vnd.sandboxes.output"
#define HEAD_SIZE sizeof(((struct daytona_process *)0)->head)
#define KIND_END 3
#define END_MAX (64u << 10)
#define PIECE_MAX (256u << 10)
#define ANSWER_MAX HTTP_REPLY_MAX

static int refuse(struct sbx_error *err)
{
    return err_set(err, SBX_ERR_PROTOCOL, "the command's output is not in the server's form");
}

// --- What comes

static int read_some(struct daytona_process *process, void *data, size_t size,
                     struct deadline deadline, size_t *ret_size, struct sbx_error *err)
{
    int code = http_read(process->stream, data, size, deadline, ret_size, err);
    if (code == 0 && *ret_size == 0)
        return err_set(err, SBX_ERR_UNAVAILABLE, "the service did not say how the command ended");
    return code;
}

// The next envelope's flag and size.
static int read_head(struct daytona_process *process, struct deadline deadline,
                     struct sbx_error *err)
{
    const uint8_t *head = process->head;
    while (process->head_size < HEAD_SIZE) {
        size_t got;
        int code = read_some(process, process->head + process->head_size,
                             HEAD_SIZE - process->head_size, deadline, &got, err);
        if (code < 0)
            return code;
        process->head_size += got;
    }
    process->left = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
    process->out.size = 0;
    bool known = head[0] >= SBX_STDOUT && head[0] <= KIND_END;
    return known && (head[0] != KIND_END || process->left <= END_MAX) ? 0 : refuse(err);
}

// More of what the envelope holds, behind what is there of it.
static int read_piece(struct daytona_process *process, struct deadline deadline,
                      struct sbx_error *err)
{
    size_t size = process->left < PIECE_MAX ? process->left : PIECE_MAX, got;
    char *room = buf_reserve(&process->out, size);
    if (!room)
        return err_nomem(err);
    int code = read_some(process, room, size, deadline, &got, err);
    if (code < 0)
        return code;
    buf_commit(&process->out, got);
    process->left -= got;
    return 0;
}

static int read_end(struct daytona_process *process, struct sbx_error *err)
{
    cleanup_jsonv struct jsonv *told = NULL;
    int code = jsonv_parse(process->out.data, process->out.size, &told, err);
    const char *lost = jsonv_text(told, "lost");
    if (lost)
        return err_set(err, SBX_ERR_UNAVAILABLE, "%.400s", lost);
    return code < 0 ? code : program_outcome(told, &process->outcome, err);
}

int follow_next(struct daytona_process *process, struct deadline deadline,
                struct output_event *ret_event, struct sbx_error *err)
{
    for (;;) {
        int code = process->head_size < HEAD_SIZE ? read_head(process, deadline, err) : 0;
        bool end = process->head[0] == KIND_END;
        if (code == 0 && !end)
            process->out.size = 0; // what came before has been read
        if (code == 0 && process->left > 0)
            code = read_piece(process, deadline, err);
        if (code < 0)
            return code;
        if (process->left == 0)
            process->head_size = 0;
        if (end && process->left == 0) {
            *ret_event = (struct output_event){.kind = OUTPUT_EXIT};
            return read_end(process, err);
        }
        if (!end && process->out.size) {
            *ret_event = (struct output_event){.kind = OUTPUT_DATA, .stream = process->head[0]};
            return 0;
        }
    }
}

// --- Start

// An answer in one piece: the program could not begin, or the server follows none.
static int read_answer(struct daytona_process *process, const struct sbx_exec *exec, int status,
                       struct deadline deadline, struct sbx_error *err)
{
    cleanup_reply struct http_reply reply = {.status = status, .body = BUF_INIT(ANSWER_MAX)};
    cleanup_jsonv struct jsonv *answer = NULL;
    process->kept[0].limit = process->kept[1].limit = ANSWER_MAX;
    int code = http_read_all(process->stream, &reply.body, deadline, err);
    if (code < 0)
        return code;
    if (status_code(status) < 0) {
        reply.headers = *http_headers(process->stream);
        code = status_error("cannot run the command", &reply, err);
        reply.headers = (struct buf){0};
        return code;
    }
    code = jsonv_parse(reply.body.data, reply.body.size, &answer, err);
    if (code == 0)
        code = program_read(process, exec, answer, err);
    process->whole = process->exited = process->ends[0] = process->ends[1] = code == 0;
    return code;
}

static int begin(struct daytona_process *process, const struct sbx_exec *exec,
                 struct deadline deadline, struct sbx_error *err)
{
    cleanup_buf struct buf body = BUF_INIT(2 * SCRIPT_MAX);
    char type[100] = "";
    int status;
    program_body(&body, process, exec, true);
    int code = daytona_toolbox_begin(process->box, "POST", "process/execute", &body,
                                     &process->stream, err);
    if (code == 0)
        code = http_wait(process->stream, deadline, &status, err);
    if (code < 0)
        return err_wrap(err, "cannot run the command"), code;
    http_header_get(http_headers(process->stream), "content-type", type, sizeof(type));
    return status == 200 && strcmp(type, STREAM_TYPE) == 0
               ? 0
               : read_answer(process, exec, status, deadline, err);
}

int daytona_process_follow(void *self, const struct sbx_exec *exec, const struct sbx_call *call,
                           void **ret_process, struct sbx_error *err)
{
    struct daytona_box *box = self;
    struct deadline deadline = cloud_deadline(call);
    cleanup_process struct daytona_process *process = NULL;
    if (!box->programs || exec->flags & (SBX_EXEC_PTY | SBX_EXEC_STDIN | SBX_EXEC_BACKGROUND))
        return daytona_process_start(self, exec, call, ret_process, err);
    if (cancel_triggered(deadline.cancel))
        return err_set(err, SBX_ERR_CANCELLED, "cancelled before the command began");
    int code = process_new(box, &process, err);
    if (code == 0)
        code = process_name(process, err);
    if (code == 0)
        code = begin(process, exec, deadline, err);
    if (code == 0)
        *ret_process = steal_ptr(process);
    return code;
}
