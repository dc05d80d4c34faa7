// SPDX-License-Identifier: Apache-2.0
// Twenty commands in sandboxes of their own, four at a time out of a pool that keeps some ready.
#include <stdio.h>

#include <sandboxes/sandboxes.h>

#define COUNT 20

static int run_all(struct sbx_manager *manager, struct sbx_pool *pool, struct sbx_error *err)
{
    struct sbx_exec execs[COUNT];
    struct sbx_job jobs[COUNT] = {{0}};
    struct sbx_ran ran[COUNT];
    struct sbx_many options = SBX_MANY_INIT;
    char lines[COUNT][32];
    options.parallel = 4;
    options.pool = pool;
    for (int i = 0; i < COUNT; i++) {
        struct sbx_exec exec = SBX_EXEC_INIT;
        snprintf(lines[i], sizeof(lines[i]), "echo $((%d * %d))", i, i);
        exec.shell = lines[i];
        execs[i] = exec;
        jobs[i].exec = &execs[i];
    }
    int code = sbx_run_many(manager, jobs, COUNT, &options, NULL, ran, err);
    for (int i = 0; i < COUNT; i++)
        printf("%d squared is %s", i, ran[i].result.out ? ran[i].result.out : "unknown\n");
    sbx_ran_deinit(ran, COUNT);
    return code;
}

int main(void)
{
    struct sbx_client *client = NULL;
    struct sbx_manager *manager = NULL;
    struct sbx_pool *pool = NULL;
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    struct sbx_error err;
    options.min_idle = 2;
    options.max_total = 6;
    int code = sbx_client_open(NULL, &client, &err);
    if (code == 0)
        code = sbx_manager_open(client, NULL, &manager, &err);
    if (code == 0)
        code = sbx_pool_open(manager, &options, &pool, &err);
    if (code == 0)
        code = run_all(manager, pool, &err);
    if (code < 0)
        fprintf(stderr, "error: %s\n       %s\n", err.message, err.remedy);
    sbx_pool_close(pool);
    sbx_manager_close(manager);
    sbx_client_close(client);
    return code < 0 ? 125 : 0;
}
