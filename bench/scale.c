// SPDX-License-Identifier: Apache-2.0
// Many sandboxes: created at once, living side by side, made and ended in a row.
// usage: scale at-once COUNT none|internet | living COUNT none|internet | row COUNT
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "ours.h"

struct at_once {
    struct ours *ours;
    const char *root;
    uint32_t network;
    pthread_barrier_t start;
    struct sbx_sandbox **sandboxes;
    uint64_t *ended; // when its first output was there
};

struct job {
    struct at_once *all;
    size_t index;
};

static void *create_one(void *payload)
{
    struct job *job = payload;
    struct at_once *all = job->all;
    pthread_barrier_wait(&all->start);
    all->sandboxes[job->index] = ours_create(all->ours, all->root, all->network);
    ours_hello(all->sandboxes[job->index], false);
    all->ended[job->index] = bench_now();
    return NULL;
}

static pthread_t start_thread(void *(*body)(void *), void *payload)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)256 * 1024);
    if (pthread_create(&thread, &attributes, body, payload) != 0)
        bench_die("thread");
    pthread_attr_destroy(&attributes);
    return thread;
}

static void at_once_report(struct at_once *all, size_t count, uint64_t begin, double cpu,
                           const char *network)
{
    char name[64];
    uint64_t last = begin;
    for (size_t i = 0; i < count; i++)
        if (all->ended[i] > last)
            last = all->ended[i];
    snprintf(name, sizeof(name), "%zu at once %s", count, network);
    bench_value("at once", name, "per second", (double)count * 1e9 / (double)(last - begin));
    snprintf(name, sizeof(name), "%zu at once %s, cpu each", count, network);
    bench_value("at once", name, "ms", cpu / (double)count);
}

static void at_once(size_t count, const char *network)
{
    struct at_once all = {.ours = ours_open("local"), .root = bench_env("BENCH_ROOT")};
    all.network = strcmp(network, "none") == 0 ? SBX_NETWORK_NONE : SBX_NETWORK_INTERNET;
    struct job *jobs = calloc(count, sizeof(*jobs));
    pthread_t *threads = calloc(count, sizeof(*threads));
    all.sandboxes = calloc(count, sizeof(*all.sandboxes)); // NOLINT: an array of pointers
    all.ended = calloc(count, sizeof(*all.ended));
    if (!jobs || !threads || !all.sandboxes || !all.ended)
        bench_die("out of memory");
    ours_destroy(ours_create(all.ours, all.root, all.network));
    pthread_barrier_init(&all.start, NULL, (unsigned int)count + 1);
    for (size_t i = 0; i < count; i++) {
        jobs[i] = (struct job){&all, i};
        threads[i] = start_thread(create_one, &jobs[i]);
    }
    double cpu = bench_machine_cpu_ms();
    uint64_t begin = bench_now();
    pthread_barrier_wait(&all.start);
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    at_once_report(&all, count, begin, bench_machine_cpu_ms() - cpu, network);
    begin = bench_now();
    for (size_t i = 0; i < count; i++)
        ours_destroy(all.sandboxes[i]);
    char name[64];
    snprintf(name, sizeof(name), "%zu destroyed one by one %s", count, network);
    bench_value("at once", name, "ms each", (double)(bench_now() - begin) / 1e6 / (double)count);
    pthread_barrier_destroy(&all.start);
    ours_close(all.ours);
    free(jobs);
    free(threads);
    free(all.sandboxes);
    free(all.ended);
}

/*
 * Parts that have nothing in common, each counted by the kernel as pages it holds:
 * Documentation/filesystems/proc.rst. Slab holds what /proc/meminfo calls reclaimable too: what is
 * left of it after forget_unused() is in use. Stacks lie in vmalloc's area, so they are taken from
 * it. Memory of files is Shmem, thus not of processes.
 */
struct memory {
    double processes, slab, stacks, tables, per_cpu, areas, files;
    double used; // by the whole machine: what the parts are held against
    size_t process_count;
};

// What the kernel only remembers, names and inodes nobody uses, is nobody's: proc_sys_vm(5). What
// living sandboxes hold stays, though /proc/meminfo calls it reclaimable.
static void forget_unused(void)
{
    FILE *file = fopen("/proc/sys/vm/drop_caches", "we");
    if (file)
        (void)fputs("2\n", file);
    if (file)
        fclose(file);
}

