// SPDX-License-Identifier: Apache-2.0
// Terminals: pts(4), ioctl_tty(2). Layer: agent.
#include "agent/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

#ifndef TIOCGPTPEER // Linux 4.13; musl's own value is the same
#define TIOCGPTPEER _IO('T', 0x41)
#endif

#define SIDE_DEFAULT(value, fallback) ((unsigned short)((value) ? (value) : (fallback)))

int pty_open(uint32_t rows, uint32_t cols, const struct user *user, int *ret_master, int *ret_slave,
             struct sbx_error *err)
{
    struct winsize size = {.ws_row = SIDE_DEFAULT(rows, 24), .ws_col = SIDE_DEFAULT(cols, 80)};
    int unlock = 0;
    cleanup_fd int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
        return err_sys(err, 0, errno, "cannot open a terminal (/dev/ptmx) in the sandbox");
    // By the master's ioctl, not by a name in /dev/pts, which the sandbox may have changed.
    cleanup_fd int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return err_sys(err, 0, errno, "cannot open the other side of a terminal in the sandbox");
    ioctl(master, TIOCSWINSZ, &size);
    // Who can't own it can still use it, only not open it a second time by name.
    if (fchown(slave, user->uid, user->gid) == 0)
        fchmod(slave, 0620);
    *ret_master = steal_fd(&master);
    *ret_slave = steal_fd(&slave);
    return 0;
}
