// SPDX-License-Identifier: Apache-2.0
// Output of a direct command: straight from its pipes. Layer: engine.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "engine/task_impl.h"

#define FLOW_FIRST (64 * 1024)
#define FLOW_MOST (512 * 1024)
#define QUICK_MS 4              // a timer past the next tick of the kernel's costs nothing
#define PIPE_MOST (1024 * 1024) // default of fs.pipe-max-size, pipe(7)

/*
 * Programs may open their /dev/stdout anew, which asks for rights on the pipe: it belongs to us,
 * who are nobody inside. Others can't come near it: it has no name but in /proc/PID/fd of its
 * holders.
 */
static void allow_reopening(int fd)
{
    fchmod(fd, 0666);
}

// One end stays ours and never blocks: the program has the other one, and may read and write what
// it likes.
static int make_pipe(bool output, int *ret_ours, int *ret_theirs, struct sbx_error *err)
{
    int ends[2];
    if (fd_pipe(ends) < 0)
        return err_sys(err, 0, errno, "cannot make a pipe for the command");
    *ret_ours = ends[output ? 0 : 1];
    *ret_theirs = ends[output ? 1 : 0];
    allow_reopening(*ret_theirs);
    if (fcntl(*ret_ours, F_SETFL, O_NONBLOCK | (output ? O_RDONLY : O_WRONLY)) < 0)
        return err_sys(err, 0, errno, "cannot make a pipe not block");
    return 0;
}

int task_open_pipes(struct task *task, struct task_pipes *ret_pipes, struct sbx_error *err)
{
    int *theirs = ret_pipes->theirs;
    int code = 0;
    if (task->flags & SBX_EXEC_STDIN)
        code = make_pipe(false, &task->in, &theirs[0], err);
    if (code == 0)
        code = make_pipe(true, &task->out[TASK_OUT], &theirs[1], err);
    if (code == 0 && (task->flags & SBX_EXEC_MERGE))
        theirs[2] = theirs[1];
    else if (code == 0)
        code = make_pipe(true, &task->out[TASK_ERR], &theirs[2], err);
    return code;
}

void task_close_pipes(struct task_pipes *pipes)
{
    int *theirs = pipes->theirs;
    if (theirs[2] == theirs[1])
        theirs[2] = -1;
    for (int i = 0; i < 3; i++)
        cleanup_fd_fn(&theirs[i]);
}

// Memory and pipes are small until more flows than they hold.
static char *choose_buffer(struct task *task, int fd, size_t *ret_size)
{
    if (task->flows && task->large_size < FLOW_MOST) {
        size_t size = task->large ? FLOW_MOST : FLOW_FIRST;
        free(task->large);
        task->large = malloc(size);
        task->large_size = task->large ? size : 0;
        task->flows = false;
        (void)fcntl(fd, F_SETPIPE_SZ,
                    PIPE_MOST); // refused past the user's quota: then it stays small
    }
    *ret_size = task->large ? task->large_size : sizeof(task->small);
    return task->large ? task->large : task->small;
}

// At most `most` bytes. 0: output was there; 1: nothing now, or the end of the stream.
static int read_stream(struct task *task, int stream, size_t most, struct sbx_event *ret_event,
                       struct sbx_error *err)
{
    size_t size;
    char *buffer = choose_buffer(task, task->out[stream], &size);
    ssize_t got = read(task->out[stream], buffer, size < most ? size : most);
    if (got < 0 && errno != EAGAIN && errno != EINTR)
        return err_sys(err, 0, errno, "cannot read the command's output");
    if (got == 0)
        close(steal_fd(&task->out[stream]));
    if (got <= 0)
        return 1;
    task->flows = (size_t)got == size;
    *ret_event = (struct sbx_event){.kind = SBX_EVENT_OUTPUT,
                                    .stream = stream == TASK_OUT ? SBX_STDOUT : SBX_STDERR,
                                    .data = buffer,
                                    .size = (size_t)got};
    return 0;
}

