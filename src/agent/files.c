// SPDX-License-Identifier: Apache-2.0
// The worker of a connection in files mode. Layer: agent.
#include "agent/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/request.h"
#include "agent/rights.h"
#include "agent/worker.h"

#define OUT_FLUSH (64 * 1024)
#define OUT_MAX (OUT_FLUSH + 32 * 1024) // one entry with the longest path and link fits on top

typedef int files_fn(struct files *files, struct wire_reader *in, struct sbx_error *err);

#define FIRST_REQUEST FILES_READ

static files_fn *const handlers[] = {
    [FILES_READ - FIRST_REQUEST] = files_read,
    [FILES_WRITE - FIRST_REQUEST] = files_write,
    [FILES_STAT - FIRST_REQUEST] = files_stat,
    [FILES_LIST - FIRST_REQUEST] = files_list,
    [FILES_MKDIR - FIRST_REQUEST] = files_mkdir,
    [FILES_REMOVE - FIRST_REQUEST] = files_remove,
    [FILES_RENAME - FIRST_REQUEST] = files_rename,
    [FILES_GET_TREE - FIRST_REQUEST] = files_get_tree,
    [FILES_PUT_TREE - FIRST_REQUEST] = files_put_tree,
    [FILES_WATCH - FIRST_REQUEST] = files_watch,
};

void files_drop_part(struct files *files)
{
    if (files->part)
        unlinkat(files->part_fd, files->part, 0);
    files->part = NULL;
}

_Noreturn void files_quit(struct files *files)
{
    files_drop_part(files);
    _exit(0);
}

