// SPDX-License-Identifier: Apache-2.0
// Carries our standard input to a command in a sandbox. Layer: cli.
#include "cli/input.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cancel.h"

#define CHUNK_SIZE (64 * 1024)

bool input_wanted(void)
{
    struct stat st;
    if (fstat(STDIN_FILENO, &st) < 0)
        return false;
    return !(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
}

// Waits for input; false when we are asked to stop. A regular file is always ready.
static bool wait_input(struct input *input)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = cancel_fd(input->stop), .events = POLLIN}};
    while (poll(fds, 2, -1) < 0)
        if (errno != EINTR)
            return false;
    return !fds[1].revents;
}

// One piece; false at the end of input or when the command takes no more.
static bool carry(struct input *input, char *chunk)
{
    ssize_t got = read(STDIN_FILENO, chunk, CHUNK_SIZE);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    if (got == 0)
        return false;
    struct sbx_call call = SBX_CALL_INIT;
    call.cancel = input->stop;
    return sbx_process_write(input->process, chunk, (size_t)got, &call, NULL) == 0;
}

static void *run_input(void *payload)
{
    struct input *input = payload;
    char chunk[CHUNK_SIZE];
    while (wait_input(input))
        if (!carry(input, chunk)) {
            sbx_process_close_input(input->process, NULL);
            break;
        }
    return NULL;
}

int input_start(struct input *input, struct sbx_process *process, struct sbx_error *err)
{
    *input = (struct input){.process = process};
    int code = sbx_cancel_new(&input->stop, err);
    if (code < 0)
        return code;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); // signals are the main thread's
    int failed = pthread_create(&input->thread, NULL, run_input, input);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        sbx_cancel_free(input->stop);
        return err_sys(err, 0, failed, "cannot start the thread that reads standard input");
    }
    input->running = true;
    return 0;
}

void input_stop(struct input *input)
{
    if (!input->running)
        return;
    sbx_cancel_trigger(input->stop);
    pthread_join(input->thread, NULL);
    sbx_cancel_free(input->stop);
    input->running = false;
}
