// SPDX-License-Identifier: Apache-2.0
/*
 * What our client of a service costs, as bench/cloud.py measures the official one: against the same
 * server, milliseconds of create and the first command, and of N commands at once. usage:
 * bench_cloud PROVIDER ROUNDS CONCURRENT, or bench_cloud --peak PROGRAM ARGUMENT...: the largest
 * resident set of that program (asked from a small process, since a child begins with its
 * parent's), or bench_cloud --stream PROVIDER MIB: MB/s of a command's output.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sandboxes/sandboxes.h>

#define MOST 1000
#define CROWDS 20

static struct sbx_sandbox *shared;

static double now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void need(int code, const struct sbx_error *err)
{
    if (code == 0)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(*values), by_size);
    return values[count / 2];
}

static void run_true(struct sbx_sandbox *sandbox)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result;
    struct sbx_error err;
    exec.shell = "true";
    need(sbx_run(sandbox, &exec, NULL, &result, &err), &err);
    sbx_result_deinit(&result);
}

static int take(void *payload, int stream, const void *data, size_t size)
{
    return 0;
}

static void stream_true(struct sbx_sandbox *sandbox)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_outcome outcome;
    struct sbx_error err;
    exec.shell = "true";
    need(sbx_stream_run(sandbox, &exec, take, NULL, NULL, &outcome, &err), &err);
}

struct crowd {
    void (*run)(struct sbx_sandbox *sandbox);
    pthread_barrier_t start;
};

static void *run_shared(void *payload)
{
    struct crowd *crowd = payload;
    pthread_barrier_wait(&crowd->start);
    crowd->run(shared);
    return NULL;
}

static double first_command(struct sbx_client *client)
{
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_sandbox *sandbox;
    struct sbx_error err;
    double began = now_ms();
    need(sbx_sandbox_create(client, &spec, NULL, &sandbox, &err), &err);
    run_true(sandbox);
    double taken = now_ms() - began;
    need(sbx_sandbox_destroy(sandbox, NULL, &err), &err);
    sbx_sandbox_free(sandbox);
    return taken;
}

// The threads are there before, as those of the pool that the official client runs in.
static double at_once(void (*run)(struct sbx_sandbox *sandbox), int count)
{
    pthread_t threads[MOST];
    struct crowd crowd = {.run = run};
    pthread_barrier_init(&crowd.start, NULL, (unsigned)count + 1);
    for (int i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, run_shared, &crowd);
    pthread_barrier_wait(&crowd.start);
    double began = now_ms();
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    double taken = now_ms() - began;
    pthread_barrier_destroy(&crowd.start);
    return taken;
}

static int peak(char **argv)
{
    struct rusage usage = {0};
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        execv(argv[0], argv);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &usage) < 0 || status != 0)
        return 1;
    printf("%.1f\n", (double)usage.ru_maxrss / 1024);
    return 0;
}

static int count(void *payload, int stream, const void *data, size_t size)
{
    *(size_t *)payload += size;
    return 0;
}

static int stream(const char *provider, int mib)
{
    struct sbx_client_options options = SBX_CLIENT_OPTIONS_INIT;
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_outcome outcome;
    struct sbx_client *client;
    struct sbx_error err;
    char line[100];
    size_t size = 0;
    options.provider = provider;
    snprintf(line, sizeof(line), "head -c %dM /dev/zero", mib);
    exec.shell = line;
    need(sbx_client_open(&options, &client, &err), &err);
    need(sbx_sandbox_create(client, &spec, NULL, &shared, &err), &err);
    run_true(shared);
    double began = now_ms();
    need(sbx_stream_run(shared, &exec, count, &size, NULL, &outcome, &err), &err);
    double taken = now_ms() - began;
    need(sbx_sandbox_destroy(shared, NULL, &err), &err);
    sbx_sandbox_free(shared);
    sbx_client_close(client);
    printf("%.0f\n", (double)size / 1e3 / taken);
    return size != (size_t)mib << 20;
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "--peak") == 0)
        return peak(argv + 2);
    if (argc > 3 && strcmp(argv[1], "--stream") == 0)
        return stream(argv[2], atoi(argv[3]));
    struct sbx_client_options options = SBX_CLIENT_OPTIONS_INIT;
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_client *client;
    struct sbx_error err;
    double firsts[MOST], execs[MOST], many[CROWDS], streams[MOST], many_streams[CROWDS];
    int rounds = argc > 2 ? atoi(argv[2]) : 20, count = argc > 3 ? atoi(argv[3]) : 100;
    if (argc < 2 || rounds < 1 || rounds > MOST || count < 1 || count > MOST)
        return 2;
    options.provider = argv[1];
    need(sbx_client_open(&options, &client, &err), &err);
    first_command(client);
    for (int i = 0; i < rounds; i++)
        firsts[i] = first_command(client);
    need(sbx_sandbox_create(client, &spec, NULL, &shared, &err), &err);
    run_true(shared);
    for (int i = 0; i < rounds; i++) {
        double began = now_ms();
        run_true(shared);
        execs[i] = now_ms() - began;
    }
    for (int i = 0; i < rounds; i++) {
        double began = now_ms();
        stream_true(shared);
        streams[i] = now_ms() - began;
    }
    for (int i = 0; i < CROWDS; i++)
        many[i] = at_once(run_true, count);
    for (int i = 0; i < CROWDS; i++)
        many_streams[i] = at_once(stream_true, count);
    need(sbx_sandbox_destroy(shared, NULL, &err), &err);
    sbx_sandbox_free(shared);
    sbx_client_close(client);
    printf("create and first command %.2f ms, a command %.2f ms, %d commands at once %.1f ms; "
           "followed "
           "as it runs %.2f ms, %d at once %.1f ms\n",
           median(firsts, rounds), median(execs, rounds), count, median(many, CROWDS),
           median(streams, rounds), count, median(many_streams, CROWDS));
    return 0;
}
