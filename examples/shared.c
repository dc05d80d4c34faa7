// SPDX-License-Identifier: Apache-2.0
// One sandbox for many processes: whoever asks first for these labels makes it. Run it twice, then
// `sandboxes destroy -l example=shared`.
#include <stdio.h>

#include <sandboxes/sandboxes.h>

static int count_visit(struct sbx_sandbox *sandbox, struct sbx_error *err)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result;
    exec.shell = "echo visit >> visits; wc -l < visits";
    int code = sbx_run(sandbox, &exec, NULL, &result, err);
    if (code < 0)
        return code;
    printf("visits: %s", result.out);
    sbx_result_deinit(&result);
    return 0;
}

int main(void)
{
    static const struct sbx_pair labels[] = {{"example", "shared"}};
    struct sbx_client *client = NULL;
    struct sbx_sandbox *sandbox = NULL;
    struct sbx_error err;
    uint32_t created = 0;
    struct sbx_spec spec = SBX_SPEC_INIT;
    spec.labels = labels;
    spec.label_count = 1;
    spec.ttl_ms = (int64_t)10 * 60 * 1000; // it goes after ten minutes, whatever happens
    int code = sbx_client_open(NULL, &client, &err);
    if (code == 0)
        code = sbx_sandbox_get_or_create(client, &spec, NULL, &sandbox, &created, &err);
    if (code == 0) {
        printf("%s %s\n", created ? "made" : "found", sbx_sandbox_id(sandbox));
        code = count_visit(sandbox, &err);
    }
    if (code < 0)
        fprintf(stderr, "error: %s\n       %s\n", err.message, err.remedy);
    sbx_sandbox_free(sandbox);
    sbx_client_close(client);
    return code < 0 ? 125 : 0;
}
