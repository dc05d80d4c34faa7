// SPDX-License-Identifier: Apache-2.0
// Sandboxes under a kernel of their own (docs/microvm.md).
// usage: guest first COUNT | exec COUNT | idle COUNT
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
    for (size_t i = 0; i < count; i++)
        samples[i] = ours_first(ours, bench_env("BENCH_ROOT"), SBX_NETWORK_NONE);
    bench_samples("guest", "first command", "ms", samples, count);
}

static void exec(struct ours *ours, size_t count)
{
    double samples[SAMPLES_MAX];
    for (size_t i = 0; i < count + 5; i++) {
        double taken = ours_living_exec(ours, bench_env("BENCH_ROOT"));
        if (i >= 5) // what ran before is translated, as in any guest that lives
            samples[i - 5] = taken;
    }
    bench_samples("guest", "exec", "ms", samples, count);
}

static const struct {
    const char *name;
    void (*run)(struct ours *ours, size_t count);
} cases[] = {{"first", first}, {"exec", exec}};

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
