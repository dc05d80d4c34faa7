// SPDX-License-Identifier: Apache-2.0
// Killing all that a command started. Layer: agent.
#include "agent/tree.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/procfs.h"
#include "base/cleanup.h"
#include "base/fd.h"

#define ROUNDS_MAX 20
#define CROWD 200

struct member {
    pid_t pid;
    pid_t parent;
    pid_t session;
    bool tagged;
    bool ours;
};

struct members {
    struct member *items; // owned
    size_t count, capacity;
};

uint64_t tree_tag_max(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_LOCKS, &limit) < 0 ? 0 : limit.rlim_max;
}

void tree_tag_self(uint64_t tag, uint64_t max)
{
    if (tag < max)
        setrlimit(RLIMIT_LOCKS, &(struct rlimit){.rlim_cur = tag, .rlim_max = max});
}

static bool has_tag(int proc_fd, pid_t pid, uint64_t tag)
{
    static const char label[] = "Max file locks";
    char path[32], text[2048];
    snprintf(path, sizeof(path), "%d/limits", pid);
    if (fd_read_file(proc_fd, path, text, sizeof(text)) < 0)
        return false;
    const char *row = strstr(text, label);
    return row && strtoull(row + sizeof(label) - 1, NULL, 10) == tag;
}

static bool add_member(struct members *members, const struct member *member)
{
    if (members->count == members->capacity) {
        size_t capacity = members->capacity ? members->capacity * 2 : 64;
        struct member *items = realloc(members->items, capacity * sizeof(*items));
        if (!items)
            return false;
        members->items = items;
        members->capacity = capacity;
    }
    members->items[members->count++] = *member;
    return true;
}

// Every living process but us. Zombies are dead already, but their children point at them.
static int scan(struct members *members, uint64_t tag)
{
    struct procfs procfs;
    struct procfs_stat stat;
    members->count = 0;
    if (procfs_open(&procfs) < 0)
        return -1;
    while (procfs_next(&procfs, &stat)) {
        struct member member = {.pid = stat.pid, .parent = stat.parent, .session = stat.session};
        if (stat.pid == 1 || stat.pid == getpid() || stat.state == 'Z' || stat.state == 'X')
            continue;
        member.tagged = has_tag(procfs.fd, stat.pid, tag);
        if (!add_member(members, &member))
            break;
    }
    procfs_close(&procfs);
    return 0;
}

// /proc lists processes by number, so the array is sorted.
static bool is_ours(const struct members *members, pid_t pid)
{
    size_t low = 0, high = members->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (members->items[middle].pid == pid)
            return members->items[middle].ours;
        if (members->items[middle].pid < pid)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

// Marks until nothing changes. Parents mostly precede their children in /proc, so one pass is
// usual.
static void mark(struct members *members, pid_t main_pid)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < members->count; i++) {
            struct member *member = &members->items[i];
            if (member->ours)
                continue;
            // Our own workers are in session 0, as seen in here: that is nobody's.
            bool main = main_pid > 0 && (member->pid == main_pid || member->session == main_pid);
            member->ours = member->tagged || main || is_ours(members, member->parent);
            changed |= member->ours;
        }
    }
}

static int send_all(const struct members *members, int signal)
{
    int count = 0;
    for (size_t i = 0; i < members->count; i++)
        if (members->items[i].ours) {
            kill(members->items[i].pid, signal);
            count++;
        }
    return count;
}

// Sends it to every process but us, at most `most`; 0 sends nothing. Names alone are listed. Their
// number, 0 when they can't be listed.
static size_t signal_each(int signal, size_t most)
{
    struct procfs procfs;
    size_t count = 0;
    if (procfs_open(&procfs) < 0)
        return 0;
    for (struct dirent *entry; count < most && (entry = readdir(procfs.dir));) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid <= 1 || pid == getpid())
            continue;
        if (signal)
            kill(pid, signal);
        count++;
    }
    procfs_close(&procfs);
    return count;
}

/*
 * One by one, not by kill(-1): such a signal also reaches a child that is just being forked
 * (signal_struct.multiprocess in Linux), and the SIGCONT that takes it back from the parent does
 * not take it back from there, because it is ignored by default: the child stays stopped for ever.
 */
static void stop_everyone(void)
{
    size_t before = 0, now = signal_each(SIGSTOP, SIZE_MAX);
    for (int round = 1; round < ROUNDS_MAX && now != before; round++) {
        before = now;
        now = signal_each(SIGSTOP, SIZE_MAX);
    }
}

/*
 * Stopped first, so that a program that forks faster than we look can't run away: rounds go on
 * while they find more. The kill then meets them all.
 */
static int stop_and_kill(struct members *members, pid_t main_pid, uint64_t tag)
{
    int found = 0, before = -1;
    for (int round = 0; round < ROUNDS_MAX && found != before; round++) {
        before = found;
        if (scan(members, tag) < 0)
            return -1;
        mark(members, main_pid);
        found = send_all(members, SIGSTOP);
    }
    if (found > 0)
        send_all(members, SIGKILL);
    return found;
}

int tree_kill(pid_t main_pid, uint64_t tag)
{
    struct members members = {0};
    // Among a thousand that fork without end we would hardly get to look: all stop for that time,
    // ours or not. One that was stopped before runs again after; that is the lesser evil.
    bool crowded = signal_each(0, CROWD + 1) > CROWD;
    if (crowded)
        stop_everyone();
    int found = stop_and_kill(&members, main_pid, tag);
    if (crowded)
        kill(-1, SIGCONT);
    free(members.items);
    return found;
}
