// SPDX-License-Identifier: Apache-2.0
// A group of one's own from the account's systemd: see scope.h. Layer: engine.
#include "engine/scope.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/doctor_cgroup.h"

#define PROGRAM "/usr/bin/systemd-run"

// As systemd-run finds it: its own socket, not the bus, which need not run.
static bool find_manager(char *ret_runtime_dir, size_t size)
{
    static const char prefix[] = "XDG_RUNTIME_DIR=";
    const char *named = getenv("XDG_RUNTIME_DIR");
    char path[PATH_MAX + 32];
    int length = named && named[0]
                     ? snprintf(ret_runtime_dir, size, "%s%s", prefix, named)
                     : snprintf(ret_runtime_dir, size, "%s/run/user/%u", prefix, geteuid());
    if (length < 0 || (size_t)length >= size)
        return false;
    snprintf(path, sizeof(path), "%s/systemd/private", ret_runtime_dir + sizeof(prefix) - 1);
    struct stat info;
    return stat(path, &info) == 0 && S_ISSOCK(info.st_mode) && info.st_uid == geteuid();
}

static void fill(struct scope *scope)
{
    static const char *const words[SCOPE_ARGS] = {
        PROGRAM, "--user", "--scope", "--quiet", "--collect", "--property=Delegate=yes", "--"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        scope->argv[i] = (char *)(uintptr_t)words[i];
    scope->argv[SCOPE_ARGS] = NULL;
    scope->envp[0] = scope->runtime_dir;
    scope->envp[1] = NULL;
}

bool scope_find(struct scope *ret_scope)
{
    char what[256];
    if (geteuid() == 0 || access(PROGRAM, X_OK) < 0 ||
        access("/sys/fs/cgroup/cgroup.controllers", F_OK) < 0 ||
        !find_manager(ret_scope->runtime_dir, sizeof(ret_scope->runtime_dir)) ||
        doctor_cgroup(what, sizeof(what)))
        return false;
    fill(ret_scope);
    return true;
}
