// SPDX-License-Identifier: Apache-2.0
// Sandboxes under a kernel of their own (docs/microvm.md).
// usage: guest first COUNT | exec COUNT | pooled COUNT | idle COUNT | fill GIB
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "ours.h"

#define SAMPLES_MAX 1000

static void first(struct ours *ours, size_t count)
{
    double samples[SAMPLES_MAX];
    (void)ours_first(ours, bench_env("BENCH_ROOT"), SBX_NETWORK_NONE); // the saved one is made
    for (size_t i = 0; i < count; i++)
        samples[i] = ours_first(ours, bench_env("BENCH_ROOT"), SBX_NETWORK_NONE);
    bench_samples("guests", "first command", "ms", samples, count);
}

static void exec(struct ours *ours, size_t count)
{
    double samples[SAMPLES_MAX];
    for (size_t i = 0; i < count + 5; i++) {
        double taken = ours_living_exec(ours, bench_env("BENCH_ROOT"));
        if (i >= 5) // what ran before is translated, as in any guest that lives
            samples[i - 5] = taken;
    }
    bench_samples("guests", "exec", "ms", samples, count);
}

#define REST_US 300000 // a guest that a pool has kept for a while

static void pooled(struct ours *ours, size_t count)
{
    double samples[SAMPLES_MAX];
    for (size_t i = 0; i < count; i++) {
        struct sbx_sandbox *sandbox = ours_create(ours, bench_env("BENCH_ROOT"), SBX_NETWORK_NONE);
        usleep(REST_US);
        uint64_t begin = bench_now();
        ours_hello(sandbox, false);
        samples[i] = (double)(bench_now() - begin) / 1e6;
        ours_destroy(sandbox);
    }
    bench_samples("guests", "first command of a guest made before", "ms", samples, count);
}

#define SETTLE_S 5 // what ends with a start, and what the guest gives back a little later

static void idle(struct ours *ours, size_t count)
{
    struct sbx_sandbox *sandboxes[SAMPLES_MAX];
    size_t processes;
    ours_destroy(ours_create(ours, bench_env("BENCH_ROOT"), SBX_NETWORK_NONE));
    sleep(1);
    double available = bench_meminfo_kb("MemAvailable"), busy;
    uint64_t begin = bench_now();
    for (size_t i = 0; i < count; i++) {
        sandboxes[i] = ours_create(ours, bench_env("BENCH_ROOT"), SBX_NETWORK_NONE);
        ours_hello(sandboxes[i], false);
    }
    double many = (double)count;
    bench_value("guests", "started one after another", "per second",
                many * 1e9 / (double)(bench_now() - begin));
    sleep(SETTLE_S);
    busy = bench_machine_cpu_ms();
    sleep(SETTLE_S);
    bench_value("guests", "processor of each while idle, in thousandths", "",
                (bench_machine_cpu_ms() - busy) / SETTLE_S / many);
    bench_value("guests", "memory each (MemAvailable)", "kB",
                (available - bench_meminfo_kb("MemAvailable")) / many);
    bench_value("guests", "memory each (Pss)", "kB", bench_helpers_kb("Pss", &processes) / many);
    for (size_t i = 0; i < count; i++)
        ours_destroy(sandboxes[i]);
}

#define FILL_MAX 4000
#define FAILED_MAX 5                // starts that took too long: others use the processors too
#define LEFT_KB (2.0 * 1024 * 1024) // for all else on this machine

struct filling {
    struct sbx_sandbox *sandboxes[FILL_MAX];
    double taken[FILL_MAX];
    size_t count, failed;
};

static void hello_in(const struct filling *fill, const char *which, size_t index)
{
    char name[64];
    uint64_t begin = bench_now();
    ours_hello(fill->sandboxes[index], false);
    snprintf(name, sizeof(name), "fill: a command in the %s", which);
    bench_value("guests", name, "ms", (double)(bench_now() - begin) / 1e6);
}

static void make_one(struct ours *ours, struct filling *fill)
{
    struct sbx_error err = {0};
    uint64_t begin = bench_now();
    struct sbx_sandbox *sandbox =
        ours_try_create(ours, bench_env("BENCH_ROOT"), SBX_NETWORK_NONE, &err);
    if (!sandbox) {
        fprintf(stderr, "bench: guest %zu: %s\n", fill->count + 1, err.message);
        fill->failed++;
        return;
    }
    fill->taken[fill->count] = (double)(bench_now() - begin) / 1e6;
    fill->sandboxes[fill->count++] = sandbox;
}

static void make_until(struct ours *ours, struct filling *fill, double least_kb)
{
    while (fill->count < FILL_MAX && fill->failed < FAILED_MAX &&
           bench_meminfo_kb("MemAvailable") > least_kb)
        make_one(ours, fill);
    if (fill->count == 0)
        bench_die("fill: no guest was made");
}

// Guests one after another until so much memory is used.
static void fill(struct ours *ours, size_t gib)
{
    static struct filling all;
    ours_destroy(ours_create(ours, bench_env("BENCH_ROOT"), SBX_NETWORK_NONE));
    sleep(1);
    double before = bench_meminfo_kb("MemAvailable"), wanted = (double)gib * 1024 * 1024;
    if (before < wanted + LEFT_KB)
        bench_die("fill: only %.1f GiB are available, two of which are not used", before / 1048576);
    make_until(ours, &all, before - wanted);
    bench_value("guests", "fill: in so much memory", "GiB",
                (before - bench_meminfo_kb("MemAvailable")) / 1048576);
    bench_value("guests", "fill: guests at once", "", (double)all.count);
    bench_value("guests", "fill: starts that failed", "", (double)all.failed);
    size_t tenth = all.count / 10 ? all.count / 10 : 1;
    bench_samples("guests", "fill: first tenth made", "ms", all.taken, tenth);
    bench_samples("guests", "fill: last tenth made", "ms", all.taken + all.count - tenth, tenth);
    sleep(SETTLE_S);
    hello_in(&all, "first", 0);
    hello_in(&all, "middle one", all.count / 2);
    hello_in(&all, "last", all.count - 1);
    uint64_t begin = bench_now();
    for (size_t i = 0; i < all.count; i++)
        ours_destroy(all.sandboxes[i]);
    bench_value("guests", "fill: each destroyed", "ms",
                (double)(bench_now() - begin) / 1e6 / (double)all.count);
    sleep(SETTLE_S);
    bench_value("guests", "fill: less memory available afterwards", "kB",
                before - bench_meminfo_kb("MemAvailable"));
}

static const struct {
    const char *name;
    void (*run)(struct ours *ours, size_t count);
} cases[] = {{"first", first}, {"exec", exec}, {"pooled", pooled}, {"idle", idle}, {"fill", fill}};

int main(int argc, char **argv)
{
    size_t count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    struct ours *ours = ours_open("microvm");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases) && count && count <= SAMPLES_MAX; i++)
        if (strcmp(argv[1], cases[i].name) == 0)
            cases[i].run(ours, count);
    ours_close(ours);
    return 0;
}
