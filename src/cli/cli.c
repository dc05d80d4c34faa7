// SPDX-License-Identifier: Apache-2.0
// What all commands share. Layer: cli.
#include "cli/cli.h"

#include <errno.h>

#include "cli/message.h"
#include "cli/naming.h"
#include "cli/out.h"
#include "cli/report.h"
#include "cli/signals.h"

int cli_client(struct cli *cli, const char *provider, struct sbx_client **ret_client,
               struct sbx_error *err)
{
    if (!cli->client) {
        struct sbx_client_options options = SBX_CLIENT_OPTIONS_INIT;
        options.provider = provider;
        options.config_path = cli->config_path;
        int code = sbx_client_open(&options, &cli->client, err);
        if (code < 0)
            return code;
    }
    *ret_client = cli->client;
    return 0;
}

// Ctrl-C goes to all of the terminal's processes: a jail that has just been started may hear it and
// end before we do.
static bool is_cancelled(const struct sbx_error *err)
{
    return signals_fatal() && (err->code == SBX_ERR_CANCELLED || err->code == SBX_ERR_UNAVAILABLE);
}

int cli_exit_status(const struct sbx_error *err)
{
    if (err->code == SBX_ERR_EXEC)
        return err->sys_errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
    if (is_cancelled(err))
        return EXIT_SIGNAL + signals_fatal();
    return EXIT_OURS;
}

static void tell_json(struct cli *cli, const struct sbx_error *err)
{
    cleanup_buf struct buf buf = BUF_INIT(16 * 1024);
    struct json json = JSON_INIT(&buf, true);
    json_begin_object(&json);
    report_error(&json, err);
    json_end_object(&json);
    cli->json = false;
    out_json(cli, &json);
}

static void tell(const struct sbx_error *err)
{
    cleanup_buf struct buf named = BUF_INIT(4 * sizeof(err->message));
    naming_add(&named, err->message);
    const char *message = buf_text(&named);
    message_error(message ? message : err->message, err->remedy);
}

int cli_fail(struct cli *cli, const struct sbx_error *err)
{
    // Whoever pressed Ctrl-C knows that it was cancelled.
    if (!is_cancelled(err))
        tell(err);
    if (cli->json)
        tell_json(cli, err);
    return cli_exit_status(err);
}

// Too little of something is nobody's mistake in the command line.
static bool is_shortage(const struct sbx_error *err)
{
    return err->code == SBX_ERR_NOMEM || err->sys_errno == EMFILE || err->sys_errno == ENFILE;
}

int cli_usage(struct cli *cli, const struct sbx_error *err)
{
    int status = cli_fail(cli, err);
    return is_shortage(err) ? status : EXIT_USAGE;
}
