// SPDX-License-Identifier: Apache-2.0
// See become.h. Layer: cli.
#include "cli/become.h"

#include <errno.h>
#include <unistd.h>

#include "engine/launch.h"

int cli_become(struct cli *cli, const char *program, const char *remedy, const char *const *argv)
{
    char path[4096];
    struct sbx_error err;
    if (launch_find_program(program, path, sizeof(path), &err) < 0) {
        err_hint(&err, "%s", remedy);
        return cli_fail(cli, &err);
    }
    execv(path, (char *const *)(uintptr_t)argv);
    err_sys(&err, SBX_ERR_EXEC, errno, "cannot start '%s'", path);
    return cli_fail(cli, &err);
}
