// SPDX-License-Identifier: Apache-2.0
#include "jail/rlimits.h"

#include <errno.h>
#include <sys/resource.h>

#include "base/cleanup.h"

#define OPEN_FILES 65536
#define KEEP RLIM_INFINITY // min(what is, infinity)
// core(5): a limit of 0 doesn't keep the kernel from starting the host's crash handler on a core
// that comes out of a sandbox; the odd limit of 1 byte does, and is too small for a file.
#define NO_CORE 1
#define MIB (1024 * 1024ULL)

struct limit {
    int resource;
    rlim_t soft, hard;
    const char *name;
};

static rlim_t least(rlim_t a, rlim_t b)
{
    return a < b ? a : b;
}

// Hard limits only fall: raising them takes a right that the sandbox's maker may lack.
static int lower(const struct limit *limit)
{
    struct rlimit now;
    if (getrlimit(limit->resource, &now) < 0)
        return -1;
    struct rlimit wanted = {.rlim_max = least(now.rlim_max, limit->hard)};
    wanted.rlim_cur = least(wanted.rlim_max, limit->soft);
    if (wanted.rlim_cur == now.rlim_cur && wanted.rlim_max == now.rlim_max)
        return 0;
    return setrlimit(limit->resource, &wanted);
}

int rlimits_apply(const struct rlimits *limits, struct sbx_error *err)
{
    rlim_t files = limits->open_files ? limits->open_files : OPEN_FILES;
    rlim_t processes = limits->processes ? limits->processes : KEEP;
    const struct limit table[] = {
        {RLIMIT_NOFILE, files, files, "open files"},
        {RLIMIT_NPROC, processes, processes, "processes"},
        {RLIMIT_CORE, NO_CORE, NO_CORE, "core"},
        {RLIMIT_MEMLOCK, 8 * MIB, 8 * MIB, "locked memory"},
        {RLIMIT_MSGQUEUE, 800 * 1024, 800 * 1024, "message queues"},
        {RLIMIT_SIGPENDING, 16384, 16384, "queued signals and timers"},
        {RLIMIT_NICE, 0, 0, "nice"},
        {RLIMIT_RTPRIO, 0, 0, "real-time priority"},
        // Many programs size thread stacks by the soft limit: an inherited `unlimited` breaks them.
        {RLIMIT_STACK, 8 * MIB, KEEP, "stack"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (lower(&table[i]) < 0)
            return err_sys(err, SBX_ERR_SETUP, errno, "cannot set the limit of %s", table[i].name);
    return 0;
}
