// SPDX-License-Identifier: Apache-2.0
// The user-space network's process. Layer: jail.
#include "jail/netprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

#define DEVICE_FD 3
#define LEASH_FD 4

static void run_netstack(const struct jail *jail, int leash_fd)
{
    const struct box_spec *spec = &jail->spec;
    const char *argv[BOX_LISTS_MAX + 8] = {"sandboxes-netstack"};
    char uid[16];
    size_t count = 1;
    if (jail->privileged) {
        snprintf(uid, sizeof(uid), "%u", jail->ids.base + 65534);
        argv[count++] = "--uid";
        argv[count++] = uid;
    }
    argv[count++] = spec->network == SBX_NETWORK_ALLOW ? "allow" : "internet";
    for (size_t i = 0; i < spec->allow_count; i++)
        argv[count++] = spec->allow[i];
    int device = fcntl(jail->device_fd, F_DUPFD_CLOEXEC, 16);
    int leash = fcntl(leash_fd, F_DUPFD_CLOEXEC, 16);
    if (device < 0 || leash < 0 || dup2(device, DEVICE_FD) < 0 || dup2(leash, LEASH_FD) < 0)
        _exit(1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    static const char *const envp[] = {NULL};
    execve(spec->netstack, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)envp);
    _exit(1);
}

// One that can't be started or dies at once must not be tried in a busy loop for a chatty sandbox.
static void rest(void)
{
    static const struct timespec pause = {.tv_nsec = 100000000};
    nanosleep(&pause, NULL);
}

void netprocess_start(struct monitor *monitor)
{
    struct jail *jail = monitor->jail;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return rest();
    pid_t pid = fork();
    if (pid == 0)
        run_netstack(jail, ends[0]);
    close(ends[0]);
    if (pid < 0) {
        close(ends[1]);
        return rest();
    }
    monitor->netstack_pid = pid;
    monitor->netstack_fd = ends[1];
    monitor->netstack_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
}

void netprocess_stop(struct monitor *monitor)
{
    if (monitor->netstack_pid <= 0)
        return;
    kill(monitor->netstack_pid, SIGKILL);
    while (waitpid(monitor->netstack_pid, NULL, 0) < 0 && errno == EINTR)
        ;
    monitor->netstack_pid = 0;
    close(monitor->netstack_fd);
    close(monitor->netstack_pidfd);
    monitor->netstack_fd = monitor->netstack_pidfd = -1;
}

// The record of the sandbox, which shows and forks go by, with its rules as they are to be.
static int keep_rules(struct monitor *monitor, const struct box_spec *next, struct sbx_error *err)
{
    cleanup_buf struct buf data = BUF_INIT(BOX_SPEC_MAX);
    box_spec_put(&data, next);
    if (data.failed)
        return err_nomem(err);
    return monitor_write_record(monitor, BOX_FILE_SPEC, &data) < 0
               ? err_sys(err, 0, errno, "cannot keep the rules of the network")
               : 0;
}

int netprocess_change(struct monitor *monitor, struct wire_reader *fields, struct sbx_error *err)
{
    struct jail *jail = monitor->jail;
    struct box_spec next = jail->spec;
    if (jail->device_fd < 0) {
        err_set(err, SBX_ERR_UNSUPPORTED, "it was created without a network of its own");
        return err_hint(err, "create it with network 'internet' or 'allow'");
    }
    // The texts stay with the monitor, the packet does not.
    cleanup_free void *copy = malloc(fields->left + 1);
    if (!copy)
        return err_nomem(err);
    memcpy(copy, fields->at, fields->left);
    struct wire_reader in = wire_reader(copy, fields->left);
    next.network = wire_u32(&in);
    next.allow = wire_texts(&in, BOX_LISTS_MAX, &next.allow_count);
    cleanup_free const char **allow = next.allow;
    bool listed = next.allow_count > 0;
    if (!wire_end(&in) || next.network < SBX_NETWORK_NONE || next.network > SBX_NETWORK_ALLOW ||
        (next.network == SBX_NETWORK_ALLOW) > listed)
        return err_set(err, SBX_ERR_INVALID, "rules of the network that make no sense");
    int code = keep_rules(monitor, &next, err);
    if (code < 0)
        return code;
    netprocess_stop(monitor);
    free(jail->spec.allow);
    free(monitor->rules);
    jail->spec = next;
    steal_ptr(allow);
    monitor->rules = steal_ptr(copy);
    return 0;
}

void netprocess_reap(struct monitor *monitor)
{
    netprocess_stop(monitor);
    rest();
}
