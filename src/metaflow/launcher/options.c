// SPDX-License-Identifier: Apache-2.0
// The launcher's options. Layer: metaflow.
#include "metaflow/launcher/options.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

// In the order of enum sbx_network.
static const char *const networks[] = {"none", "internet", "allow", "host", NULL};

#define ROW(n, k, member, v, text)                                                                 \
    {                                                                                              \
        .name = n, .kind = k, .offset = offsetof(struct step_options, member), .value = v,         \
        .help = text                                                                               \
    }

static const struct opt_row rows[] = {
    ROW("provider", OPT_STRING, provider, "NAME", "where the sandbox is made"),
    ROW("instead", OPT_STRING, instead, "NAME", "provider to use where that one can't be"),
    ROW("image", OPT_STRING, image, "IMAGE", "its root file system"),
    ROW("gpu", OPT_STRING, gpu, "KIND", "its gpu"),
    ROW("cpu", OPT_MILLIS, cpu, "CORES", "processor time it may use"),
    ROW("memory", OPT_BYTES, memory, "SIZE", "memory it may use"),
    ROW("soft-limits", OPT_FLAG, soft_limits, NULL,
        "use the machine's defaults where cpu and memory can't be limited"),
    ROW("timeout", OPT_DURATION, timeout, "TIME", "when the step is ended"),
    ROW("task", OPT_STRING, task, "FLOW/RUN/STEP/TASK", "the task that is run"),
    ROW("attempt", OPT_INT, attempt, "N", "its attempt, from 0"),
    ROW("datastore", OPT_STRING, datastore, "DIR", "directory of the local datastore"),
    ROW("remote", OPT_FLAG, remote, NULL, "artifacts and logs are kept elsewhere"),
    ROW("cards", OPT_STRING, cards, "DIR", "directory of the cards"),
    ROW("code", OPT_STRING, code, "DIR", "the flow's own files"),
    ROW("package", OPT_STRING, package, "FILE",
        "the flow with Metaflow, for a sandbox without mounts"),
    ROW("root-home", OPT_STRING, root_home, "DIR", "what stands for /root inside"),
    ROW("mount", OPT_LIST, mounts, "PATH", "shown inside at the same path, read-only; repeatable"),
    ROW("upload", OPT_LIST, uploads, "FILE", "copied into the sandbox; repeatable"),
    ROW("upload-to", OPT_LIST, upload_to, "PATH", "where to, for each --upload"),
    ROW("env", OPT_LIST, env, "NAME[=VARIABLE]",
        "variable that goes inside, with the value of VARIABLE here; repeatable"),
    {.name = "network",
     .kind = OPT_ENUM,
     .offset = offsetof(struct step_options, network),
     .value = "POLICY",
     .choices = networks,
     .help = "what it may reach"},
    ROW("allow", OPT_LIST, allow, "HOST",
        "reach only this, or, with --network internet, this besides; repeatable"),
    ROW("infra-retries", OPT_INT, infra_retries, "N", "new sandboxes for those that were lost"),
    ROW("debug", OPT_STRING, debug, "DIR", "keep the sandbox, write what was done there"),
};

// A part of a task's name becomes a directory's name: nothing that leads elsewhere.
static bool take_part(const char **text, char *out, size_t size)
{
    size_t length = strcspn(*text, "/");
    if (length == 0 || length >= size || (*text)[0] == '.' || text_has_control(*text, length))
        return false;
    memcpy(out, *text, length);
    out[length] = 0;
    *text += length + ((*text)[length] == '/');
    return true;
}

static int split_task(struct step_options *options, struct sbx_error *err)
{
    const char *rest = options->task ? options->task : "";
    if (take_part(&rest, options->flow, sizeof(options->flow)) &&
        take_part(&rest, options->run, sizeof(options->run)) &&
        take_part(&rest, options->step, sizeof(options->step)) &&
        take_part(&rest, options->task_id, sizeof(options->task_id)) && !*rest)
        return 0;
    return err_set(err, SBX_ERR_INVALID, "--task '%s' is not FLOW/RUN/STEP/TASK",
                   options->task ? options->task : "");
}

int step_options_read(int argc, const char *const *argv, struct step_options *ret_options,
                      struct sbx_error *err)
{
    struct opt_set set = {.rows = rows, .count = ARRAY_SIZE(rows), .values = ret_options};
    struct opt_grammar grammar = {.sets = &set, .set_count = 1, .help = "sandboxes-step"};
    int code = opt_parse(&grammar, argc, argv, &ret_options->command, err);
    if (code == 0)
        code = split_task(ret_options, err);
    if (code == 0 && ret_options->command.count < 2)
        code = err_set(err, SBX_ERR_INVALID, "no command of a step after --");
    if (code == 0 && ret_options->uploads.count != ret_options->upload_to.count)
        code = err_set(err, SBX_ERR_INVALID, "each --upload needs an --upload-to");
    if (code < 0)
        err_hint(err, "Metaflow starts this program: put @sandbox above a step instead");
    return code;
}

void step_options_deinit(struct step_options *options)
{
    struct opt_set set = {.rows = rows, .count = ARRAY_SIZE(rows), .values = options};
    opt_deinit(&set);
    opt_operands_deinit(&options->command);
}
