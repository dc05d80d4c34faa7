// SPDX-License-Identifier: Apache-2.0
// See save.h. Layer: vmm.
#include "vmm/save.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vmm/frozen.h"
#include "vmm/qemu.h"

#define LINES_MAX 16384 // of answers to one order
#define PAUSE_NS 5000000

struct talk {
    int fd;
    int state_fd;
    struct deadline deadline;
    char text[LINES_MAX];
    size_t size;
};

struct order {
    const char *text;
    const char *answer;
    bool with_state; // its descriptor goes with the order
};

// QEMU's machine protocol (docs/interop/qmp-spec.txt). Answers are not parsed: each that matters
// has a word of its own. Events may come between. The guest runs until all is written.
static const struct order orders[] = {
    {"", "\"QMP\"", false},
    {"{\"execute\":\"qmp_capabilities\"}", "\"return\"", false},
    {"{\"execute\":\"migrate-set-capabilities\",\"arguments\":{\"capabilities\":["
     "{\"capability\":\"x-ignore-shared\",\"state\":true},"
     "{\"capability\":\"events\",\"state\":true}]}}",
     "\"return\"", false},
    {"{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"state\"}}", "\"return\"", true},
    {"{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"fd:state\"}}", "\"completed\"", false},
};

static int say(const struct talk *talk, const char *text, bool with_state)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec data = {.iov_base = (char *)(uintptr_t)text, .iov_len = strlen(text)};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    if (with_state) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &talk->state_fd, sizeof(int));
    }
    return sendmsg(talk->fd, &message, MSG_NOSIGNAL) == (ssize_t)data.iov_len ? 0 : -1;
}

static int hear(struct talk *talk)
{
    struct pollfd fd = {.fd = talk->fd, .events = POLLIN};
    size_t room = sizeof(talk->text) - 1 - talk->size;
    if (room == 0 || poll(&fd, 1, deadline_poll_ms(talk->deadline)) <= 0)
        return -1;
    ssize_t got = read(talk->fd, talk->text + talk->size, room);
    if (got <= 0)
        return -1;
    talk->size += (size_t)got;
    talk->text[talk->size] = '\0';
    return 0;
}

static int carry_out(struct talk *talk, const struct order *order)
{
    talk->size = 0; // what was heard before is no answer
    talk->text[0] = '\0';
    if (order->text[0] && say(talk, order->text, order->with_state) < 0)
        return -1;
    while (!strstr(talk->text, order->answer))
        if (strstr(talk->text, "\"error\"") || strstr(talk->text, "\"failed\"") || hear(talk) < 0)
            return -1;
    return 0;
}

// It tells of the end of a migration before that has ended; a guest that is frozen meanwhile would
// not go on when it is told to.
static int wait_for_end(struct talk *talk)
{
    static const struct order order = {"{\"execute\":\"query-status\"}", "\"return\"", false};
    const struct timespec pause = {0, PAUSE_NS};
    while (carry_out(talk, &order) == 0) {
        if (strstr(talk->text, "\"postmigrate\""))
            return 0;
        if (deadline_poll_ms(talk->deadline) == 0)
            break;
        nanosleep(&pause, NULL);
    }
    return -1;
}

int save_guest(int monitor_fd, int state_fd, struct deadline deadline)
{
    struct talk talk = {.fd = monitor_fd, .state_fd = state_fd, .deadline = deadline};
    for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
        if (carry_out(&talk, &orders[i]) < 0)
            return -1;
    return wait_for_end(&talk);
}

int save_freeze(pid_t pid, struct deadline deadline)
{
    const struct timespec pause = {0, PAUSE_NS};
    int status;
    for (; waitpid(pid, &status, WNOHANG) == 0; nanosleep(&pause, NULL))
        if (deadline_poll_ms(deadline) == 0 || kill(pid, FROZEN_SIGNAL) < 0)
            return -1;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int tell(int monitor_fd, const char *text)
{
    return send(monitor_fd, text, strlen(text), MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int save_restore(int monitor_fd)
{
    return tell(monitor_fd, "migrate_set_capability x-ignore-shared on\n"
                            "migrate_incoming fd:" QEMU_STATE_FD "\n");
}

int save_go_on(int monitor_fd)
{
    return tell(monitor_fd, "{\"execute\":\"cont\"}");
}
