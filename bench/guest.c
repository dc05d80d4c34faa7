// SPDX-License-Identifier: Apache-2.0
// Sandboxes under a kernel of their own (docs/microvm.md).
// usage: guest first COUNT | exec COUNT | pooled COUNT | idle COUNT
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

static const struct {
    const char *name;
    void (*run)(struct ours *ours, size_t count);
} cases[] = {{"first", first}, {"exec", exec}, {"pooled", pooled}, {"idle", idle}};

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
