// SPDX-License-Identifier: Apache-2.0
// The processes of /proc, one after the other: proc(5). Layer: agent.
#pragma once

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct procfs {
    DIR *dir; // owned
    int fd;   // of dir
};

struct procfs_stat {
    pid_t pid, parent, session;
    char state;
    uint32_t threads;
    uint64_t ticks; // processor time, waited-for children included
};

int procfs_open(struct procfs *procfs); // -1 and errno
// The next process that still is there; false at the end.
bool procfs_next(struct procfs *procfs, struct procfs_stat *ret_stat);
// Its resident pages; 0 when it is gone.
uint64_t procfs_resident(const struct procfs *procfs, pid_t pid);
void procfs_close(struct procfs *procfs);
