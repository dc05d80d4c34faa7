// SPDX-License-Identifier: Apache-2.0
// The cancel token: a pipe with a byte in it that nobody reads. Layer: base.
#include "base/cancel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"

// A pipe rather than an eventfd: the library is portable, and one unread byte stays readable for
// all.
struct sbx_cancel {
    int read_fd;
    int write_fd;
};

int sbx_cancel_new(struct sbx_cancel **ret_cancel, struct sbx_error *err)
{
    cleanup_free struct sbx_cancel *cancel = calloc(1, sizeof(*cancel));
    if (!cancel)
        return err_nomem(err);
    int ends[2];
    if (fd_pipe(ends) < 0)
        return err_sys(err, 0, errno, "cannot make a pipe for a cancel token");
    cancel->read_fd = ends[0];
    cancel->write_fd = ends[1];
    fd_set_nonblock(cancel->write_fd, true);
    *ret_cancel = steal_ptr(cancel);
    return 0;
}

void sbx_cancel_trigger(struct sbx_cancel *cancel)
{
    int saved = errno;
    ssize_t written = write(cancel->write_fd, "", 1);
    (void)written; // EAGAIN: triggered more often than the pipe holds, which is fine
    errno = saved;
}

void sbx_cancel_free(struct sbx_cancel *cancel)
{
    if (!cancel)
        return;
    close(cancel->read_fd);
    close(cancel->write_fd);
    free(cancel);
}

int cancel_fd(const struct sbx_cancel *cancel)
{
    return cancel ? cancel->read_fd : -1;
}

bool cancel_triggered(const struct sbx_cancel *cancel)
{
    if (!cancel)
        return false;
    struct pollfd poll_fd = {.fd = cancel->read_fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) > 0;
}
