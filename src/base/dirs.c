// SPDX-License-Identifier: Apache-2.0
// Where things of ours live on this machine. Layer: base.
#include "base/dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

// As mkdir -p, 0700 each. 0 or -1 and errno.
static int make_parents(char *path)
{
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        int failed = mkdir(path, 0700) < 0 && errno != EEXIST && errno != EISDIR;
        if (slash)
            *slash = '/';
        if (failed || !slash)
            return failed ? -1 : 0;
    }
}

// Ours alone? What others may write could feed us their files as a root file system.
static int check_owned(const char *path, struct sbx_error *err)
{
    struct stat info;
    if (lstat(path, &info) < 0)
        return err_sys(err, 0, errno, "cannot look at the directory %s", path);
    if (!S_ISDIR(info.st_mode))
        return err_set(err, SBX_ERR_CONFLICT, "%s is not a directory", path);
    if (info.st_uid != geteuid())
        return err_set(err, SBX_ERR_DENIED, "the directory %s belongs to another user", path);
    if (info.st_mode & 022)
        return err_set(err, SBX_ERR_DENIED, "others may write to the directory %s", path);
    return 0;
}

static int make_owned(char *path, struct sbx_error *err)
{
    // The usual case costs one call.
    if (check_owned(path, NULL) == 0)
        return 0;
    if (make_parents(path) < 0)
        return err_sys(err, 0, errno, "cannot make the directory %s", path);
    return check_owned(path, err);
}

// The first candidate whose variable is set and absolute. 0 or -1 if there is none or it is too
// long.
static int pick_cache(char *ret_path, size_t size, bool *ret_chosen)
{
    static const struct {
        const char *variable;
        const char *below;
        bool chosen; // named by the user for us: never silently replaced
    } candidates[] = {
        {"SANDBOXES_CACHE_DIR", "", true},
        {"XDG_CACHE_HOME", "/sandboxes", true},
        {"HOME", "/.cache/sandboxes", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
        const char *base = getenv(candidates[i].variable);
        if (!base || base[0] != '/')
            continue;
        *ret_chosen = candidates[i].chosen;
        return (size_t)snprintf(ret_path, size, "%s%s", base, candidates[i].below) < size ? 0 : -1;
    }
    return -1;
}

int dirs_cache(char *ret_path, size_t size, struct sbx_error *err)
{
    char path[PATH_MAX];
    bool chosen = false;
    struct sbx_error why = {0};
    int rc = -1;
    if (pick_cache(path, sizeof(path), &chosen) == 0)
        rc = make_owned(path, &why);
    if (rc < 0 && chosen) {
        if (err)
            *err = why;
        return err_hint(err, "set SANDBOXES_CACHE_DIR to a directory that only you can write");
    }
    if (rc < 0) {
        snprintf(path, sizeof(path), "/var/tmp/sandboxes-%u", (unsigned)geteuid());
        rc = make_owned(path, err);
        if (rc < 0)
            return err_hint(err, "set SANDBOXES_CACHE_DIR to a directory that only you can write");
    }
    if (strlen(path) >= size)
        return err_set(err, SBX_ERR_INVALID, "the path of the cache directory is too long");
    memcpy(ret_path, path, strlen(path) + 1);
    return 0;
}
