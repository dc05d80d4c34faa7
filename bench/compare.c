// SPDX-License-Identifier: Apache-2.0
// One sandbox at a time, ours and others', each case once per round, so that drift of the machine
// hits all alike. The kernel takes a sandbox apart after its end, so the order changes from round
// to round and there is a pause before each: nobody pays for the same neighbour's remains. usage:
// compare ROUNDS GROUP...
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "floor.h"
#include "ours.h"

struct compare {
    const char *root;    // BENCH_ROOT: the root file system of all
    const char *base;    // BENCH_BASE: an empty directory
    const char *bundle;  // BENCH_BUNDLE: for crun, with a config.json
    const char *living;  // BENCH_LIVING: name of a running crun container
    const char *command; // BENCH_SANDBOXES: our command
    int crun_mounts; // mount namespace that crun is happy in: BENCH_CRUN_NAMESPACE; -1: this one
    int own_mounts;
    struct ours *ours;
};

typedef double (*case_fn)(struct compare *compare); // ms

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static double run_floor(struct compare *compare, bool network, bool user)
{
    struct floor_options options = {compare->root, compare->base, "/bin/hello", network, user};
    return ms(floor_run(&options));
}

static double floor_none(struct compare *compare)
{
    return run_floor(compare, false, false);
}

static double floor_net(struct compare *compare)
{
    return run_floor(compare, true, false);
}

static double floor_user_net(struct compare *compare)
{
    return run_floor(compare, true, true);
}

static double run_bwrap(struct compare *compare, const char *program, const char *expect)
{
    const char *argv[] = {"bwrap",  "--unshare-all", "--ro-bind", compare->root, "/",
                          "--proc", "/proc",         "--dev",     "/dev",        "--tmpfs",
                          "/tmp",   program,         NULL};
    return ms(bench_run(argv, expect));
}

static double bwrap_hello(struct compare *compare)
{
    return run_bwrap(compare, "/bin/hello", "hello\n");
}

static double bwrap_true(struct compare *compare)
{
    return run_bwrap(compare, "/bin/true", "");
}

// The view of this machine that our default image gives, as far as bwrap can.
static double bwrap_host_true(struct compare *compare)
{
    const char *argv[] = {"bwrap",     "--unshare-all", "--ro-bind", "/usr",      "/usr",
                          "--symlink", "usr/bin",       "/bin",      "--symlink", "usr/lib",
                          "/lib",      "--symlink",     "usr/lib64", "/lib64",    "--ro-bind",
                          "/etc",      "/etc",          "--proc",    "/proc",     "--dev",
                          "/dev",      "--tmpfs",       "/tmp",      "true",      NULL};
    (void)compare;
    return ms(bench_run(argv, ""));
}

// crun refuses machines with both versions of cgroups: it runs where only one is mounted.
static double run_crun(struct compare *compare, const char *const *argv)
{
    if (compare->crun_mounts >= 0 && setns(compare->crun_mounts, CLONE_NEWNS) < 0)
        bench_die("setns: %s", strerror(errno));
    uint64_t taken = bench_run(argv, "hello\n");
    if (compare->crun_mounts >= 0 && setns(compare->own_mounts, CLONE_NEWNS) < 0)
        bench_die("setns: %s", strerror(errno));
    return ms(taken);
}

static double crun_run(struct compare *compare)
{
    static unsigned int number;
    char name[32];
    snprintf(name, sizeof(name), "bench-%d-%u", (int)getpid(), number++);
    const char *argv[] = {"crun", "run", "-b", compare->bundle, name, NULL};
    return run_crun(compare, argv);
}

static double crun_exec(struct compare *compare)
{
    const char *argv[] = {"crun", "exec", compare->living, "/bin/hello", NULL};
    return run_crun(compare, argv);
}

static double plain_exec(struct compare *compare)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/bin/hello", compare->root);
    return ms(floor_exec(path));
}

static double our_command(struct compare *compare, const char *image)
{
    const char *argv[] = {compare->command, "run", "--image", image, "--", "true", NULL};
    return ms(bench_run(argv, ""));
}

static double command_root(struct compare *compare)
{
    return our_command(compare, compare->root);
}

static double command_host(struct compare *compare)
{
    return our_command(compare, "host");
}

static double ours_none(struct compare *compare)
{
    return ours_first(compare->ours, compare->root, SBX_NETWORK_NONE);
}

static double ours_internet(struct compare *compare)
{
    return ours_first(compare->ours, compare->root, SBX_NETWORK_INTERNET);
}

