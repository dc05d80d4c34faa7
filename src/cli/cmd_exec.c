// SPDX-License-Identifier: Apache-2.0
// sandboxes exec and shell: commands in a living sandbox. Layer: cli.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/input.h"
#include "cli/message.h"
#include "cli/out.h"
#include "cli/pairs.h"
#include "cli/pump.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/target.h"

struct exec_values {
    const char *provider, *user, *cwd;
    struct opt_list env, env_files;
    int64_t timeout;
    int interactive, tty, detach, json;
};

#define FIELD(member) .offset = offsetof(struct exec_values, member)

#define PLACE_ROWS                                                                                 \
    {.name = "env",                                                                                \
     .letter = 'e',                                                                                \
     .kind = OPT_PAIR,                                                                             \
     .value = "NAME=VALUE",                                                                        \
     FIELD(env),                                                                                   \
     .flags = OPT_NAME_ALONE,                                                                      \
     .help = "environment variable; NAME alone takes the value from here; repeatable"},            \
        {.name = "env-file",                                                                       \
         .kind = OPT_LIST,                                                                         \
         .value = "FILE",                                                                          \
         FIELD(env_files),                                                                         \
         .help = "environment variables, one NAME=VALUE a line; repeatable"},                      \
        {.name = "cwd",                                                                            \
         .letter = 'w',                                                                            \
         .alias = "workdir",                                                                       \
         .kind = OPT_STRING,                                                                       \
         .value = "DIR",                                                                           \
         FIELD(cwd),                                                                               \
         .help = "directory in which it starts"},                                                  \
    {                                                                                              \
        .name = "user", .letter = 'u', .kind = OPT_STRING, .value = "USER", FIELD(user),           \
        .help = "user that it runs as"                                                             \
    }

static const struct opt_row exec_rows[] = {
    {.name = "interactive",
     .letter = 'i',
     .kind = OPT_FLAG,
     FIELD(interactive),
     .help = "pass standard input on even when it is a terminal"},
    {.name = "tty",
     .letter = 't',
     .kind = OPT_FLAG,
     FIELD(tty),
     .help = "run it on a terminal (with -i: yours)"},
    {.name = "detach",
     .letter = 'd',
     .kind = OPT_FLAG,
     FIELD(detach),
     .help = "leave it running and print its number; see 'sandboxes logs'"},
    {.name = "timeout",
     .kind = OPT_DURATION,
     .value = "TIME",
     FIELD(timeout),
     .help = "stop it after that time (90, 30s, 5m)"},
    {.name = "json",
     .kind = OPT_FLAG,
     FIELD(json),
     .help = "print the result as one JSON object: exit_code, stdout, stderr, error"},
    PLACE_ROWS,
    PROVIDER_ROW("look for the sandbox only there"),
};

static const struct opt_row shell_rows[] = {PLACE_ROWS,
                                            PROVIDER_ROW("look for the sandbox only there")};

// What both commands need.
struct job {
    struct cli *cli;
    const struct exec_values *values;
    struct sbx_sandbox *sandbox;
    struct pairs env;
    struct sbx_exec exec;
};

static void job_deinit(struct job *job)
{
    sbx_sandbox_free(job->sandbox);
    pairs_deinit(&job->env);
}
#define cleanup_job cleanup(job_deinit)

static int fill_env(struct job *job, bool tty, struct sbx_error *err)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < job->values->env_files.count; i++)
        code = pairs_add_file(&job->env, job->values->env_files.items[i], err);
    if (code == 0)
        code = pairs_add_list(&job->env, &job->values->env, err);
    if (code == 0 && tty)
        code = pairs_add_default(&job->env, "TERM", err);
    job->exec.env = job->env.items;
    job->exec.env_count = job->env.count;
    return code;
}

static int open_job(struct job *job, const char *id, bool tty, struct sbx_error *err)
{
    job->exec = (struct sbx_exec)SBX_EXEC_INIT;
    job->exec.user = job->values->user;
    job->exec.cwd = job->values->cwd;
    job->exec.timeout_ms = job->values->timeout;
    int code = fill_env(job, tty, err);
    if (code == 0)
        code = signals_install(err);
    if (code == 0)
        code = target_get(job->cli, job->values->provider, id, &job->sandbox, err);
    return code;
}

// One word without "--" is a line for the shell, as for `run`.
static void fill_command(struct sbx_exec *exec, const struct opt_operands *operands)
{
    if (operands->count == 2 && operands->dashed == SIZE_MAX) {
        exec->shell = operands->items[1];
        return;
    }
    exec->argv = operands->items + 1;
    exec->argc = operands->count - 1;
}

static int detach(struct job *job)
{
    struct sbx_error err;
    struct sbx_process *process;
    cleanup_buf struct buf buf = BUF_INIT(256);
    job->exec.flags |= SBX_EXEC_BACKGROUND;
    if (sbx_process_start(job->sandbox, &job->exec, NULL, &process, &err) < 0)
        return cli_fail(job->cli, &err);
    if (job->values->json > 0)
        buf_printf(&buf, "{\"pid\":%u}\n", sbx_process_pid(process));
    else
        buf_printf(&buf, "%u\n", sbx_process_pid(process));
    sbx_process_free(process);
    return out_flush(job->cli, &buf);
}

