// SPDX-License-Identifier: Apache-2.0
// The life of a step's sandbox. Layer: metaflow.
#include "metaflow/launcher/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "metaflow/launcher/dump.h"
#include "metaflow/launcher/logs.h"
#include "metaflow/launcher/merge.h"
#include "metaflow/launcher/message.h"
#include "metaflow/launcher/records.h"

#define CODE_INSIDE "/tmp/metaflow" // the flow's files, and where the step starts
#define PACKAGE_INSIDE CODE_INSIDE "/package"
#define TICK_MS 1000    // how old metadata of a running task may be
#define NEWS_MS 100     // the same where it is known when there is new one
#define END_MS 30000    // for ending a sandbox
#define KEPT_MS 3600000 // how long one elsewhere stays in debug mode

struct arrays {
    struct sbx_mount *mounts;
    struct sbx_pair *env;
    size_t mount_count, env_count;
};

static void free_arrays(struct arrays *arrays)
{
    for (size_t i = 0; i < arrays->env_count; i++)
        free((char *)arrays->env[i].name);
    free(arrays->env);
    free(arrays->mounts);
}

static void add_mount(struct arrays *arrays, const char *source, const char *target, bool writable)
{
    arrays->mounts[arrays->mount_count++] =
        (struct sbx_mount){source, target, writable ? SBX_MOUNT_WRITABLE : 0};
}

// Order matters: what stands for /root first, the task's own directory over the datastore.
static void add_mounts(const struct step_run *run, struct arrays *arrays)
{
    const struct step_options *options = run->options;
    if (options->package)
        return;
    if (options->root_home)
        add_mount(arrays, options->root_home, "/root", false);
    for (size_t i = 0; i < options->mounts.count; i++)
        add_mount(arrays, options->mounts.items[i], options->mounts.items[i], false);
    if (!options->datastore)
        return;
    add_mount(arrays, options->datastore, options->datastore, false);
    add_mount(arrays, run->stage->stage_task, run->stage->task_path, true);
    add_mount(arrays, run->stage->stage_new, STAGE_NEW_INSIDE, true);
}

// NAME, or NAME=VARIABLE whose value it gets: what is set for the sandbox alone has another name
// here.
static int add_variable(const char *option, struct arrays *arrays)
{
    const char *equals = strchr(option, '=');
    const char *value = getenv(equals ? equals + 1 : option);
    if (!value)
        return 0;
    char *name = strndup(option, equals ? (size_t)(equals - option) : strlen(option));
    arrays->env[arrays->env_count++] = (struct sbx_pair){name, value};
    return name ? 0 : -1;
}

static int add_env(const struct step_options *options, struct arrays *arrays)
{
    int failed = 0;
    for (size_t i = 0; i < options->env.count && failed == 0; i++)
        failed = add_variable(options->env.items[i], arrays);
    if (failed || !options->datastore || options->package)
        return failed;
    char *name = strdup("METAFLOW_SANDBOX_STAGE");
    arrays->env[arrays->env_count++] = (struct sbx_pair){name, STAGE_NEW_INSIDE};
    return name ? 0 : -1;
}

static int fill_arrays(const struct step_run *run, struct arrays *arrays, struct sbx_error *err)
{
    arrays->mounts = calloc(run->options->mounts.count + 4, sizeof(*arrays->mounts));
    arrays->env = calloc(run->options->env.count + 2, sizeof(*arrays->env));
    if (!arrays->mounts || !arrays->env)
        return err_nomem(err);
    add_mounts(run, arrays);
    return add_env(run->options, arrays) < 0 ? err_nomem(err) : 0;
}

