// SPDX-License-Identifier: Apache-2.0
// sandboxes run: a command or program in a sandbox of its own. Layer: cli.
#include "cli/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sandboxes/files.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/input.h"
#include "cli/message.h"
#include "cli/report.h"
#include "cli/run_pool.h"
#include "cli/settings.h"
#include "cli/signals.h"
#include "engine/module.h"

#define TIMEOUT_MS (120 * 1000)

#define FIELD(member) .offset = offsetof(struct run_values, member)

static const struct opt_row rows[] = {
    {.name = "file",
     .letter = 'f',
     .kind = OPT_STRING,
     .value = "FILE",
     FIELD(file),
     .help = "run this program; its suffix or #! line tells the language; '-' is standard input"},
    {.name = "lang",
     .alias = "language",
     .kind = OPT_STRING,
     .value = "LANGUAGE",
     FIELD(language),
     .help = "language of the program: python, node, typescript, go, rust, ruby, java, bash, sh"},
    {.name = "deps",
     .kind = OPT_FLAG,
     .flags = OPT_NEGATABLE,
     FIELD(deps),
     .help =
         "first install what go.mod, requirements.txt, pyproject.toml, package.json or Cargo.toml "
         "beside the program asks for"},
    {.name = "entrypoint",
     .kind = OPT_STRING,
     .value = "PROGRAM",
     FIELD(entrypoint),
     .help = "put this before the words of the command instead of the image's own entrypoint; '' "
             "puts nothing there"},
    {.name = "timeout",
     .letter = 't',
     .kind = OPT_DURATION,
     .value = "TIME",
     FIELD(timeout),
     .flags = OPT_SETTING,
     .help = "stop after that time (90, 30s, 5m); 0: never; 2 minutes unless on a terminal (-T)"},
    {.name = "reuse",
     .kind = OPT_FLAG,
     .flags = OPT_NEGATABLE,
     FIELD(reuse),
     .help = "use the running sandbox with the same labels, or make one; it stays"},
    {.name = "keep",
     .kind = OPT_FLAG,
     .flags = OPT_NEGATABLE,
     FIELD(keep),
     .help = "do not destroy the sandbox at the end"},
    {.name = "fallback",
     .kind = OPT_STRING,
     .value = "NAMES",
     FIELD(fallback),
     .help = "providers to try in turn when making the sandbox fails, e.g. daytona,local"},
    {.name = "retries",
     .kind = OPT_INT,
     .value = "N",
     .min = 0,
     .max = 100,
     FIELD(retries),
     .flags = OPT_SETTING,
     .help = "repeat a call that failed in passing up to N times, where that is safe"},
    {.name = "pool",
     .kind = OPT_INT,
     .value = "N",
     .min = 1,
     .max = 256,
     FIELD(pool),
     .help = "run many commands, N at a time, each in a fresh sandbox: each word is one, else each "
             "line of standard input"},
    {.name = "tty",
     .letter = 'T',
     .kind = OPT_FLAG,
     FIELD(tty),
     .help = "run it on a terminal; without a command: a shell to type in"},
    {.name = "json",
     .kind = OPT_FLAG,
     FIELD(json),
     .help = "print the result as one JSON object: exit_code, stdout, stderr, timings, error"},
    {.name = "quiet",
     .letter = 'q',
     .kind = OPT_FLAG,
     FIELD(quiet),
     .help = "say nothing but what the command says, and errors"},
};

static const struct command_example examples[] = {
    {"sandboxes run \"echo hello\"", "a line for the sandbox's shell"},
    {"sandboxes run -- python3 -c 'print(42)'", "words, each as it is"},
    {"sandboxes run --file script.py", "a program; the language by its suffix"},
    {"sandboxes run --image python:3.12-slim -- python3 --version", "in an image of Docker Hub"},
    {"cat main.go | sandboxes run --lang go", "a program from standard input"},
    {"sandboxes run --file app.py -l project=myapp --reuse", "in the same sandbox each time"},
    {"sandboxes run --fallback local -p e2b \"echo hello\"", "here, if there is no other way"},
    {"sandboxes run --pool 4 < commands", "each line in a sandbox of its own, four at a time"},
    {"sandboxes run \"make test\" --mount .:/src -w /src --network none", "on files of yours"},
    {NULL, NULL},
};

int64_t run_now_us(void)
{
    return clock_boot_ns() / 1000;
}

static struct pump make_pump(struct run *run, bool step)
{
    bool json = run->values->json > 0;
    struct pump pump = {.out_fd = step ? STDERR_FILENO : STDOUT_FILENO,
                        .err_fd = STDERR_FILENO,
                        .out = json ? step ? &run->err : &run->out : NULL,
                        .err = json ? &run->err : NULL,
                        .tty = run->values->tty > 0 && !step};
    bool program_was_stdin = run->program.kind == PROGRAM_TEXT && !run->program.path;
    pump.input =
        !step && !program_was_stdin && input_wanted() && (pump.tty || !isatty(STDIN_FILENO));
    return pump;
}