// What is in the pipes when the command has ended is its output. What its children write later is
// not.
static void measure_rest(struct task *task)
{
    for (int i = 0; i < TASK_STREAMS; i++) {
        int queued = 0;
        if (task->out[i] >= 0 && ioctl(task->out[i], FIONREAD, &queued) == 0 && queued > 0)
            task->rest[i] = (size_t)queued;
    }
    task->measured = true;
    if (task->outcome.duration_us < QUICK_MS * 1000 && !task->large)
        atomic_store(&task->box->quick, true);
}

static int read_rest(struct task *task, struct sbx_event *ret_event, struct sbx_error *err)
{
    if (!task->measured)
        measure_rest(task);
    for (int i = 0; i < TASK_STREAMS; i++) {
        if (task->rest[i] == 0)
            continue;
        int code = read_stream(task, i, task->rest[i], ret_event, err);
        if (code == 0)
            task->rest[i] -= ret_event->size;
        else
            task->rest[i] = 0; // somebody else has read it
        if (code <= 0)
            return code;
    }
    return 1;
}

enum { POLL_CONN, POLL_CANCEL, POLL_STREAMS, POLL_COUNT = POLL_STREAMS + TASK_STREAMS };

/*
 * Where only the end matters a short command's output waits in the pipes. Whoever is woken by it
 * comes to run beside the command, and what follows happens on another processor, which has to be
 * woken too and has nothing of it in its caches. A sandbox whose last command was long, or filled
 * pipes, gets no such wait: they would be full until it is over.
 */
static int poll_end_first(const struct task *task, struct pollfd *fds, struct deadline deadline)
{
    int most = deadline_poll_ms(deadline);
    if (task->answer_ms && most != 0 && atomic_load(&task->box->quick)) {
        int ready = poll(fds, POLL_STREAMS, most < 0 || most > QUICK_MS ? QUICK_MS : most);
        if (ready != 0)
            return ready;
        atomic_store(&task->box->quick, false);
        most = deadline_poll_ms(deadline);
    }
    return poll(fds, POLL_COUNT, most);
}

static int wait_any(struct task *task, struct deadline deadline, struct pollfd *fds,
                    struct sbx_error *err)
{
    fds[POLL_CONN] = (struct pollfd){.fd = task->conn.fd, .events = POLLIN};
    fds[POLL_CANCEL] = (struct pollfd){.fd = cancel_fd(deadline.cancel), .events = POLLIN};
    for (int i = 0; i < TASK_STREAMS; i++)
        fds[POLL_STREAMS + i] = (struct pollfd){.fd = task->out[i], .events = POLLIN};
    int ready = poll_end_first(task, fds, deadline);
    if (ready < 0 && errno != EINTR)
        return err_sys(err, 0, errno, "cannot wait for the command");
    if (ready == 0)
        return err_set(err, SBX_ERR_TIMEOUT, "timed out");
    if (ready < 0)
        memset(fds, 0, POLL_COUNT * sizeof(*fds));
    if (fds[POLL_CANCEL].revents)
        return err_set(err, SBX_ERR_CANCELLED, "cancelled");
    return 0;
}

// One of the streams that have something; the other one is asked first the next time.
static int read_ready(struct task *task, const struct pollfd *fds, struct sbx_event *ret_event,
                      struct sbx_error *err)
{
    int first = task->next, code = 1;
    for (int k = 0; k < TASK_STREAMS && code == 1; k++) {
        int i = (first + k) % TASK_STREAMS;
        if (!fds[POLL_STREAMS + i].revents)
            continue;
        code = read_stream(task, i, SIZE_MAX, ret_event, err);
        task->next = (i + 1) % TASK_STREAMS;
    }
    return code;
}

// The connection comes first: a child that floods the pipe must not hide that the command has
// ended.
int task_read_direct(struct task *task, struct deadline deadline, struct sbx_event *ret_event,
                     struct sbx_error *err)
{
    if (task->ended)
        return read_rest(task, ret_event, err);
    int code = 1;
    while (code == 1) {
        struct pollfd fds[POLL_COUNT];
        if (task->conn.in.buffer.size > task->conn.in.consumed)
            return 1;
        code = wait_any(task, deadline, fds, err);
        if (code < 0 || fds[POLL_CONN].revents)
            return code < 0 ? code : 1;
        code = read_ready(task, fds, ret_event, err);
    }
    return code;
}
