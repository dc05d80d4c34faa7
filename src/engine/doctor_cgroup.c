// SPDX-License-Identifier: Apache-2.0
/*
 * Control groups: where a sandbox's could be made, by the rules of cgroups(7). Groups are made for
 * the try and removed at once; no controller is switched on. Layer: engine.
 */
#include "engine/doctor_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"

#define MOUNT "/sys/fs/cgroup"
#define CGROUP2_MAGIC 0x63677270

static const char *const controllers[] = {"memory", "pids", "cpu"};

// A group can be made below the directory.
static bool can_make(const char *directory)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%.4000s/sandboxes-doctor-%d", directory, (int)getpid());
    return mkdir(path, 0755) == 0 && rmdir(path) == 0;
}

static ssize_t read_in(const char *directory, const char *file, char *text, size_t size)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%.4000s/%s", directory, file);
    ssize_t got = fd_read_file(AT_FDCWD, path, text, size);
    if (got < 0)
        text[0] = '\0';
    return got;
}

// Whether a group here can pass the controller on: it is there, and no process stands in the way.
static bool passes_on(const char *directory, const char *controller)
{
    char have[512], on[512], processes[64], path[PATH_MAX];
    read_in(directory, "cgroup.controllers", have, sizeof(have));
    read_in(directory, "cgroup.subtree_control", on, sizeof(on));
    if (text_has_word(on, strlen(on), controller))
        return true;
    snprintf(path, sizeof(path), "%.4000s/cgroup.subtree_control", directory);
    if (!text_has_word(have, strlen(have), controller) || access(path, W_OK) < 0)
        return false;
    // EFBIG: more than fits, so there are some. The root group has no such rule.
    ssize_t size = read_in(directory, "cgroup.procs", processes, sizeof(processes));
    return size == 0 || strcmp(directory, MOUNT) == 0;
}

// Our own group in version 2's hierarchy, as a path; "" when there is none.
static void own_group(char *path, size_t size)
{
    char text[4096];
    path[0] = '\0';
    if (fd_read_file(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text)) < 0)
        return;
    char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    if (!line)
        return;
    line = strstr(line, "::") + 2;
    line[strcspn(line, "\n")] = '\0';
    snprintf(path, size, MOUNT "%s", strcmp(line, "/") == 0 ? "" : line);
}

static bool judge(const bool *held, const char *version, char *ret_what, size_t size)
{
    char missing[64] = "";
    for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
        if (!held[i])
            snprintf(missing + strlen(missing), sizeof(missing) - strlen(missing), "%s%s",
                     missing[0] ? ", " : "", controllers[i]);
    if (!missing[0]) {
        snprintf(ret_what, size, "%s: memory, processes and cpu can be limited", version);
        return true;
    }
    snprintf(ret_what, size,
             "%s: no group of ours can limit %s; asking for such a limit is an error", version,
             missing);
    return false;
}

static size_t count(const bool *held)
{
    size_t number = 0;
    for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
        number += held[i];
    return number;
}

// The engine takes the nearest group that has what is asked for: one with all of them is told of
// first.
static bool check_v2(char *ret_what, size_t size)
{
    char path[2048];
    bool held[ARRAY_SIZE(controllers)] = {false};
    own_group(path, sizeof(path));
    while (strlen(path) >= strlen(MOUNT)) {
        bool here[ARRAY_SIZE(controllers)];
        for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
            here[i] = passes_on(path, controllers[i]);
        if (count(here) > count(held) && can_make(path))
            memcpy(held, here, sizeof(held));
        char *slash = strrchr(path, '/');
        *slash = '\0';
    }
    return judge(held, "version 2", ret_what, size);
}

static bool check_v1(char *ret_what, size_t size)
{
    bool held[ARRAY_SIZE(controllers)] = {false};
    char text[4096], path[PATH_MAX];
    if (fd_read_file(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text)) < 0)
        text[0] = '\0';
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
            if (!text_has_word(list + 1, strlen(list + 1), controllers[i]))
                continue;
            snprintf(path, sizeof(path), MOUNT "/%s%.3000s", controllers[i],
                     strcmp(group, "/") == 0 ? "" : group);
            held[i] = can_make(path);
        }
    }
    return judge(held, "version 1", ret_what, size);
}

bool doctor_cgroup(char *ret_what, size_t size)
{
    struct statfs info;
    if (statfs(MOUNT, &info) < 0) {
        snprintf(ret_what, size, "none: " MOUNT " is not there");
        return false;
    }
    bool v2 = (unsigned long)info.f_type == CGROUP2_MAGIC;
    return v2 ? check_v2(ret_what, size) : check_v1(ret_what, size);
}
