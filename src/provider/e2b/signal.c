// SPDX-License-Identifier: Apache-2.0
// Signals to commands: envd itself knows two, and only the command's own process. Layer: provider.
#include <stdio.h>

#include "base/cleanup.h"
#include "provider/e2b/process.h"

/*
 * $1 is the signal, $2 the process. Descendants are found through /proc, where the fourth field of
 * stat, after the name in parentheses, is the parent; they are stopped on the way so that none is
 * made meanwhile.
 */
static const char script[] =
    "s=$1; all=$2; new=$2\n"
    "[ \"$s\" = 9 ] && kill -STOP $2 2>/dev/null\n"
    "while [ -n \"$new\" ]; do\n"
    "  next=\n"
    "  for f in /proc/[0-9]*/stat; do\n"
    "    read -r line < \"$f\" || continue\n"
    "    p=${line%% *}; rest=${line##*) }; rest=${rest#* }; parent=${rest%% *}\n"
    "    case \" $new \" in *\" $parent \"*) next=\"$next $p\"; [ \"$s\" = 9 ] && kill -STOP $p;; "
    "esac\n"
    "  done 2>/dev/null\n"
    "  all=\"$all $next\"; new=$next\n"
    "done\n"
    "kill -s $s $all 2>/dev/null || kill -s $s $2\n";

int e2b_signal_tree(struct e2b_box *box, const char *user, uint32_t pid, int signal,
                    struct deadline deadline, struct sbx_error *err)
{
    char number[16], process[16];
    const char *argv[] = {"/bin/sh", "-c", script, "sh", number, process};
    int exit_code = 0;
    snprintf(number, sizeof(number), "%d", signal);
    snprintf(process, sizeof(process), "%u", pid);
    int code = e2b_process_run(box, user, argv, ARRAY_SIZE(argv), deadline, &exit_code, NULL, err);
    if (code == 0 && exit_code != 0)
        return err_set(err, SBX_ERR_NOT_FOUND, "command %u does not run any more", pid);
    return code;
}
