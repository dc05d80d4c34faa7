// SPDX-License-Identifier: Apache-2.0
/*
 * sandboxes-step: what Metaflow starts for a step that is to run in a sandbox, in place of a second
 * interpreter. Its arguments come from python/metaflow_extensions/sandbox, its last ones are the
 * step's own command. Layer: metaflow.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "metaflow/launcher/forward.h"
#include "metaflow/launcher/merge.h"
#include "metaflow/launcher/message.h"
#include "metaflow/launcher/run.h"

#define EXIT_NO_RETRY 202 // METAFLOW_EXIT_DISALLOW_RETRY, metaflow/metaflow_config.py
#define EXIT_TIMED_OUT 124

// Of the process, as signals are.
static _Atomic(struct sbx_cancel *) token;
static atomic_int ended_by;

static void on_signal(int number)
{
    atomic_store(&ended_by, number);
    struct sbx_cancel *cancel = atomic_load(&token);
    if (cancel)
        sbx_cancel_trigger(cancel);
}

// The flow's end is this process's: on Ctrl-C the terminal tells all, kill -9 of the flow the
// kernel. The sandbox is tied to us and needs no handler.
static void watch_signals(struct sbx_cancel *cancel)
{
    struct sigaction action = {.sa_handler = on_signal};
    atomic_store(&token, cancel);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == 1)
        on_signal(SIGTERM);
}

// As if the step had been our own process: the runtime tells a segmentation fault from a failure.
static int die_by(int number)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(number, SIG_DFL);
    raise(number);
    return 128 + number;
}

// Trying again can't help while the cause is how the flow or this machine is set up.
static bool is_final(int code)
{
    static const int final[] = {SBX_ERR_INVALID, SBX_ERR_NOT_FOUND,   SBX_ERR_AUTH,
                                SBX_ERR_DENIED,  SBX_ERR_UNSUPPORTED, SBX_ERR_SETUP};
    for (size_t i = 0; i < ARRAY_SIZE(final); i++)
        if (final[i] == code)
            return true;
    return false;
}

static bool is_infra(int code)
{
    return code == SBX_ERR_UNAVAILABLE || code == SBX_ERR_PROTOCOL || code == SBX_ERR_IO ||
           code == SBX_ERR_TIMEOUT;
}

static void tell_outcome(const struct step_options *options, const struct sbx_outcome *outcome)
{
    if (outcome->flags & SBX_OUTCOME_TIMED_OUT)
        message_note("step '%s' was ended after its %lld s; allow more with @sandbox(timeout=...)",
                     options->step, (long long)options->timeout / 1000);
    if (outcome->flags & SBX_OUTCOME_OOM)
        message_note("step '%s' ran out of memory; give it more with @sandbox(memory=...), in MB",
                     options->step);
}

// A sandbox that was lost before the step said anything is made again; later the step's own retries
// decide.
static int run_until_told(struct step_run *run, struct sbx_error *err)
{
    for (int64_t left = run->options->infra_retries;; left--) {
        int code = step_run(run, err);
        if (!is_infra(code) || run->output || left <= 0 || atomic_load(&ended_by))
            return code;
        message_note("%s; trying again with a new sandbox", err->message);
    }
}

// What an attempt leaves is taken over however it ended: its metadata, and with a mark or without.
static int take_over(const struct step_options *options, const struct step_run *run, int code,
                     struct sbx_error *err)
{
    struct sbx_error merge_err;
    if (run->stage->fd < 0 || (code < 0 && !run->output))
        return code;
    int merged = merge_all(run->stage, options, &merge_err);
    if (merged < 0 && code == 0) {
        *err = merge_err;
        return merged;
    }
    return code;
}

static int run_staged(const struct step_options *options, struct step_run *run,
                      struct sbx_error *err)
{
    struct stage stage = STAGE_INIT;
    struct forward forward = {.input_fd = -1};
    int code = options->datastore ? stage_open(options, &stage, err) : 0;
    run->stage = &stage;
    if (code == 0)
        code = forward_start(options, &stage, &forward, err);
    bool started = code == 0;
    if (started)
        code = run_until_told(run, err);
    forward_end(&forward); // it reads the records that are moved away now
    if (started)
        code = take_over(options, run, code, err);
    run->stage = NULL;
    stage_close(&stage);
    return code;
}

static int finish(const struct step_options *options, const struct step_run *run, int code,
                  const struct sbx_error *err)
{
    int number = atomic_load(&ended_by);
    if (number)
        return die_by(number);
    if (code < 0) {
        message_error(err);
        return is_final(code) ? EXIT_NO_RETRY : 1;
    }
    tell_outcome(options, &run->outcome);
    if (run->outcome.flags & SBX_OUTCOME_TIMED_OUT)
        return EXIT_TIMED_OUT;
    return run->outcome.signal ? die_by(run->outcome.signal) : run->outcome.exit_code;
}

static int find_provider(struct sbx_client *client, const char *name,
                         struct sbx_provider_info *ret_info, struct sbx_error *err)
{
    for (size_t i = 0; i < sbx_provider_count(client); i++) {
        int code = sbx_provider_get(client, i, ret_info, err);
        if (code < 0 || strcmp(ret_info->name, name) == 0)
            return code;
    }
    return err_set(err, SBX_ERR_NOT_FOUND, "this version has no provider '%s'", name);
}

// A step's files are mounted, so a provider without mounts is none for it.
static bool can_run_steps(struct sbx_client *client, const char *name, const char **ret_why)
{
    struct sbx_provider_info info = SBX_PROVIDER_INFO_INIT;
    struct sbx_error err;
    *ret_why = "it is not part of this version";
    if (find_provider(client, name, &info, &err) < 0)
        return false;
    *ret_why = info.configured ? "it has no mounts"
                               : "it is not set up on this machine, see sandboxes doctor";
    return info.configured && (info.capabilities & SBX_CAP_MOUNTS);
}

// Whether another provider stands in for one that can't be used is the backend's row to say; the
// step's log tells.
static void ask_limits(const struct step_options *options, struct step_run *run)
{
    struct sbx_provider_info info = SBX_PROVIDER_INFO_INIT;
    struct sbx_error ignored;
    run->limits = find_provider(run->client, run->provider, &info, &ignored) < 0 ||
                  (info.capabilities & SBX_CAP_LIMITS);
    if (!run->limits && options->soft_limits <= 0)
        message_note("sandboxes of '%s' have the size of their image: cpu and memory of step '%s' "
                     "are not applied",
                     run->provider, options->step);
}

static int open_client(const struct step_options *options, struct step_run *run,
                       struct sbx_error *err)
{
    struct sbx_client_options client = SBX_CLIENT_OPTIONS_INIT;
    const char *why;
    client.provider = run->provider = options->instead ? options->instead : options->provider;
    run->limits = true;
    int code = sbx_client_open(&client, &run->client, err);
    if (code == 0 && options->package)
        ask_limits(options, run);
    if (code < 0 || !options->instead)
        return code;
    if (can_run_steps(run->client, options->provider, &why)) {
        run->provider = options->provider;
        return sbx_client_set_default(run->client, run->provider, err);
    }
    message_note("'%s' can't be used (%s): step '%s' runs with '%s' instead", options->provider,
                 why, options->step, options->instead);
    return 0;
}

static int run_all(const struct step_options *options, struct sbx_error *err)
{
    struct step_run run = {.options = options};
    int code = guard_start(options, &run.guard, err);
    if (code == 0)
        code = sbx_cancel_new(&run.cancel, err);
    if (code == 0) {
        watch_signals(run.cancel);
        code = open_client(options, &run, err);
    }
    if (code == 0)
        code = run_staged(options, &run, err);
    sbx_client_close(run.client);
    guard_end(&run.guard);
    atomic_store(&token, NULL);
    sbx_cancel_free(run.cancel);
    return finish(options, &run, code, err);
}

int main(int argc, char **argv)
{
    struct step_options options = {0};
    struct sbx_error err;
    int code = step_options_read(argc - 1, (const char *const *)argv + 1, &options, &err);
    if (code < 0)
        message_error(&err);
    int status = code < 0 ? EXIT_NO_RETRY : run_all(&options, &err);
    step_options_deinit(&options);
    return status;
}