static int set_time_left(struct run *run, struct sbx_exec *exec, struct sbx_error *err)
{
    if (run->limit_ms == 0)
        return 0;
    exec->timeout_ms = deadline_poll_ms(run->deadline);
    if (exec->timeout_ms > 0)
        return 0;
    err_set(err, SBX_ERR_TIMEOUT, "no time is left to run the command");
    return err_hint(err, "allow more with -t");
}

int run_exec(struct run *run, struct sbx_exec *exec, bool step, struct sbx_error *err)
{
    struct pump pump = make_pump(run, step);
    exec->user = run->values->spec.user;
    exec->env = run->env.items;
    exec->env_count = run->env.count;
    int code = set_time_left(run, exec, err);
    return code < 0 ? code : pump_run(run->sandbox, exec, &pump, &run->end, err);
}

// Ends with this process unless it is to stay.
static bool stays(const struct run_values *values)
{
    return values->keep > 0 || values->reuse > 0;
}

static int check_values(const struct run_values *values, struct sbx_error *err)
{
    if (values->reuse > 0 && values->spec.labels.count == 0) {
        err_set(err, SBX_ERR_INVALID, "--reuse needs a label to find the sandbox by");
        return err_hint(err, "add one: -l NAME=VALUE");
    }
    if (values->reuse > 0 && values->fallback) {
        err_set(err, SBX_ERR_INVALID, "--reuse and --fallback exclude each other");
        return err_hint(err, "name the provider whose sandbox is reused with -p");
    }
    if (values->pool > 0 && (values->file || values->language || values->deps > 0 ||
                             stays(values) || values->tty > 0 || values->json > 0)) {
        err_set(err, SBX_ERR_INVALID, "--pool takes commands alone");
        return err_hint(err, "leave out --file, --lang, --deps, --reuse, --keep, --tty and --json");
    }
    if (values->json > 0 && values->tty > 0) {
        err_set(err, SBX_ERR_INVALID, "--json and --tty exclude each other");
        return err_hint(err, "leave out one of them");
    }
    return 0;
}

static int build_spec(struct run *run, struct sbx_error *err)
{
    int code = check_values(run->values, err);
    if (code == 0)
        code = spec_build(&run->values->spec, &run->spec, err);
    if (code < 0)
        return code;
    struct sbx_spec *spec = &run->spec.spec;
    spec->lifetime = stays(run->values) ? SBX_LIFETIME_DETACHED : SBX_LIFETIME_TIED;
    // Each command gets the environment; a sandbox that stays has it for later ones too.
    run->env = run->spec.env;
    run->spec.env = (struct pairs){0};
    if (!stays(run->values))
        spec->env_count = 0;
    return run->values->tty > 0 ? pairs_add_default(&run->env, "TERM", err) : 0;
}

static void start_clock(struct run *run, bool given)
{
    run->limit_ms = run->values->timeout;
    if (!given)
        run->limit_ms = run->values->tty > 0 ? 0 : TIMEOUT_MS;
    run->deadline = deadline_in(run->limit_ms);
}

// Says why it ended when that was not its own doing.
static void tell_end(const struct run *run)
{
    char text[UNITS_SIZE];
    if (run->values->quiet > 0)
        return;
    if (run->end.outcome.flags & SBX_OUTCOME_TIMED_OUT)
        message_note("stopped after %s (-t sets how long it may run)",
                     units_duration(run->limit_ms, text));
    if (run->end.outcome.flags & SBX_OUTCOME_OOM)
        message_note("the sandbox ran out of memory (--memory sets how much it has)");
    if (run->end.truncated)
        message_note("more than %s of output: the rest is not in the result",
                     units_bytes(REPORT_OUTPUT_MAX, text));
}

static int run_inside(struct run *run, bool timeout_given, struct sbx_error *err)
{
    int code = run_make_sandbox(run, err);
    run->created_us = run_now_us();
    if (code < 0)
        return code;
    start_clock(run, timeout_given);
    code = run_prepare(run, err);
    run->ready_us = run_now_us();
    if (code == 0)
        code = run_start(run, err);
    run->ended_us = run_now_us();
    if (code < 0)
        return code;
    tell_end(run);
    return 0;
}

static void destroy(struct run *run)
{
    struct sbx_error err;
    if (sbx_sandbox_destroy(run->sandbox, NULL, &err) < 0 && err.code != SBX_ERR_NOT_FOUND)
        message_error(err.message, err.remedy);
}

// What this run put into a sandbox that goes on living.
static void remove_program(struct run *run)
{
    struct sbx_file_options options = SBX_FILE_OPTIONS_INIT;
    options.recursive = 1;
    options.user = run->values->spec.user;
    if (run->dir[0])
        sbx_file_remove(run->sandbox, run->dir, &options, NULL, NULL);
}

static void clean_up(struct run *run, bool failed)
{
    if (!run->sandbox)
        return;
    signals_cleaning();
    if (run->created && (!stays(run->values) || (failed && run->values->reuse <= 0)))
        destroy(run);
    else
        remove_program(run);
    if (run->values->keep > 0 && !failed && run->values->quiet <= 0)
        message_note("%s kept; destroy it with: sandboxes destroy %s", sbx_sandbox_id(run->sandbox),
                     sbx_sandbox_id(run->sandbox));
    run->gone_us = run_now_us();
}

