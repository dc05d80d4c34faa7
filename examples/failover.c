// SPDX-License-Identifier: Apache-2.0
// A sandbox at the first provider that can make one, and why those before it could not.
#include <stdio.h>

#include <sandboxes/sandboxes.h>

static int create_and_run(struct sbx_manager *manager, struct sbx_error *err)
{
    struct sbx_sandbox *sandbox = NULL;
    struct sbx_failures failures;
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result;
    int code = sbx_manager_create(manager, NULL, NULL, 0, NULL, &sandbox, &failures, err);
    for (size_t i = 0; i < failures.count; i++)
        printf("%s: %s\n", failures.items[i].provider, failures.items[i].error.message);
    sbx_failures_free(&failures);
    if (code < 0)
        return code;
    exec.shell = "echo hello";
    code = sbx_run(sandbox, &exec, NULL, &result, err); // repeated where that is safe
    if (code == 0) {
        printf("%s says %s", sbx_sandbox_provider(sandbox), result.out);
        sbx_result_deinit(&result);
    }
    sbx_sandbox_destroy(sandbox, NULL, NULL);
    sbx_sandbox_free(sandbox);
    return code;
}

int main(void)
{
    static const char *const providers[] = {"e2b", "modal", "local"};
    struct sbx_client *client = NULL;
    struct sbx_manager *manager = NULL;
    struct sbx_manager_options options = SBX_MANAGER_OPTIONS_INIT;
    struct sbx_error err;
    options.providers = providers;
    options.provider_count = 3;
    int code = sbx_client_open(NULL, &client, &err);
    if (code == 0)
        code = sbx_manager_open(client, &options, &manager, &err);
    if (code == 0)
        code = create_and_run(manager, &err);
    if (code < 0)
        fprintf(stderr, "error: %s\n       %s\n", err.message, err.remedy);
    sbx_manager_close(manager);
    sbx_client_close(client);
    return code < 0 ? 125 : 0;
}