#define SETTLE_STEP_US 100000
#define SETTLE_STEPS 100

// Until the kernel has done what it does later, such as taking namespaces apart: so much of a step
// in which nobody computes. On a machine that never rests, for ten seconds.
static void settle(void)
{
    for (int i = 0, calm = 0; i < SETTLE_STEPS && calm < 3; i++) {
        double before = bench_machine_cpu_ms();
        usleep(SETTLE_STEP_US);
        calm = bench_machine_cpu_ms() - before <= 10 ? calm + 1 : 0;
    }
}

static struct memory measure_memory(void)
{
    struct memory now = {0};
    settle();
    forget_unused();
    now.used = bench_used_kb();
    now.slab = bench_meminfo_kb("Slab");
    now.stacks = bench_meminfo_kb("KernelStack");
    now.tables = bench_meminfo_kb("PageTables");
    now.per_cpu = bench_meminfo_kb("Percpu");
    now.areas = bench_meminfo_kb("VmallocUsed") - now.stacks;
    now.files = bench_meminfo_kb("Shmem");
    now.processes = bench_helpers_kb("Pss", &now.process_count);
    now.processes -= bench_helpers_kb("Pss_Shmem", &now.process_count);
    return now;
}

static void report_part(const char *network, const char *name, double kb, size_t count)
{
    char text[96];
    snprintf(text, sizeof(text), "memory each, network %s: %s", network, name);
    bench_value("living", text, "kB", kb / (double)count);
}

static void report_memory(const struct memory *before, size_t count, const char *network)
{
    struct memory now = measure_memory();
    const struct {
        const char *name;
        double kb;
    } parts[] = {
        {"processes", now.processes - before->processes},
        {"kernel objects", now.slab - before->slab},
        {"stacks and page tables", now.stacks + now.tables - before->stacks - before->tables},
        {"per-cpu", now.per_cpu - before->per_cpu},
        {"programs of the kernel", now.areas - before->areas},
        {"files in memory", now.files - before->files},
    };
    double sum = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        report_part(network, parts[i].name, parts[i].kb, count);
        sum += parts[i].kb;
    }
    report_part(network, "sum", sum, count);
    report_part(network, "by free pages", now.used - before->used, count);
    bench_value("living", "processes each", "",
                (double)(now.process_count - before->process_count) / (double)count);
}

#define EXECS 201
#define OPERATIONS 51
#define BETWEEN_US 50000 // for the end of the sandbox before, in the kernel

static double one_list(struct ours *ours, size_t living)
{
    struct sbx_list found;
    struct sbx_error err = {0};
    uint64_t begin = bench_now();
    ours_check(sbx_sandbox_list(ours_client(ours), NULL, NULL, 0, NULL, &found, &err), &err,
               "list");
    double taken = (double)(bench_now() - begin) / 1e6 / (double)living;
    if (found.count < living)
        bench_die("list shows %zu of %zu", found.count, living);
    sbx_list_free(&found);
    return taken;
}

// Each kind by itself: what the kernel does after a sandbox's end is neither a command's cost nor
// the next one's. `row` measures them on each other's heels.
static void measure_costs(struct ours *ours, const char *root, struct sbx_sandbox *one,
                          size_t living)
{
    double create[OPERATIONS], exec[EXECS], list[OPERATIONS];
    char name[64];
    settle();
    for (size_t i = 0; i < EXECS; i++) {
        uint64_t begin = bench_now();
        ours_hello(one, false);
        exec[i] = (double)(bench_now() - begin) / 1e6;
    }
    for (size_t i = 0; i < OPERATIONS; i++)
        list[i] = one_list(ours, living);
    for (size_t i = 0; i < OPERATIONS; i++) {
        usleep(BETWEEN_US);
        create[i] = ours_first(ours, root, SBX_NETWORK_INTERNET);
    }
    snprintf(name, sizeof(name), "create with %zu living", living);
    bench_samples("living", name, "ms", create, OPERATIONS);
    snprintf(name, sizeof(name), "exec with %zu living", living);
    bench_samples("living", name, "ms", exec, EXECS);
    snprintf(name, sizeof(name), "list with %zu living, each", living);
    bench_samples("living", name, "ms", list, OPERATIONS);
}