static int create(struct step_run *run, const struct arrays *arrays, struct sbx_sandbox **ret_box,
                  struct sbx_error *err)
{
    const struct step_options *options = run->options;
    const struct sbx_call call = {.size = sizeof(call), .cancel = run->cancel};
    const struct sbx_pair labels[] = {{"metaflow.task", options->task},
                                      {GUARD_LABEL, run->guard.id}};
    struct sbx_spec spec = SBX_SPEC_INIT;
    spec.provider = run->provider;
    spec.image = options->image;
    spec.gpu = options->gpu;
    spec.cpu_millis = run->limits ? (uint32_t)options->cpu : 0;
    spec.memory_bytes = run->limits ? options->memory : 0;
    spec.lifetime = options->debug ? SBX_LIFETIME_DETACHED : SBX_LIFETIME_TIED;
    spec.network = (uint32_t)options->network;
    spec.allow = options->allow.items;
    spec.allow_count = options->allow.count;
    spec.labels = labels;
    spec.label_count = ARRAY_SIZE(labels) - !run->guard.id[0];
    if (options->package) {
        // Services keep what a sandbox is made with: variables go to the command alone.
        spec.ttl_ms = options->debug ? options->timeout + KEPT_MS : 0;
    } else {
        spec.env = arrays->env;
        spec.env_count = arrays->env_count;
    }
    spec.mounts = arrays->mounts;
    spec.mount_count = arrays->mount_count;
    int code = sbx_sandbox_create(run->client, &spec, &call, ret_box, err);
    if ((code != SBX_ERR_SETUP && code != SBX_ERR_UNSUPPORTED) || options->soft_limits <= 0)
        return code;
    spec.cpu_millis = 0;
    spec.memory_bytes = 0;
    return sbx_sandbox_create(run->client, &spec, &call, ret_box, err);
}

struct logs {
    struct log_stream out, err;
};

static int open_logs(const struct step_run *run, struct logs *logs, struct sbx_error *err)
{
    bool kept = run->options->datastore && !run->options->remote;
    int dir_fd = kept ? run->stage->task_fd : -1;
    long long attempt = run->options->attempt;
    int code = log_open(&logs->out, STDOUT_FILENO, dir_fd, attempt, "stdout", err);
    return code < 0 ? code : log_open(&logs->err, STDERR_FILENO, dir_fd, attempt, "stderr", err);
}

// Until the step ends; what it registers meanwhile is shown at once.
static int follow(struct step_run *run, struct sbx_process *process, struct records *records,
                  struct logs *logs, struct sbx_error *err)
{
    const struct sbx_call call = {
        .size = sizeof(call), .timeout_ms = records ? NEWS_MS : TICK_MS, .cancel = run->cancel};
    for (;;) {
        struct sbx_event event;
        int code = sbx_process_read(process, &call, &event, err);
        if (code == SBX_ERR_TIMEOUT) {
            if (run->stage->fd >= 0 && (!records || atomic_exchange(&records->news, false)))
                merge_metadata(run->stage);
        } else if (code < 0) {
            return code;
        } else if (event.kind == SBX_EVENT_EXIT) {
            run->outcome = event.outcome;
            return 0;
        } else {
            run->output = true;
            log_add(event.stream == SBX_STDERR ? &logs->err : &logs->out, event.data, event.size);
        }
    }
}

// Variables of the command, besides those of the sandbox; there is a place left for the first.
static void fill_exec_env(const struct step_run *run, struct sbx_sandbox *box,
                          struct arrays *arrays, struct sbx_exec *exec)
{
    arrays->env[arrays->env_count] = (struct sbx_pair){"METAFLOW_SANDBOX_ID", sbx_sandbox_id(box)};
    exec->env = run->options->package ? arrays->env : &arrays->env[arrays->env_count];
    exec->env_count = run->options->package ? arrays->env_count + 1 : 1;
}