static int finish_json(struct job *job, const struct pump *pump, const struct pump_end *end,
                       const struct sbx_error *err)
{
    cleanup_buf struct buf buf = BUF_INIT(OUT_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (err)
        message_error(err->message, err->remedy);
    int status = err ? cli_exit_status(err) : pump_exit_status(end);
    json_begin_object(&json);
    report_end(&json, status, end, pump->out, pump->err);
    report_error(&json, err);
    json_end_object(&json);
    job->cli->json = false;
    int printed = out_json(job->cli, &json);
    return printed ? printed : status;
}

static int attend(struct job *job)
{
    struct sbx_error err;
    struct pump_end end = {0};
    cleanup_buf struct buf out = BUF_INIT(REPORT_OUTPUT_MAX), errors = BUF_INIT(REPORT_OUTPUT_MAX);
    bool json = job->values->json > 0, tty = job->values->tty > 0;
    bool input = job->values->interactive > 0 || !isatty(STDIN_FILENO);
    struct pump pump = {.out_fd = STDOUT_FILENO,
                        .err_fd = STDERR_FILENO,
                        .out = json ? &out : NULL,
                        .err = json ? &errors : NULL,
                        .tty = tty,
                        .input = input && input_wanted()};
    int code = pump_run(job->sandbox, &job->exec, &pump, &end, &err);
    if (json)
        return finish_json(job, &pump, &end, code < 0 ? &err : NULL);
    return code < 0 ? cli_fail(job->cli, &err) : pump_exit_status(&end);
}

static int run_exec_command(struct cli *cli, struct invocation *use)
{
    struct sbx_error err;
    cleanup_job struct job job = {.cli = cli, .values = use->values};
    cli->json = job.values->json > 0;
    if (use->operands.dashed == 0) {
        err_set(&err, SBX_ERR_INVALID, "the sandbox is missing before '--'");
        err_hint(&err, "write it as: sandboxes exec SANDBOX -- PROGRAM ARGUMENTS");
        return cli_usage(cli, &err);
    }
    if (open_job(&job, use->operands.items[0], job.values->tty > 0, &err) < 0)
        return cli_fail(cli, &err);
    fill_command(&job.exec, &use->operands);
    return job.values->detach > 0 ? detach(&job) : attend(&job);
}

// The login shell of the sandbox: bash where there is one.
static int run_shell(struct cli *cli, struct invocation *use)
{
    static const char *const shells[][2] = {{"bash", "-l"}, {"sh", "-l"}};
    struct sbx_error err;
    struct pump_end end;
    cleanup_job struct job job = {.cli = cli, .values = use->values};
    bool tty = isatty(STDIN_FILENO);
    struct pump pump = {
        .out_fd = STDOUT_FILENO, .err_fd = STDERR_FILENO, .tty = tty, .input = input_wanted()};
    int code = open_job(&job, use->operands.items[0], tty, &err);
    for (size_t i = 0; code == 0 && i < ARRAY_SIZE(shells); i++) {
        job.exec.argv = shells[i];
        job.exec.argc = 2;
        code = pump_run(job.sandbox, &job.exec, &pump, &end, &err);
        if (code == 0)
            return pump_exit_status(&end);
        if (code == SBX_ERR_EXEC && err.sys_errno == ENOENT && i + 1 < ARRAY_SIZE(shells))
            code = 0;
    }
    return cli_fail(cli, &err);
}

static const struct command_example exec_examples[] = {
    {"sandboxes exec sb-abc123 \"ls -la\"", "a line for the sandbox's shell"},
    {"sandboxes exec sb-abc123 -- grep -r 'a b' .", "words, each as it is"},
    {"sandboxes exec -it sb-abc123 python3", "on a terminal"},
    {"sandboxes exec -d sb-abc123 \"python3 -m http.server\"", "in the background"},
    {NULL, NULL},
};

const struct command command_exec = {
    .name = "exec",
    .aliases = "",
    .summary = "run a command in a living sandbox",
    .operands = "[OPTIONS] SANDBOX COMMAND | SANDBOX -- PROGRAM ARGUMENTS...",
    .details = "Runs the command with your standard input and output; the exit status is the "
               "command's own. "
               "SANDBOX is an id or the beginning of one.\n\n"
               "COMMAND is one line for the sandbox's shell; several words, or words after '--', "
               "are a program "
               "and its arguments, passed as they are. Standard input is passed on when it is not "
               "a terminal, "
               "or with -i.",
    .examples = exec_examples,
    .parts = {{"Options", exec_rows, ARRAY_SIZE(exec_rows), 0}},
    .values_size = sizeof(struct exec_values),
    .least = 2,
    .most = SIZE_MAX,
    .free_operands = 2,
    .complete = COMPLETE_SANDBOX,
    .alone = true,
    .run = run_exec_command,
};

const struct command command_shell = {
    .name = "shell",
    .aliases = "connect",
    .summary = "open a shell in a living sandbox",
    .operands = "[OPTIONS] SANDBOX",
    .details = "Opens a login shell on your terminal: bash where the sandbox has it, else sh.",
    .parts = {{"Options", shell_rows, ARRAY_SIZE(shell_rows), 0}},
    .values_size = sizeof(struct exec_values),
    .least = 1,
    .most = 1,
    .complete = COMPLETE_SANDBOX,
    .alone = true,
    .run = run_shell,
};
