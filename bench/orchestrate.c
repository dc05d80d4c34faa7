// SPDX-License-Identifier: Apache-2.0
// Pools and fan-out: ten slow creations side by side, acquiring warm sandboxes, hundreds at once.
// usage: orchestrate [COUNT [PARALLEL]]
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sandboxes/sandboxes.h>

#include "bench.h"

#define SLOW 10
#define WARM 2000

static struct sbx_error err;
static struct sbx_many many = SBX_MANY_INIT;

static void need(int code)
{
    if (code == 0)
        return;
    fprintf(stderr, "%s\n%s\n", err.message, err.remedy);
    exit(1);
}

static double milliseconds(uint64_t since)
{
    return (double)(bench_now() - since) / 1e6;
}

static struct sbx_client *open_slow(const char *path)
{
    struct sbx_client_options options = SBX_CLIENT_OPTIONS_INIT;
    struct sbx_client *client;
    FILE *file = fopen(path, "w");
    if (!file || fputs("provider = 'fake'\n[provider.fake]\ncreate_delay_ms = 100\n", file) < 0)
        exit(1);
    fclose(file);
    options.config_path = path;
    need(sbx_client_open(&options, &client, &err));
    return client;
}

static void *acquire_one(void *pool)
{
    struct sbx_sandbox *sandbox;
    need(sbx_pool_acquire(pool, NULL, NULL, &sandbox, &err));
    return NULL;
}

static void slow_creations(void)
{
    char path[] = "/tmp/bench-orchestrate-XXXXXX";
    close(mkstemp(path));
    struct sbx_client *client = open_slow(path);
    struct sbx_manager *manager;
    struct sbx_pool *pool;
    pthread_t threads[SLOW];
    need(sbx_manager_open(client, NULL, &manager, &err));
    need(sbx_pool_open(manager, NULL, &pool, &err));
    uint64_t began = bench_now();
    for (int i = 0; i < SLOW; i++)
        pthread_create(&threads[i], NULL, acquire_one, pool);
    for (int i = 0; i < SLOW; i++)
        pthread_join(threads[i], NULL);
    printf("10 creations of 100 ms through a pool: %.1f ms\n", milliseconds(began));
    sbx_pool_close(pool);
    sbx_manager_close(manager);
    sbx_client_close(client);
    unlink(path);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void warm_acquire(struct sbx_manager *manager, uint32_t flags, const char *what)
{
    static double took[WARM];
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    struct sbx_pool *pool;
    options.min_idle = 1;
    options.flags = SBX_POOL_REUSE | flags;
    need(sbx_pool_open(manager, &options, &pool, &err));
    need(sbx_pool_warm(pool, NULL, &err));
    for (int i = 0; i < WARM; i++) {
        struct sbx_sandbox *sandbox;
        uint64_t began = bench_now();
        need(sbx_pool_acquire(pool, NULL, NULL, &sandbox, &err));
        took[i] = milliseconds(began) * 1000;
        need(sbx_pool_release(pool, sandbox, 0, &err));
    }
    qsort(took, WARM, sizeof(took[0]), compare);
    printf("acquiring a warm local sandbox, %s: %.1f us median, %.1f us 99%%\n", what,
           took[WARM / 2], took[WARM * 99 / 100]);
    sbx_pool_close(pool);
}

static void fan_out(struct sbx_manager *manager, size_t count)
{
    struct sbx_made *made = calloc(count, sizeof(*made));
    struct sbx_sandbox **sandboxes = calloc(count, sizeof(struct sbx_sandbox *));
    struct sbx_spec spec = SBX_SPEC_INIT;
    spec.lifetime = SBX_LIFETIME_TIED;
    uint64_t began = bench_now();
    need(sbx_create_many(manager, &spec, 1, count, &many, NULL, made, &err));
    double created = milliseconds(began);
    for (size_t i = 0; i < count; i++)
        sandboxes[i] = made[i].sandbox;
    began = bench_now();
    need(sbx_destroy_many(sandboxes, count, &many, NULL, NULL, &err));
    printf("%zu local sandboxes at once: made in %.0f ms (%.0f a second), ended in %.0f ms\n",
           count, created, (double)count * 1000 / created, milliseconds(began));
    free(made);
    free(sandboxes);
}

static void run_many(struct sbx_manager *manager, size_t count)
{
    struct sbx_job *jobs = calloc(count, sizeof(*jobs));
    struct sbx_ran *ran = calloc(count, sizeof(*ran));
    struct sbx_exec exec = SBX_EXEC_INIT;
    exec.shell = "echo hi";
    for (size_t i = 0; i < count; i++)
        jobs[i].exec = &exec;
    uint64_t began = bench_now();
    need(sbx_run_many(manager, jobs, count, &many, NULL, ran, &err));
    printf("%zu times create, echo hi, destroy: %.0f ms\n", count, milliseconds(began));
    sbx_ran_deinit(ran, count);
    free(jobs);
    free(ran);
}

int main(int argc, char **argv)
{
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 500;
    many.parallel = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    struct sbx_client_options options = SBX_CLIENT_OPTIONS_INIT;
    struct sbx_client *client;
    struct sbx_manager *manager;
    options.provider = "local";
    need(sbx_client_open(&options, &client, &err));
    need(sbx_manager_open(client, NULL, &manager, &err));
    slow_creations();
    warm_acquire(manager, 0, "which is looked at");
    warm_acquire(manager, SBX_POOL_TRUST, "which is trusted");
    fan_out(manager, count);
    run_many(manager, count);
    sbx_manager_close(manager);
    sbx_client_close(client);
    return 0;
}
