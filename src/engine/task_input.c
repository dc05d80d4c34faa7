// SPDX-License-Identifier: Apache-2.0
// What goes to a running command: input, signals, the size of its terminal. Layer: engine.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "base/cleanup.h"
#include "base/sigpipe.h"
#include "engine/task_impl.h"
#include "wire/agent_msg.h"

/*
 * A socket that polls writable is at most a quarter full (unix_writable() in Linux), so a frame of
 * this size never blocks: the lock is held for no longer than a copy.
 */
#define INPUT_CHUNK (16 * 1024)
#define ROOM_PAUSE_MS 100

static int has_ended(const struct task *task, struct sbx_error *err)
{
    return err_set(err, SBX_ERR_NOT_FOUND, "command %u of sandbox %s has ended", task->pid,
                   task->box->id);
}

static int send_frame(struct task *task, uint32_t type, const void *payload, size_t size,
                      struct deadline deadline, struct sbx_error *err)
{
    pthread_mutex_lock(&task->lock);
    int code = task->conn.fd < 0
                   ? has_ended(task, err)
                   : frame_send(task->conn.fd, type, payload, size, NULL, 0, deadline, err);
    pthread_mutex_unlock(&task->lock);
    return code;
}

// 1 when the socket has no room now.
static int try_send(struct task *task, const char *data, size_t size, struct deadline deadline,
                    struct sbx_error *err)
{
    pthread_mutex_lock(&task->lock);
    struct pollfd room = {.fd = task->conn.fd, .events = POLLOUT};
    int code = 1;
    if (room.fd < 0)
        code = has_ended(task, err);
    else if (poll(&room, 1, 0) != 0)
        code = frame_send(room.fd, AGENT_INPUT, data, size, NULL, 0, deadline, err);
    pthread_mutex_unlock(&task->lock);
    return code;
}

// On a copy: the connection may end meanwhile and be given to somebody else. That is noticed by and
// by.
static int wait_room(struct task *task, struct deadline deadline, struct sbx_error *err)
{
    struct deadline pause = deadline_min(deadline, clock_boot_ms() + ROOM_PAUSE_MS);
    pthread_mutex_lock(&task->lock);
    cleanup_fd int fd = task->conn.fd < 0 ? -1 : fcntl(task->conn.fd, F_DUPFD_CLOEXEC, 0);
    pthread_mutex_unlock(&task->lock);
    if (fd < 0)
        return has_ended(task, err);
    int code = deadline_wait(pause, fd, POLLOUT, NULL, err);
    return code == SBX_ERR_TIMEOUT && deadline_poll_ms(deadline) != 0 ? 0 : code;
}

static int write_framed(struct task *task, const char *data, size_t size, struct deadline deadline,
                        struct sbx_error *err)
{
    while (size > 0) {
        size_t step = size < INPUT_CHUNK ? size : INPUT_CHUNK;
        int code = try_send(task, data, step, deadline, err);
        if (code == 1) {
            code = wait_room(task, deadline, err);
            step = 0;
        }
        if (code < 0)
            return code;
        data += step;
        size -= step;
    }
    return 0;
}

// A socket pair would spare the care about SIGPIPE, but programs can't open /dev/stdin anew when it
// is one.
static ssize_t write_quietly(int fd, const void *data, size_t size)
{
    struct sigpipe guard;
    sigpipe_block(&guard);
    ssize_t put = write(fd, data, size);
    sigpipe_restore(&guard);
    return put;
}

static int write_failed(const struct task *task, struct deadline deadline, struct sbx_error *err)
{
    if (errno == EINTR)
        return 0;
    if (errno == EAGAIN)
        return deadline_wait(deadline, task->in, POLLOUT, NULL, err);
    if (errno == EPIPE)
        return err_set(err, SBX_ERR_UNAVAILABLE, "command %u of sandbox %s has closed its input",
                       task->pid, task->box->id);
    return err_sys(err, 0, errno, "cannot write to command %u", task->pid);
}

static int write_direct(struct task *task, const char *data, size_t size, struct deadline deadline,
                        struct sbx_error *err)
{
    while (size > 0) {
        ssize_t put = write_quietly(task->in, data, size);
        if (put < 0) {
            int code = write_failed(task, deadline, err);
            if (code < 0)
                return code;
            continue;
        }
        data += put;
        size -= (size_t)put;
    }
    return 0;
}

static int no_input(const struct task *task, struct sbx_error *err)
{
    return err_set(err, SBX_ERR_CONFLICT, "the input of command %u of sandbox %s is closed",
                   task->pid, task->box->id);
}

int task_write(struct task *task, const void *data, size_t size, struct deadline deadline,
               struct sbx_error *err)
{
    if (!task->direct)
        return write_framed(task, data, size, deadline, err);
    if (task->in < 0)
        return no_input(task, err);
    return write_direct(task, data, size, deadline, err);
}

int task_close_input(struct task *task, struct sbx_error *err)
{
    if (!task->direct)
        return send_frame(task, AGENT_INPUT_END, NULL, 0, deadline_in(BOX_ANSWER_MS), err);
    if (task->in < 0)
        return no_input(task, err);
    close(steal_fd(&task->in));
    return 0;
}

int task_resize(struct task *task, uint16_t rows, uint16_t cols, struct sbx_error *err)
{
    cleanup_buf struct buf payload = BUF_INIT(64);
    wire_put_u32(&payload, rows);
    wire_put_u32(&payload, cols);
    if (payload.failed)
        return err_nomem(err);
    return send_frame(task, AGENT_RESIZE, payload.data, payload.size, deadline_in(BOX_ANSWER_MS),
                      err);
}

/*
 * The agent does not read on while input waits for a program that takes none, so a signal behind
 * that input takes a connection of its own. As with the others no answer is awaited.
 */
static int signal_past_input(struct task *task, int32_t signal, struct sbx_error *err)
{
    struct deadline deadline = deadline_in(BOX_ANSWER_MS);
    cleanup_conn struct conn conn = CONN_NONE;
    cleanup_buf struct buf payload = BUF_INIT(64);
    pthread_mutex_lock(&task->lock);
    int code = task->conn.fd < 0 ? has_ended(task, err) : 0;
    pthread_mutex_unlock(&task->lock);
    wire_put_u32(&payload, task->pid);
    wire_put_u32(&payload, (uint32_t)signal);
    if (code == 0 && payload.failed)
        code = err_nomem(err);
    if (code == 0)
        code = box_connect(task->box, deadline, &conn, err);
    return code < 0 ? code : conn_send(&conn, AGENT_SIGNAL_TO, &payload, deadline, err);
}

int task_signal(struct task *task, int32_t signal, struct sbx_error *err)
{
    cleanup_buf struct buf payload = BUF_INIT(64);
    if (!task->direct)
        return signal_past_input(task, signal, err);
    wire_put_u32(&payload, (uint32_t)signal);
    if (payload.failed)
        return err_nomem(err);
    return send_frame(task, AGENT_SIGNAL, payload.data, payload.size, deadline_in(BOX_ANSWER_MS),
                      err);
}
