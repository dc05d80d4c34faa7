// SPDX-License-Identifier: Apache-2.0
// Sandboxes created, used and destroyed in a row: nothing grows. usage: soak COUNT
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sandboxes/sandboxes.h>

static struct sbx_client *client;

static int complain(const char *what, const struct sbx_error *err)
{
    printf("not ok 1 - %s: %s (%s)\n", what, err->message, err->remedy);
    return -1;
}

static int live_once(void)
{
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_error err = {0};
    struct sbx_result result;
    struct sbx_sandbox *sandbox;
    spec.network = SBX_NETWORK_NONE;
    spec.lifetime = SBX_LIFETIME_TIED;
    exec.shell = "echo hello";
    if (sbx_sandbox_create(client, &spec, NULL, &sandbox, &err) < 0)
        return complain("create", &err);
    int code = sbx_run(sandbox, &exec, NULL, &result, &err);
    if (code < 0)
        return complain("run", &err);
    bool good = result.outcome.exit_code == 0 && strcmp(result.out, "hello\n") == 0;
    sbx_result_deinit(&result);
    if (sbx_sandbox_destroy(sandbox, NULL, &err) < 0)
        return complain("destroy", &err);
    sbx_sandbox_free(sandbox);
    if (!good)
        printf("not ok 1 - a command failed\n");
    return good ? 0 : -1;
}

static long count_entries(const char *path)
{
    DIR *dir = opendir(path);
    long count = 0;
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

static long count_lines(const char *path)
{
    FILE *file = fopen(path, "re");
    long count = 0;
    for (int c; file && (c = getc(file)) != EOF;)
        count += c == '\n';
    if (file)
        fclose(file);
    return count;
}

static long own_memory_kb(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long total = 0, resident = 0;
    if (file && fscanf(file, "%ld %ld", &total, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

struct usage {
    long fds, mounts, threads, memory_kb;
};

static struct usage measure(void)
{
    return (struct usage){count_entries("/proc/self/fd"), count_lines("/proc/self/mountinfo"),
                          count_entries("/proc/self/task"), own_memory_kb()};
}

static int check(int number, const char *what, long before, long after, long allowed)
{
    bool good = after <= before + allowed;
    printf("%s %d - %s: %ld, then %ld\n", good ? "ok" : "not ok", number, what, before, after);
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct sbx_error err = {0};
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 100;
    if (sbx_client_open(NULL, &client, &err) < 0)
        return complain("open", &err) ? 1 : 0;
    for (int i = 0; i < 10; i++) // pools and caches fill
        if (live_once() < 0)
            return 1;
    struct usage before = measure();
    for (long i = 0; i < count; i++)
        if (live_once() < 0)
            return 1;
    struct usage after = measure();
    sbx_client_close(client);
    int failed = check(1, "descriptors", before.fds, after.fds, 0) +
                 check(2, "mounts", before.mounts, after.mounts, 0) +
                 check(3, "threads", before.threads, after.threads, 0) +
                 check(4, "memory (kB)", before.memory_kb, after.memory_kb, 512);
    printf("1..4\n");
    return failed != 0;
}
