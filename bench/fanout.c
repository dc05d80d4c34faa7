// SPDX-License-Identifier: Apache-2.0
/*
 * What the Python package is compared with: the same calls from C. fanout TOTAL ALIVE makes TOTAL
 * sandboxes, at most ALIVE at once, runs one command in each, ends it; prints seconds.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "ours.h"

static struct ours *ours;
static long left;

static void *serve(void *unused)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    exec.shell = "echo hi";
    while (__atomic_fetch_sub(&left, 1, __ATOMIC_RELAXED) > 0) {
        struct sbx_error err = {0};
        struct sbx_result result;
        struct sbx_sandbox *sandbox = ours_create(ours, NULL, SBX_NETWORK_DEFAULT);
        ours_check(sbx_run(sandbox, &exec, NULL, &result, &err), &err, "run");
        sbx_result_deinit(&result);
        ours_destroy(sandbox);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    left = argc > 1 ? strtol(argv[1], NULL, 10) : 100;
    long alive = argc > 2 ? strtol(argv[2], NULL, 10) : 1;
    pthread_t *threads = calloc((size_t)alive, sizeof(*threads));
    ours = ours_open("local");
    if (!threads)
        bench_die("out of memory");
    ours_client(ours);
    uint64_t begin = bench_now();
    for (long i = 0; i < alive; i++)
        if (pthread_create(&threads[i], NULL, serve, NULL) != 0)
            bench_die("cannot start a thread");
    for (long i = 0; i < alive; i++)
        pthread_join(threads[i], NULL);
    printf("%.6f\n", (double)(bench_now() - begin) / 1e9);
    ours_close(ours);
    free(threads);
    return 0;
}
