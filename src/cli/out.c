// SPDX-License-Identifier: Apache-2.0
// Results on standard output, written whole. Layer: cli.
#include "cli/out.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/fd.h"

static int fail_nomem(struct cli *cli)
{
    struct sbx_error err;
    err_nomem(&err);
    return cli_fail(cli, &err);
}

int out_flush(struct cli *cli, struct buf *buf)
{
    if (buf->failed)
        return fail_nomem(cli);
    if (fd_write_full(STDOUT_FILENO, buf->data, buf->size) == 0)
        return 0;
    if (errno == EPIPE)
        return EXIT_SIGNAL + SIGPIPE;
    struct sbx_error err;
    err_sys(&err, SBX_ERR_IO, errno, "cannot write standard output");
    err_hint(&err, "check where the output goes: is its disk full?");
    cli->json = false; // its JSON could not be written either
    return cli_fail(cli, &err);
}

int out_json(struct cli *cli, struct json *json)
{
    buf_add(json->buf, "\n", 1);
    return out_flush(cli, json->buf);
}
