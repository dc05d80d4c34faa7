// SPDX-License-Identifier: Apache-2.0
// The processes of /proc. Layer: agent.
#include "agent/procfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"

// Positions of /proc/PID/stat counted from the state, which follows the name.
enum { STATE, PARENT, GROUP, SESSION, UTIME = 11, STIME, CUTIME, CSTIME, THREADS = 17, NUMBERS };

int procfs_open(struct procfs *procfs)
{
    procfs->dir = opendir("/proc");
    if (!procfs->dir)
        return -1;
    procfs->fd = dirfd(procfs->dir);
    return 0;
}

void procfs_close(struct procfs *procfs)
{
    closedir(procfs->dir);
}

// The name is chosen by the program and may hold ')' and spaces: the last ')' ends it.
static bool parse(const char *text, struct procfs_stat *stat)
{
    uint64_t numbers[NUMBERS];
    const char *at = strrchr(text, ')');
    if (!at || at[1] != ' ' || !at[2])
        return false;
    stat->state = at[2];
    char *next = (char *)(uintptr_t)at + 3;
    for (int i = STATE + 1; i < NUMBERS; i++)
        numbers[i] = (uint64_t)strtoll(next, &next, 10);
    stat->parent = (pid_t)numbers[PARENT];
    stat->session = (pid_t)numbers[SESSION];
    stat->ticks = numbers[UTIME] + numbers[STIME] + numbers[CUTIME] + numbers[CSTIME];
    stat->threads = (uint32_t)numbers[THREADS];
    return true;
}

bool procfs_next(struct procfs *procfs, struct procfs_stat *ret_stat)
{
    struct dirent *entry;
    while ((entry = readdir(procfs->dir))) {
        char path[32], text[1024];
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        snprintf(path, sizeof(path), "%.10s/stat", entry->d_name);
        struct procfs_stat stat = {.pid = atoi(entry->d_name)};
        if (fd_read_file(procfs->fd, path, text, sizeof(text)) > 0 && parse(text, &stat)) {
            *ret_stat = stat;
            return true;
        }
    }
    return false;
}

// From statm, which sums up what stat only estimates.
uint64_t procfs_resident(const struct procfs *procfs, pid_t pid)
{
    char path[32], text[256];
    snprintf(path, sizeof(path), "%d/statm", pid);
    if (fd_read_file(procfs->fd, path, text, sizeof(text)) < 0)
        return 0;
    const char *second = strchr(text, ' ');
    return second ? strtoull(second, NULL, 10) : 0;
}
