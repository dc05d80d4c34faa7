// SPDX-License-Identifier: Apache-2.0
// What ends the sandbox of a launcher that was killed. Layer: metaflow.
#include "metaflow/launcher/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/id.h"

#define ARMED '1'
#define TRIES 40 // a creation that was on its way may still be answered
#define BETWEEN_MS 250
#define CALL_MS 10000

// True when there was one, and it is gone.
static bool end_all(struct sbx_client *client, const char *provider, const struct sbx_pair *label)
{
    const struct sbx_call call = {.size = sizeof(call), .timeout_ms = CALL_MS};
    struct sbx_error ignored;
    struct sbx_list list;
    bool ended = false;
    if (sbx_sandbox_list(client, provider, label, 1, &call, &list, &ignored) < 0)
        return false;
    for (size_t i = 0; i < list.count; i++) {
        struct sbx_sandbox *box;
        if (sbx_sandbox_get(client, provider, list.items[i].id, &call, &box, &ignored) < 0)
            continue;
        ended |= sbx_sandbox_destroy(box, &call, &ignored) == 0;
        sbx_sandbox_free(box);
    }
    sbx_list_free(&list);
    return ended;
}

static void act(const char *provider, const char *id)
{
    const struct sbx_pair label = {GUARD_LABEL, id};
    const struct timespec pause = {.tv_nsec = BETWEEN_MS * 1000000L};
    struct sbx_client_options options = SBX_CLIENT_OPTIONS_INIT;
    struct sbx_client *client;
    struct sbx_error ignored;
    options.provider = provider;
    if (sbx_client_open(&options, &client, &ignored) < 0)
        return;
    for (int i = 0; i < TRIES && !end_all(client, provider, &label); i++)
        nanosleep(&pause, NULL);
    sbx_client_close(client);
}

// A Ctrl-C of the terminal is for all of its processes, and its output is not ours to hold open.
static void leave_terminal(void)
{
    setsid();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        dup2(null, fd);
}

static _Noreturn void wait_for_end(const struct step_options *options, int fd, const char *id)
{
    char last = 0, got;
    leave_terminal();
    while (fd_read_full(fd, &got, 1) == 1)
        last = got;
    if (last == ARMED)
        act(options->provider, id);
    _exit(0);
}

int guard_start(const struct step_options *options, struct guard *ret_guard, struct sbx_error *err)
{
    int ends[2];
    char id[ID_SIZE];
    *ret_guard = (struct guard){.fd = -1};
    if (!options->package || options->debug)
        return 0;
    if (id_new(id) < 0 || fd_pipe(ends) < 0)
        return err_sys(err, SBX_ERR_IO, errno, "cannot make a pipe");
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[1]);
        wait_for_end(options, ends[0], id);
    }
    close(ends[0]);
    if (pid < 0) {
        close(ends[1]);
        return err_sys(err, SBX_ERR_SETUP, errno, "cannot start the sandbox's guard");
    }
    ret_guard->fd = ends[1];
    ret_guard->pid = pid;
    snprintf(ret_guard->id, sizeof(ret_guard->id), "%s", id);
    return 0;
}

void guard_arm(const struct guard *guard, bool armed)
{
    if (guard->fd >= 0 && write(guard->fd, armed ? "1" : "0", 1) < 0) {
        // It is gone; the service's time limit is what is left.
    }
}

void guard_end(struct guard *guard)
{
    if (guard->fd < 0)
        return;
    close(steal_fd(&guard->fd));
    while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR) {
    }
}
