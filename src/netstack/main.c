// SPDX-License-Identifier: Apache-2.0
/*
 * sandboxes-netstack: the user-space network of one sandbox, outside of it. Started by its monitor:
 *
 *     sandboxes-netstack [--uid N] internet [RULE...]    rules: what is reached besides, by number
 *     sandboxes-netstack [--uid N] allow RULE...
 *
 * with the descriptors of base/netplan.h. Ends with 0 when the leash or the device is gone, with 1
 * and a line on stderr when it can't start. Layer: netstack.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/netplan.h"
#include "base/netrules.h"
#include "base/units.h"
#include "netstack/confine.h"
#include "netstack/stack.h"

#define PROGRAM "sandboxes-netstack"

struct settings {
    int uid;
    bool internet;
    struct netrules *rules; // owned; NULL: none
};

static int usage(struct sbx_error *err)
{
    return err_set(err, SBX_ERR_INVALID, "usage: %s [--uid N] internet [RULE...] | allow RULE...",
                   PROGRAM);
}

static int read_arguments(char **args, struct settings *ret, struct sbx_error *err)
{
    int64_t uid = CONFINE_NO_UID;
    if (args[0] && strcmp(args[0], "--uid") == 0) {
        if (!args[1] || units_parse_int(args[1], 1, INT32_MAX, &uid) < 0)
            return usage(err);
        args += 2;
    }
    ret->uid = (int)uid;
    if (!args[0])
        return usage(err);
    ret->internet = strcmp(args[0], "internet") == 0;
    if (ret->internet && !args[1])
        return 0;
    if (!ret->internet && strcmp(args[0], "allow") != 0)
        return usage(err);
    size_t count = 0;
    while (args[1 + count])
        count++;
    return netrules_parse((const char *const *)args + 1, count, &ret->rules, err);
}

// The monitor's streams are not for what libraries say about a hostile guest. While the descriptor
// that is returned is open, errors can still be told.
static int silence(struct sbx_error *err)
{
    cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    cleanup_fd int report = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, NETPLAN_FD_LEASH + 1);
    if (null < 0 || report < 0)
        return err_sys(err, 0, errno, "cannot put away the streams");
    for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
        if (dup2(null, stream) < 0)
            return err_sys(err, 0, errno, "dup2");
    return steal_fd(&report);
}

static int run(const struct settings *settings, int *ret_report, struct sbx_error *err)
{
    struct stack *stack;
    int code = confine_identity(settings->uid, err);
    if (code < 0)
        return code;
    const struct stack_rules rules = {.only = settings->internet ? NULL : settings->rules,
                                      .extra = settings->internet ? settings->rules : NULL};
    code = stack_new(NETPLAN_FD_DEVICE, NETPLAN_FD_LEASH, &rules, &stack, err);
    if (code < 0)
        return code;
    int report = code = silence(err);
    if (code >= 0) {
        *ret_report = report;
        code = confine_reach(err);
    }
    if (code == 0) {
        close(report);
        *ret_report = -1;
        code = stack_run(stack, err);
    }
    stack_free(stack);
    return code;
}

int main(int argc, char **argv)
{
    struct sbx_error err = {0};
    struct settings settings = {0};
    signal(SIGPIPE, SIG_IGN);
    int report = STDERR_FILENO;
    int code = read_arguments(argc > 0 ? argv + 1 : argv, &settings, &err);
    if (code == 0)
        code = run(&settings, &report, &err);
    netrules_free(settings.rules);
    if (code == 0)
        return 0;
    dprintf(report, "%s: %s\n", PROGRAM, err.message);
    return code == SBX_ERR_INVALID ? 2 : 1;
}
