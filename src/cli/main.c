// SPDX-License-Identifier: Apache-2.0
// The command `sandboxes`: finds the command's row, reads its options, runs it. Layer: cli.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/message.h"
#include "engine/module.h"

// A descriptor 0, 1 or 2 that is closed would be given to the next file that is opened.
static void keep_standard_fds(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0)
            _exit(EXIT_OURS);
}

static void take_common(struct cli *cli, const struct common_values *common)
{
    if (common->config)
        cli->config_path = common->config;
    const char *parts = getenv("SANDBOXES_DEBUG"); // of the library that tell more, as "http"
    if (common->debug > 0)
        cli->debug = true;
    bool all = common->debug > 0 || (parts && parts[0]);
    sbx_log_set(all ? message_log : message_warning, NULL);
}

static void prepare(struct invocation *use, void *values, struct common_values *common)
{
    const struct command *command = use->command;
    for (size_t i = 0; i < COMMAND_PARTS_MAX && command->parts[i].title; i++) {
        const struct command_part *part = &command->parts[i];
        use->sets[use->set_count++] =
            (struct opt_set){part->rows, part->count, (char *)values + part->offset, 0};
    }
    use->sets[use->set_count++] = (struct opt_set){common_rows, common_row_count, common, 0};
}

static int check_count(const struct command *command, size_t count, struct sbx_error *err)
{
    if (count < command->least)
        err_set(err, SBX_ERR_INVALID, "'%s' needs more arguments: %s", command->name,
                command->operands);
    else if (count > command->most)
        err_set(err, SBX_ERR_INVALID, "'%s' takes fewer arguments", command->name);
    else
        return 0;
    return err_hint(err, "'sandboxes %s --help' shows how it is used", command->name);
}

static int run_parsed(struct cli *cli, struct invocation *use, int argc, const char *const *argv,
                      const struct common_values *common)
{
    struct sbx_error err;
    char help[80];
    snprintf(help, sizeof(help), "sandboxes %s --help", use->command->name);
    size_t free_operands = use->command->free_operands ? use->command->free_operands : SIZE_MAX;
    struct opt_grammar grammar = {use->sets, use->set_count, free_operands, help};
    int code = opt_parse(&grammar, argc, argv, &use->operands, &err);
    take_common(cli, common);
    if (code == 0 && common->help > 0)
        return help_command(cli, use->command);
    if (code == 0 && common->version > 0)
        return help_version(cli);
    if (code == 0)
        code = check_count(use->command, use->operands.count, &err);
    return code < 0 ? cli_usage(cli, &err) : use->command->run(cli, use);
}

static int run_command(struct cli *cli, const struct command *command, int argc,
                       const char *const *argv)
{
    cleanup_free void *values = calloc(1, command->values_size + 1);
    if (!values)
        return EXIT_OURS;
    struct sbx_error err;
    if (!command->alone && module_become_full(&err) < 0)
        return cli_fail(cli, &err);
    struct common_values common = {0};
    struct invocation use = {.command = command, .values = values, .argc = argc, .argv = argv};
    prepare(&use, values, &common);
    int status = run_parsed(cli, &use, argc, argv, &common);
    opt_operands_deinit(&use.operands);
    for (size_t i = 0; i < use.set_count; i++)
        opt_deinit(&use.sets[i]);
    return status;
}

static int complain_command(struct cli *cli, const char *name)
{
    struct sbx_error err;
    const char *near = command_suggest(name);
    err_set(&err, SBX_ERR_INVALID, "unknown command '%s'", name);
    if (near)
        err_hint(&err, "did you mean 'sandboxes %s'?", near);
    else
        err_hint(&err, "'sandboxes help' shows the commands; 'sandboxes run' runs a program");
    return cli_usage(cli, &err);
}

// Options before the command, then the command with the rest.
static int dispatch(struct cli *cli, int argc, const char *const *argv)
{
    struct common_values common = {0};
    struct opt_set set = {common_rows, common_row_count, &common, 0};
    struct opt_grammar grammar = {&set, 1, 0, "sandboxes help"};
    struct opt_operands operands;
    struct sbx_error err;
    int code = opt_parse(&grammar, argc, argv, &operands, &err), status;
    take_common(cli, &common);
    const char *name = operands.count > 0 ? operands.items[0] : NULL;
    const struct command *command = name ? command_find(name) : NULL;
    if (code < 0)
        status = cli_usage(cli, &err);
    else if (common.version > 0)
        status = help_version(cli);
    else if (!name || (common.help > 0 && !command))
        status = help_overview(cli, name || common.help > 0);
    else if (!command)
        status = complain_command(cli, name);
    else if (common.help > 0)
        status = help_command(cli, command);
    else
        status = run_command(cli, command, (int)operands.count - 1, operands.items + 1);
    opt_operands_deinit(&operands);
    return status;
}

int main(int argc, char **argv)
{
    keep_standard_fds();
    signal(SIGXFSZ, SIG_IGN); // a file past its size limit is an error like others
    struct cli cli = {0};
    int status = dispatch(&cli, argc - 1, (const char *const *)argv + 1);
    sbx_client_close(cli.client);
    return status;
}
