// SPDX-License-Identifier: Apache-2.0
// Spares: see spare.h. Layer: jail.
#include "jail/spare.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/lean.h"
#include "jail/link.h"
#include "wire/frame.h"

// Behind whoever is at work: the sandbox that took the last one is about to run its first command.
#define NICE 10
#define DELAY_MS 3

struct helper {
    unsigned wishes; // spares to be made
    int64_t due_ms;  // not before: whoever wishes is at work
    int made_fd;     // to the one that is being made; -1: none
};

enum turn { TURN_AGAIN, TURN_END, TURN_CHILD };

static bool become(struct jail *jail, const struct helper *helper, int fd, const char *name)
{
    prctl(PR_SET_NAME, name);
    signal(SIGCHLD, SIG_DFL);
    if (helper->made_fd >= 0)
        close(helper->made_fd);
    close(jail->boot_fd);
    jail->boot_fd = fcntl(fd, F_DUPFD_CLOEXEC, 16);
    close(fd);
    return jail->boot_fd >= 0;
}

static void refuse(int fd)
{
    struct sbx_error err;
    jail_fail(&err, "init", "cannot start a monitor");
    (void)frame_send(fd, BOX_FAILED, &err, sizeof(err), NULL, 0, deadline_in(1000), NULL);
}

// The fewer pages, the less to copy.
static pid_t fork_lean(const struct jail *jail)
{
    if (getppid() != jail->starter)
        lean_shed();
    return fork();
}

// A jail like any other, at the other end of this socket.
static enum turn launch(struct jail *jail, const struct helper *helper, int fd)
{
    pid_t pid = fork_lean(jail);
    if (pid == 0)
        return become(jail, helper, fd, "sandboxes-jail") ? TURN_CHILD : TURN_END;
    if (pid < 0)
        refuse(fd);
    close(fd);
    return TURN_AGAIN;
}

// A message with a socket asks for a jail now, one without for a spare.
static enum turn hear(struct jail *jail, struct helper *helper)
{
    int fds[LINK_FDS_MAX];
    size_t count;
    if (link_receive(BOOT_FD, BOX_WISH, fds, &count) < 0 || count > 1)
        return TURN_END;
    if (count == 1)
        return launch(jail, helper, fds[0]);
    if (helper->wishes++ == 0)
        helper->due_ms = clock_boot_ms() + DELAY_MS;
    return TURN_AGAIN;
}

// When it says that it is ready, its socket goes to the client.
static enum turn hand_out(struct helper *helper)
{
    struct sbx_error ignored;
    char byte;
    int spare_fd = steal_fd(&helper->made_fd);
    bool good =
        recv(spare_fd, &byte, 1, 0) == 1 &&
        frame_send(BOOT_FD, BOX_SPARE, NULL, 0, &spare_fd, 1, deadline_in(10000), &ignored) == 0;
    close(spare_fd);
    return good ? TURN_AGAIN : TURN_END;
}

// Only who may take the old priority back may leave it.
static bool lower_priority(struct jail *jail)
{
    jail->nice = getpriority(PRIO_PROCESS, 0);
    return setpriority(PRIO_PROCESS, 0, NICE) == 0 &&
           setpriority(PRIO_PROCESS, 0, jail->nice) == 0 &&
           (jail->nice >= NICE || setpriority(PRIO_PROCESS, 0, NICE) == 0);
}

static enum turn make(struct jail *jail, struct helper *helper)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return TURN_END;
    pid_t pid = fork_lean(jail);
    if (pid == 0) {
        close(ends[0]);
        jail->spare = true;
        return become(jail, helper, ends[1], "sandboxes-spare") && lower_priority(jail) ? TURN_CHILD
                                                                                        : TURN_END;
    }
    close(ends[1]);
    helper->made_fd = ends[0];
    helper->wishes--;
    return pid < 0 ? TURN_END : TURN_AGAIN;
}

static int wait_ms(const struct helper *helper)
{
    bool idle = helper->made_fd >= 0 || !helper->wishes;
    return idle ? -1 : deadline_poll_ms((struct deadline){.at_ms = helper->due_ms});
}

static enum turn take_turn(struct jail *jail, struct helper *helper)
{
    struct pollfd fds[] = {{.fd = BOOT_FD, .events = POLLIN},
                           {.fd = helper->made_fd, .events = POLLIN}};
    int ready = poll(fds, ARRAY_SIZE(fds), wait_ms(helper));
    if (ready < 0)
        return errno == EINTR ? TURN_AGAIN : TURN_END;
    if (fds[0].revents) // somebody waits for a jail, nobody for a spare
        return hear(jail, helper);
    return fds[1].revents ? hand_out(helper) : make(jail, helper);
}

bool spare_fork(struct jail *jail)
{
    struct helper helper = {.made_fd = -1};
    enum turn turn = TURN_AGAIN;
    prctl(PR_SET_NAME, "sandboxes-spare");
    signal(SIGCHLD, SIG_IGN); // nobody waits for them
    bare_make(&jail->bare);
    while (turn == TURN_AGAIN)
        turn = take_turn(jail, &helper);
    return turn == TURN_CHILD;
}

bool spare_wait(const struct jail *jail)
{
    struct pollfd fds[] = {{.fd = jail->boot_fd, .events = POLLIN},
                           {.fd = jail->init_pidfd, .events = POLLIN}};
    if (send(jail->boot_fd, "", 1, MSG_NOSIGNAL) != 1)
        return false;
    while (poll(fds, ARRAY_SIZE(fds), -1) < 0)
        if (errno != EINTR)
            return false;
    return !fds[1].revents && fds[0].revents & POLLIN;
}

void spare_wake(const struct jail *jail)
{
    (void)setpriority(PRIO_PROCESS, 0, jail->nice);
}