static struct sbx_sandbox **create_many(struct ours *ours, size_t count, uint32_t network,
                                        bool costs)
{
    const char *root = bench_env("BENCH_ROOT");
    struct sbx_sandbox **sandboxes =
        calloc(count, sizeof(*sandboxes)); // NOLINT: an array of pointers
    if (!sandboxes)
        bench_die("out of memory");
    for (size_t i = 0; i < count; i++) {
        sandboxes[i] = ours_create(ours, root, network);
        if (costs && (i + 1 == 1 || i + 1 == 100 || i + 1 == count))
            measure_costs(ours, root, sandboxes[0], i + 1);
    }
    return sandboxes;
}

static void end_many(struct sbx_sandbox **sandboxes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ours_destroy(sandboxes[i]);
    free(sandboxes);
}

// Memory first: to measure costs, more than these are made.
static void living(size_t count, const char *network)
{
    struct ours *ours = ours_open("local");
    bool none = strcmp(network, "none") == 0;
    uint32_t policy = none ? SBX_NETWORK_NONE : SBX_NETWORK_INTERNET;
    ours_destroy(ours_create(ours, bench_env("BENCH_ROOT"), policy));
    struct memory before = measure_memory();
    struct sbx_sandbox **sandboxes = create_many(ours, count, policy, false);
    report_memory(&before, count, network);
    end_many(sandboxes, count);
    if (!none)
        end_many(create_many(ours, count, policy, true), count);
    ours_close(ours);
}

static size_t count_entries(const char *path)
{
    DIR *dir = opendir(path);
    size_t count = 0;
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

static size_t count_lines(const char *path)
{
    FILE *file = fopen(path, "re");
    size_t count = 0;
    for (int c; file && (c = getc(file)) != EOF;)
        count += c == '\n';
    if (file)
        fclose(file);
    return count;
}

// Of the whole machine: the last but one column of /proc/cgroups, cgroups(7).
static double count_cgroups(void)
{
    FILE *file = fopen("/proc/cgroups", "re");
    char line[256];
    double sum = 0, count;
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "%*s %*s %lf", &count) == 1 && line[0] != '#')
            sum += count;
    if (file)
        fclose(file);
    return sum;
}

// Created, used and destroyed one after another; the first and last tenth are told apart.
static void row(size_t count)
{
    struct ours *ours = ours_open("local");
    const char *root = bench_env("BENCH_ROOT");
    double *samples = calloc(count, sizeof(*samples));
    size_t tenth = count / 10 ? count / 10 : 1;
    if (!samples)
        bench_die("out of memory");
    ours_whole(ours, root, SBX_NETWORK_INTERNET);
    size_t fds = count_entries("/proc/self/fd"), mounts = count_lines("/proc/self/mountinfo");
    double memory = bench_meminfo_kb("MemAvailable"), cgroups = count_cgroups();
    uint64_t begin = bench_now();
    for (size_t i = 0; i < count; i++)
        samples[i] = ours_whole(ours, root, SBX_NETWORK_INTERNET);
    double seconds = (double)(bench_now() - begin) / 1e9;
    sleep(2);
    bench_value("row", "rate", "per second", (double)count / seconds);
    bench_samples("row", "first tenth", "ms", samples, tenth);
    bench_samples("row", "last tenth", "ms", samples + count - tenth, tenth);
    bench_value("row", "more descriptors", "",
                (double)count_entries("/proc/self/fd") - (double)fds);
    bench_value("row", "more mounts", "",
                (double)count_lines("/proc/self/mountinfo") - (double)mounts);
    bench_value("row", "more cgroups", "", count_cgroups() - cgroups);
    bench_value("row", "less memory available", "kB", memory - bench_meminfo_kb("MemAvailable"));
    free(samples);
    ours_close(ours);
}

int main(int argc, char **argv)
{
    size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    if (argc == 4 && strcmp(argv[1], "at-once") == 0)
        at_once(count, argv[3]);
    else if (argc == 4 && strcmp(argv[1], "living") == 0)
        living(count, argv[3]);
    else if (argc == 3 && strcmp(argv[1], "row") == 0)
        row(count);
    else
        bench_die(
            "usage: scale at-once COUNT none|internet | living COUNT none|internet | row COUNT");
    return 0;
}