// The socket is blocking: an error is its end.
static void send_whole(struct files *files, const void *head, size_t head_size, const void *data,
                       size_t size)
{
    struct iovec parts[2] = {{(void *)(uintptr_t)head, head_size}, {(void *)(uintptr_t)data, size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    while (parts[0].iov_len + parts[1].iov_len > 0) {
        ssize_t sent = sendmsg(files->fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            files_quit(files);
        for (int i = 0; i < 2 && sent > 0; i++) {
            size_t step = (size_t)sent < parts[i].iov_len ? (size_t)sent : parts[i].iov_len;
            parts[i].iov_base = (char *)parts[i].iov_base + step;
            parts[i].iov_len -= step;
            sent -= (ssize_t)step;
        }
    }
}

static size_t take_ahead(struct files *files, const struct iovec *parts, int count)
{
    size_t taken = 0;
    for (int i = 0; i < count && files->ahead_size; i++) {
        size_t step = parts[i].iov_len < files->ahead_size ? parts[i].iov_len : files->ahead_size;
        memcpy(parts[i].iov_base, files->ahead, step);
        files->ahead += step;
        files->ahead_size -= step;
        taken += step;
    }
    return taken;
}

static size_t read_some(struct files *files, struct iovec *parts, int count)
{
    if (files->ahead_size)
        return take_ahead(files, parts, count);
    for (;;) {
        ssize_t got = readv(files->fd, parts, count);
        if (got > 0)
            return (size_t)got;
        if (got == 0 || errno != EINTR)
            files_quit(files);
    }
}

// Reads a payload whole, and what has come of the header after it in the same call.
static void read_payload(struct files *files, size_t size)
{
    for (size_t done = 0; done < size;) {
        struct iovec parts[2] = {{files->data + done, size - done},
                                 {files->header, sizeof(files->header)}};
        done += read_some(files, parts, 2);
        if (done > size) {
            files->header_size = done - size;
            return;
        }
    }
}

struct files_frame files_next(struct files *files)
{
    while (files->header_size < sizeof(files->header)) {
        struct iovec part = {files->header + files->header_size,
                             sizeof(files->header) - files->header_size};
        files->header_size += read_some(files, &part, 1);
    }
    struct wire_reader in = wire_reader(files->header, sizeof(files->header));
    uint32_t size = wire_u32(&in);
    struct files_frame frame = {.type = wire_u32(&in), .payload = files->data, .size = size};
    if (size > AGENT_DATA_MAX || wire_u32(&in) != 0)
        files_quit(files);
    files->header_size = 0;
    read_payload(files, size);
    return frame;
}

void files_flush(struct files *files)
{
    if (files->out.failed)
        files_quit(files);
    send_whole(files, files->out.data, files->out.size, NULL, 0);
    files->out.size = 0;
}

void files_put(struct files *files, uint32_t type, const struct buf *payload)
{
    if (payload && payload->failed)
        files_quit(files);
    frame_put(&files->out, type, 0, payload ? payload->data : NULL, payload ? payload->size : 0);
    if (files->out.size >= OUT_FLUSH)
        files_flush(files);
}

void files_put_entry(struct files *files, const struct files_entry *entry)
{
    cleanup_buf struct buf payload = BUF_INIT(3 * FILES_PATH_MAX);
    files_entry_put(&payload, entry);
    files_put(files, FILES_ENTRY, &payload);
}

void files_send_data(struct files *files, size_t size)
{
    uint8_t header[FRAME_HEADER_SIZE];
    files_flush(files);
    frame_header(header, (uint32_t)size, FILES_DATA, 0);
    send_whole(files, header, sizeof(header), files->data, size);
}

void files_skip(struct files *files, uint64_t size)
{
    while (size > 0) {
        struct files_frame frame = files_next(files);
        if (frame.type != FILES_DATA || frame.size == 0 || frame.size > size)
            files_quit(files);
        size -= frame.size;
    }
}

int files_malformed(struct sbx_error *err)
{
    return err_set(err, SBX_ERR_PROTOCOL, "the file request makes no sense to the sandbox");
}

int files_refuse(struct files *files, const struct sbx_error *error)
{
    cleanup_buf struct buf payload = BUF_INIT(4096);
    if (files->answered)
        return error->code;
    files->answered = true;
    agent_failed_put(&payload, error);
    files_put(files, AGENT_FAILED, &payload);
    files_flush(files);
    return error->code;
}

static void answer(struct files *files, int code, const struct sbx_error *error)
{
    if (code < 0) {
        files_refuse(files, error);
        return;
    }
    files_put(files, FILES_DONE, NULL);
    files_flush(files);
}

static void serve(struct files *files)
{
    for (;;) {
        struct sbx_error error;
        struct files_frame frame = files_next(files);
        size_t row = frame.type - FIRST_REQUEST;
        if (frame.type < FIRST_REQUEST || row >= ARRAY_SIZE(handlers))
            files_quit(files);
        // The payload is copied: handlers read further frames into its place.
        cleanup_free char *payload = malloc(frame.size + 1);
        if (payload)
            memcpy(payload, frame.payload, frame.size);
        else
            files_quit(files);
        struct wire_reader in = wire_reader(payload, frame.size);
        files->answered = false;
        answer(files, handlers[row](files, &in, &error), &error);
    }
}

struct task {
    struct user user;
    char home[256]; // of the default user: where relative paths begin
};

static int become(const struct agent *agent, const struct task *task, struct sbx_error *err)
{
    enum rights_step step = rights_become(&agent->config, &task->user);
    if (step != RIGHTS_OK)
        return rights_failed(step, errno, &task->user, err);
    // A change of user makes a process visible to that user again.
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_sys(err, 0, errno, "cannot hide the helper process");
    if (chdir(task->home) < 0 && chdir("/") < 0)
        return err_sys(err, 0, errno, "cannot enter '/' in the sandbox");
    umask(0); // modes are given in full
    return 0;
}

static void work(const struct agent *agent, struct worker *worker, void *payload)
{
    struct sbx_error error;
    struct files files = {
        .fd = worker->fd,
        .ahead = worker->ahead,
        .ahead_size = worker->ahead_size,
        .out = BUF_INIT(OUT_MAX),
    };
    int code = become(agent, payload, &error);
    if (code == 0 && !(files.data = malloc(AGENT_DATA_MAX)))
        code = err_nomem(&error);
    if (code < 0)
        worker_fail(files.fd, &error);
    else
        serve(&files);
}

static int find_users(struct agent *agent, const char *name, struct task *ret_task,
                      struct sbx_error *err)
{
    const struct user *user;
    int code = user_find(agent, "", &user, err);
    if (code < 0)
        return code;
    memcpy(ret_task->home, user->home, sizeof(ret_task->home));
    code = user_find(agent, name, &user, err);
    if (code == 0)
        ret_task->user = *user;
    return code;
}

int files_request(struct agent *agent, struct conn *conn, struct frame *frame)
{
    struct wire_reader in = wire_reader(frame->payload, frame->size);
    struct sbx_error error;
    struct task task;
    const char *name = wire_text(&in);
    if (!wire_end(&in))
        return -1;
    if (find_users(agent, name, &task, &error) == 0)
        return worker_start(agent, conn, work, &task);
    conn_fail(agent, conn, &error);
    return 0;
}
