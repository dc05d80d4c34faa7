// SPDX-License-Identifier: Apache-2.0
// A command in a sandbox of its own: create, run, print, destroy.
#include <stdio.h>

#include <sandboxes/sandboxes.h>

static int complain(const struct sbx_error *err)
{
    fprintf(stderr, "error: %s\n       %s\n", err->message, err->remedy);
    return 125;
}

static int run_in(struct sbx_sandbox *sandbox, struct sbx_error *err)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result;
    exec.shell = "echo hello from $(whoami)@$(hostname)";
    int code = sbx_run(sandbox, &exec, NULL, &result, err);
    if (code < 0)
        return code;
    fwrite(result.out, 1, result.out_size, stdout);
    int exit_code = result.outcome.exit_code;
    sbx_result_deinit(&result);
    return exit_code;
}

int main(void)
{
    struct sbx_client *client;
    struct sbx_sandbox *sandbox;
    struct sbx_error err;
    struct sbx_spec spec = SBX_SPEC_INIT;
    spec.network = SBX_NETWORK_NONE;
    spec.lifetime = SBX_LIFETIME_TIED; // it ends with this process, however that ends

    if (sbx_client_open(NULL, &client, &err) < 0)
        return complain(&err);
    if (sbx_sandbox_create(client, &spec, NULL, &sandbox, &err) < 0) {
        sbx_client_close(client);
        return complain(&err);
    }
    int result = run_in(sandbox, &err);
    if (result < 0)
        result = complain(&err);
    if (sbx_sandbox_destroy(sandbox, NULL, &err) < 0)
        result = complain(&err);
    sbx_sandbox_free(sandbox);
    sbx_client_close(client);
    return result;
}
