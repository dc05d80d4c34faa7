// SPDX-License-Identifier: Apache-2.0
// See warm.h. Layer: vmm.
#include "vmm/warm.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vmm/qemu.h"
#include "wire/agent_msg.h"

#define IDLE_MS 50 // who makes a sandbox for a command at once has sent it by then
#define REHEARSED 12
#define COMMANDS 6 // the second of a kind goes ways that the first did not, and so on, ever less

void warm_init(struct warm *warm)
{
    *warm = (struct warm){.begin = {DEADLINE_NEVER, NULL}, .fd = -1};
}

void warm_wait(struct warm *warm)
{
    warm->begin = deadline_in(IDLE_MS);
}

static bool send_command(struct warm *warm, const char *program)
{
    const char *argv[] = {program, AGENT_WARM_ARGUMENT, NULL};
    struct agent_exec exec = {
        .flags = AGENT_EXEC_UNSEEN, .cwd = "", .user = "", .shell = "", .argv = argv, .argc = 2};
    cleanup_buf struct buf payload = BUF_INIT(1024);
    agent_exec_put(&payload, &exec);
    return !payload.failed && frame_send(warm->fd, AGENT_EXEC, payload.data, payload.size, NULL, 0,
                                         (struct deadline){.at_ms = 0}, NULL) == 0;
}

// One after the other: a program that no directory of PATH has, then some times one that is there.
static bool send_next(struct warm *warm)
{
    if (warm->sent == (warm->rehearses ? REHEARSED : COMMANDS))
        return false;
    if (warm->sent++ == 0)
        return send_command(warm, "sandboxes-no-program");
    return send_command(warm, warm->rehearses && warm->sent % 2 ? QEMU_SHOW : AGENT_WARM_PROGRAM);
}

// False at the end; the guest may say what it likes.
static bool take_answers(struct warm *warm)
{
    struct frame frame;
    int got = frame_fill(warm->fd, &warm->in);
    if (got < 0)
        return false;
    while ((got = frame_next(&warm->in, &frame)) > 0)
        if ((frame.type == AGENT_EXIT || frame.type == AGENT_FAILED) && !send_next(warm))
            return false;
    return got == 0;
}

static void end(struct warm *warm)
{
    close(steal_fd(&warm->fd));
    frame_in_deinit(&warm->in);
}

static void begin(struct warm *warm, struct mux *mux)
{
    int ends[2];
    warm->begin.at_ms = DEADLINE_NEVER;
    if (mux->used || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return;
    warm->fd = ends[0];
    frame_in_init(&warm->in);
    mux_add(mux, ends[1]);
    if (!send_next(warm))
        end(warm);
}

void warm_rehearse(struct warm *warm, struct mux *mux)
{
    warm->rehearses = true;
    begin(warm, mux);
}

void warm_turn(struct warm *warm, struct mux *mux, short revents)
{
    if (warm->begin.at_ms != DEADLINE_NEVER && deadline_poll_ms(warm->begin) == 0)
        begin(warm, mux);
    else if (revents && !take_answers(warm))
        end(warm);
}
