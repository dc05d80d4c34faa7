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
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "wire/frame.h"

// Behind whoever is at work: the sandbox that took the last one is about to run its first command.
#define NICE 10
#define DELAY_MS 3

// Waits for the next wish, and then a moment for others. False at the end of the socket.
static bool is_wanted(void)
{
    static const struct timespec delay = {.tv_nsec = DELAY_MS * 1000000L};
    char byte;
    ssize_t got = recv(BOOT_FD, &byte, 1, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) {
        do
            got = recv(BOOT_FD, &byte, 1, 0);
        while (got < 0 && errno == EINTR);
        nanosleep(&delay, NULL);
    }
    return got == 1;
}

// When it says that it is ready, its socket goes to the client.
static bool hand_out(int spare_fd)
{
    struct sbx_error ignored;
    char byte;
    ssize_t got;
    do
        got = recv(spare_fd, &byte, 1, 0);
    while (got < 0 && errno == EINTR);
    return got == 1 &&
           frame_send(BOOT_FD, BOX_SPARE, NULL, 0, &spare_fd, 1, deadline_in(10000), &ignored) == 0;
}

static bool become_spare(struct jail *jail, int fd)
{
    signal(SIGCHLD, SIG_DFL);
    setsid();
    close(jail->boot_fd);
    jail->boot_fd = fcntl(fd, F_DUPFD_CLOEXEC, 16);
    close(fd);
    return jail->boot_fd >= 0;
}

// Only who may take the old priority back may leave it.
static bool lower_priority(struct jail *jail)
{
    jail->nice = getpriority(PRIO_PROCESS, 0);
    return setpriority(PRIO_PROCESS, 0, NICE) == 0 &&
           setpriority(PRIO_PROCESS, 0, jail->nice) == 0 &&
           (jail->nice >= NICE || setpriority(PRIO_PROCESS, 0, NICE) == 0);
}

bool spare_fork(struct jail *jail)
{
    jail->spare = true;
    prctl(PR_SET_NAME, "sandboxes-spare");
    signal(SIGCHLD, SIG_IGN); // nobody waits for them
    bool good = lower_priority(jail);
    while (good && is_wanted()) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
            break;
        pid_t pid = fork();
        if (pid == 0) {
            close(ends[0]);
            return become_spare(jail, ends[1]);
        }
        close(ends[1]);
        good = pid > 0 && hand_out(ends[0]);
        close(ends[0]);
    }
    return false;
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
