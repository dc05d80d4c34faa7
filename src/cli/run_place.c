// SPDX-License-Identifier: Apache-2.0
// Where a run's sandbox comes from: the default provider, or several in turn. Layer: cli.
#include <stdlib.h>
#include <string.h>

#include "cli/run.h"
#include "cli/run_program.h"
#include "cli/spinner.h"

// The first provider, then those of --fallback, which are separated by commas. The text is cut up.
static size_t split_names(const char *first, char *text, const char *names[RUN_PROVIDERS_MAX])
{
    size_t count = 0;
    char *rest = NULL;
    names[count++] = first;
    for (char *name = strtok_r(text, ", ", &rest); name && count < RUN_PROVIDERS_MAX;
         name = strtok_r(NULL, ", ", &rest))
        names[count++] = name;
    return count;
}

int run_open_manager(struct run *run, struct sbx_error *err)
{
    const struct run_values *values = run->values;
    struct sbx_manager_options options = SBX_MANAGER_OPTIONS_INIT;
    struct sbx_retry retry = SBX_RETRY_INIT;
    struct sbx_client *client;
    const char *names[RUN_PROVIDERS_MAX];
    int code = cli_client(run->cli, values->spec.provider, &client, err);
    if (code < 0)
        return code;
    char *text = strdup(values->fallback ? values->fallback : "");
    if (!text)
        return err_nomem(err);
    options.providers = names;
    options.provider_count = split_names(sbx_client_default_provider(client), text, names);
    retry.attempts = values->retries > 0 ? (uint32_t)values->retries + 1 : 1;
    options.retry = &retry;
    code = sbx_manager_open(client, &options, &run->manager, err);
    free(text);
    return code;
}

static int create(struct run *run, struct sbx_client *client, const struct sbx_call *call,
                  struct sbx_error *err)
{
    struct sbx_spec spec = run->spec.spec;
    if (run->values->reuse > 0)
        return sbx_sandbox_get_or_create(client, &spec, call, &run->sandbox, &run->created, err);
    run->created = 1;
    if (!run->manager)
        return sbx_sandbox_create(client, &spec, call, &run->sandbox, err);
    spec.provider = NULL; // the first of the manager's
    return sbx_manager_create(run->manager, &spec, NULL, 0, call, &run->sandbox, NULL, err);
}

int run_make_sandbox(struct run *run, struct sbx_error *err)
{
    struct sbx_client *client;
    struct spinner spinner;
    struct sbx_call call = run_call();
    int code = cli_client(run->cli, run->values->spec.provider, &client, err);
    if (code == 0 && (run->values->fallback || run->values->retries > 0))
        code = run_open_manager(run, err);
    if (code < 0)
        return code;
    spinner_start(&spinner, "making a sandbox", run->values->quiet > 0);
    code = create(run, client, &call, err);
    spinner_stop(&spinner);
    return code < 0 || !run->manager ? code : sbx_manager_adopt(run->manager, run->sandbox, err);
}