static int finish(struct run *run, int code, const struct sbx_error *err)
{
    if (run->values->json > 0) {
        if (code < 0 && !(code == SBX_ERR_CANCELLED && signals_fatal()))
            message_error(err->message, err->remedy);
        int status = run_report(run, code < 0 ? err : NULL);
        return status ? status : code < 0 ? cli_exit_status(err) : pump_exit_status(&run->end);
    }
    return code < 0 ? cli_fail(run->cli, err) : pump_exit_status(&run->end);
}

static int run_batch(struct run *run, struct invocation *use)
{
    struct sbx_error err;
    int status = 0, code = signals_install(&err);
    start_clock(run, opt_seen_field(&use->sets[0], &run->values->timeout));
    if (code == 0)
        code = run_pool(run, &use->operands, &status, &err);
    return code < 0 ? cli_fail(run->cli, &err) : status;
}

static int run_program_or_line(struct run *run, struct invocation *use)
{
    struct sbx_error err;
    int code = signals_install(&err);
    if (code == 0)
        code = run_inside(run, opt_seen_field(&use->sets[0], &run->values->timeout), &err);
    clean_up(run, code < 0);
    return finish(run, code, &err);
}

// Modules are opened when the sandbox is made, when that has been read already, or more than one.
static bool needs_modules(const struct run_values *values, const struct opt_operands *operands)
{
    bool from_stdin = values->file ? strcmp(values->file, "-") == 0 : !operands->count;
    return from_stdin || values->pool > 0 || values->fallback || values->retries > 0;
}

static int run_all(struct run *run, struct invocation *use)
{
    struct sbx_error err;
    struct config config = {0};
    run->began_us = run_now_us();
    int code = settings_apply(run->cli, use, "run", &config, &err);
    if (code == 0)
        code = build_spec(run, &err);
    if (code == 0 && needs_modules(run->values, &use->operands))
        code = module_become_full(&err);
    if (code == 0 && run->values->pool <= 0)
        code = program_read(run->values->file, run->values->language, &use->operands,
                            run->values->tty > 0, &run->program, &err);
    int status;
    if (code < 0) {
        status = err.code == SBX_ERR_SETUP ? cli_fail(run->cli, &err) : cli_usage(run->cli, &err);
    } else {
        status = run->values->pool > 0 ? run_batch(run, use) : run_program_or_line(run, use);
    }
    config_deinit(&config);
    return status;
}

static int run_run(struct cli *cli, struct invocation *use)
{
    struct run run = {.cli = cli,
                      .values = use->values,
                      .out = BUF_INIT(REPORT_OUTPUT_MAX),
                      .err = BUF_INIT(REPORT_OUTPUT_MAX)};
    cli->quiet = run.values->quiet > 0;
    cli->json = run.values->json > 0;
    int status = run_all(&run, use);
    sbx_sandbox_free(run.sandbox);
    sbx_manager_close(run.manager);
    spec_deinit(&run.spec);
    program_deinit(&run.program);
    pairs_deinit(&run.env);
    buf_deinit(&run.out);
    buf_deinit(&run.err);
    return status;
}

const struct command command_run = {
    .name = "run",
    .aliases = "",
    .summary = "run a command or program in a sandbox of its own",
    .operands = "[OPTIONS] [COMMAND | -- PROGRAM ARGUMENTS...]",
    .details =
        "Makes a sandbox, runs the command in it with your standard input and output, and destroys "
        "the "
        "sandbox. The exit status is the command's own.\n\n"
        "COMMAND is one line for the sandbox's shell; several words, or words after '--', are a "
        "program "
        "and its arguments, passed as they are. With --file, or with --lang and a program on "
        "standard "
        "input, the program goes into the sandbox as a file, so any bytes will do; words after "
        "'--' are "
        "its arguments. With --lang, COMMAND is the program itself.\n\n"
        "An image of a registry may have an entrypoint, which is put before a program and its "
        "arguments, not before a line for the shell; '--' alone runs what the image itself "
        "runs.\n\n"
        "A sandbox that run made ends with it, however it ends, unless --keep or --reuse is "
        "given.\n\n"
        "With --fallback, the providers are tried in the order given after the first one; when all "
        "have failed, the message says why each did. With --pool, what the commands write is shown "
        "in their order, and the exit status is that of the first that did not end with 0; warm "
        "sandboxes are not kept between invocations: label one and use --reuse for that.",
    .examples = examples,
    .parts = {{"Options", rows, ARRAY_SIZE(rows), 0},
              {"Options of the sandbox", spec_rows, SPEC_ROW_COUNT,
               offsetof(struct run_values, spec)}},
    .values_size = sizeof(struct run_values),
    .most = SIZE_MAX,
    .free_operands = 1,
    .complete = COMPLETE_FILES,
    .alone = true,
    .run = run_run,
};
