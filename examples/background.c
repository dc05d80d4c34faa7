// SPDX-License-Identifier: Apache-2.0
// A command that goes on in the background, and joining it later: its kept output comes first.
#include <stdio.h>

#include <sandboxes/sandboxes.h>

static int start(struct sbx_sandbox *sandbox, uint32_t *ret_pid, struct sbx_error *err)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_process *process;
    exec.shell = "for i in 1 2 3; do echo step $i; sleep 0.2; done; exit 7";
    exec.flags = SBX_EXEC_BACKGROUND;
    int code = sbx_process_start(sandbox, &exec, NULL, &process, err);
    if (code < 0)
        return code;
    *ret_pid = sbx_process_pid(process);
    sbx_process_free(process); // it goes on
    return 0;
}

static int follow(struct sbx_sandbox *sandbox, uint32_t pid, struct sbx_error *err)
{
    struct sbx_process *process;
    struct sbx_event event;
    int code = sbx_process_attach(sandbox, pid, NULL, &process, err);
    if (code < 0)
        return code;
    while ((code = sbx_process_read(process, NULL, &event, err)) == 0) {
        if (event.kind == SBX_EVENT_EXIT)
            break;
        fwrite(event.data, 1, event.size, stdout);
    }
    if (code == 0)
        printf("exit code: %d\n", (int)event.outcome.exit_code);
    sbx_process_free(process);
    return code;
}

int main(void)
{
    struct sbx_client *client = NULL;
    struct sbx_sandbox *sandbox = NULL;
    struct sbx_error err;
    uint32_t pid = 0;
    struct sbx_spec spec = SBX_SPEC_INIT;
    spec.lifetime = SBX_LIFETIME_TIED;
    int code = sbx_client_open(NULL, &client, &err);
    if (code == 0)
        code = sbx_sandbox_create(client, &spec, NULL, &sandbox, &err);
    if (code == 0)
        code = start(sandbox, &pid, &err);
    if (code == 0)
        code = follow(sandbox, pid, &err);
    if (code < 0)
        fprintf(stderr, "error: %s\n       %s\n", err.message, err.remedy);
    sbx_sandbox_free(sandbox);
    sbx_client_close(client);
    return code < 0 ? 125 : 0;
}