// records: where metadata comes from when it is not in the stage by itself, or NULL.
static int run_command(struct step_run *run, struct sbx_sandbox *box, struct arrays *arrays,
                       struct records *records, struct sbx_error *err)
{
    const struct step_options *options = run->options;
    const struct sbx_call call = {.size = sizeof(call), .cancel = run->cancel};
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_process *process;
    struct logs logs;
    exec.argv = options->command.items;
    exec.argc = options->command.count;
    exec.cwd = options->code || options->package ? CODE_INSIDE : NULL;
    fill_exec_env(run, box, arrays, &exec);
    exec.timeout_ms = options->timeout;
    int code = open_logs(run, &logs, err);
    if (code == 0)
        code = sbx_process_start(box, &exec, &call, &process, err);
    if (code == 0) {
        code = follow(run, process, records, &logs, err);
        sbx_process_free(process);
    }
    log_close(&logs.out);
    log_close(&logs.err);
    return code;
}

static int upload(const struct step_run *run, struct sbx_sandbox *box, struct sbx_error *err)
{
    const struct step_options *options = run->options;
    const struct sbx_call call = {.size = sizeof(call), .cancel = run->cancel};
    int code =
        options->code ? sbx_file_upload(box, options->code, CODE_INSIDE, NULL, &call, err) : 0;
    if (options->package)
        code = sbx_file_upload(box, options->package, PACKAGE_INSIDE, NULL, &call, err);
    for (size_t i = 0; i < options->uploads.count && code == 0; i++)
        code = sbx_file_upload(box, options->uploads.items[i], options->upload_to.items[i], NULL,
                               &call, err);
    return code;
}

// Elsewhere: with what the task registers on its way here meanwhile.
static int run_elsewhere(struct step_run *run, struct sbx_sandbox *box, struct arrays *arrays,
                         struct sbx_error *err)
{
    struct records records;
    records_follow(&records, run->stage, box);
    int code = run_command(run, box, arrays, &records, err);
    records_end(&records, box, code != SBX_ERR_CANCELLED);
    return code;
}

// It was there: a sandbox that can't be found any more was lost, not misnamed. A file of the step's
// or its interpreter may be missing too.
static bool is_lost(struct sbx_sandbox *box)
{
    struct sbx_info info = SBX_INFO_INIT;
    struct sbx_error err;
    const struct sbx_call call = {.size = sizeof(call), .timeout_ms = END_MS};
    return sbx_sandbox_info(box, &call, &info, &err) == SBX_ERR_NOT_FOUND;
}

static int use(struct step_run *run, struct sbx_sandbox *box, struct arrays *arrays,
               struct sbx_error *err)
{
    int code = upload(run, box, err);
    if (code == 0)
        code = run->options->package ? run_elsewhere(run, box, arrays, err)
                                     : run_command(run, box, arrays, NULL, err);
    return code == SBX_ERR_NOT_FOUND && is_lost(box) ? SBX_ERR_UNAVAILABLE : code;
}

static void end(const struct step_run *run, struct sbx_sandbox *box)
{
    struct sbx_error err;
    const struct sbx_call call = {.size = sizeof(call), .timeout_ms = END_MS};
    if (run->options->debug)
        message_note(
            "debug mode: sandbox %s is kept; look into it with 'sandboxes shell %s', end it "
            "with 'sandboxes destroy %s'",
            sbx_sandbox_id(box), sbx_sandbox_id(box), sbx_sandbox_id(box));
    else if (sbx_sandbox_destroy(box, &call, &err) < 0 && err.code != SBX_ERR_NOT_FOUND)
        message_error(&err);
    else
        guard_arm(&run->guard, false);
    sbx_sandbox_free(box);
}

int step_run(struct step_run *run, struct sbx_error *err)
{
    cleanup(free_arrays) struct arrays arrays = {0};
    struct sbx_sandbox *box;
    int code = fill_arrays(run, &arrays, err);
    if (code == 0 && run->options->debug)
        code = dump_write(run->options, arrays.env, arrays.env_count, err);
    if (code == 0) {
        guard_arm(&run->guard, true);
        code = create(run, &arrays, &box, err);
    }
    if (code < 0) {
        guard_arm(&run->guard, false);
        return code;
    }
    code = use(run, box, &arrays, err);
    end(run, box);
    return code;
}