static double ours_cold_none(struct compare *compare)
{
    return ours_cold(compare->root, SBX_NETWORK_NONE);
}

static double ours_cold_internet(struct compare *compare)
{
    return ours_cold(compare->root, SBX_NETWORK_INTERNET);
}

static double ours_host_internet(struct compare *compare)
{
    return ours_first(compare->ours, NULL, SBX_NETWORK_INTERNET);
}

static double ours_life(struct compare *compare)
{
    return ours_whole(compare->ours, compare->root, SBX_NETWORK_INTERNET);
}

static double ours_exec(struct compare *compare)
{
    return ours_living_exec(compare->ours, compare->root);
}

static const struct {
    const char *group, *name;
    case_fn run;
} cases[] = {
    {"first", "floor none", floor_none},
    {"first", "floor internet", floor_net},
    {"first", "floor internet user", floor_user_net},
    {"first", "bwrap", bwrap_hello},
    {"first", "crun run", crun_run},
    {"first", "ours none", ours_none},
    {"first", "ours internet", ours_internet},
    {"first", "ours none, client's first", ours_cold_none},
    {"first", "ours internet, client's first", ours_cold_internet},
    {"first", "ours internet host image", ours_host_internet},
    {"first", "ours internet with destroy", ours_life},
    {"process", "bwrap true", bwrap_true},
    {"process", "bwrap true host image", bwrap_host_true},
    {"process", "sandboxes run true", command_root},
    {"process", "sandboxes run true host image", command_host},
    {"exec", "no sandbox", plain_exec},
    {"exec", "crun exec", crun_exec},
    {"exec", "ours", ours_exec},
};
#define CASES (sizeof(cases) / sizeof(cases[0]))

// Cases are chosen by group, less those that BENCH_SKIP names, with commas between.
static bool wanted(size_t i, char **groups)
{
    char list[1024], name[64];
    const char *skip = getenv("BENCH_SKIP");
    snprintf(list, sizeof(list), ",%s,", skip ? skip : "");
    snprintf(name, sizeof(name), ",%s,", cases[i].name);
    if (strstr(list, name))
        return false;
    for (; *groups; groups++)
        if (strcmp(*groups, cases[i].group) == 0)
            return true;
    return false;
}

// Fisher and Yates; the same orders in each run.
static void shuffle(size_t *order, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)random() % i;
        size_t kept = order[i - 1];
        order[i - 1] = order[other];
        order[other] = kept;
    }
}

static double run_settled(struct compare *compare, size_t i)
{
    static const struct timespec pause = {.tv_nsec = 10000000};
    if (strcmp(cases[i].group, "exec") != 0) // which makes no sandboxes
        nanosleep(&pause, NULL);
    return cases[i].run(compare);
}

static void run_rounds(struct compare *compare, size_t rounds, char **groups)
{
    double *samples = calloc(CASES * rounds, sizeof(*samples));
    if (!samples)
        bench_die("out of memory");
    size_t order[CASES], count = 0;
    for (size_t i = 0; i < CASES; i++)
        if (wanted(i, groups))
            order[count++] = i;
    for (size_t i = 0; i < count; i++) // once unmeasured: caches, first images
        cases[order[i]].run(compare);
    for (size_t round = 0; round < rounds; round++) {
        shuffle(order, count);
        for (size_t i = 0; i < count; i++)
            samples[order[i] * rounds + round] = run_settled(compare, order[i]);
    }
    for (size_t i = 0; i < CASES; i++)
        if (wanted(i, groups))
            bench_samples(cases[i].group, cases[i].name, "ms", samples + i * rounds, rounds);
    free(samples);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        bench_die("usage: compare ROUNDS GROUP...");
    struct compare compare = {
        .root = bench_env("BENCH_ROOT"),
        .base = bench_env("BENCH_BASE"),
        .bundle = bench_env("BENCH_BUNDLE"),
        .living = bench_env("BENCH_LIVING"),
        .command = bench_env("BENCH_SANDBOXES"),
        .crun_mounts = -1,
        .ours = ours_open("local"),
    };
    if (getenv("BENCH_CRUN_NAMESPACE")) {
        compare.crun_mounts = open(getenv("BENCH_CRUN_NAMESPACE"), O_RDONLY | O_CLOEXEC);
        compare.own_mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    }
    run_rounds(&compare, strtoul(argv[1], NULL, 10), argv + 2);
    ours_close(compare.ours);
    return 0;
}
