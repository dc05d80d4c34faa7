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
#ifdef __linux__
#include <sys/statfs.h>
#endif
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

// The first candidate whose variable is set and absolute, and a home only if it is there. 0 or -1
// if there is none or it is too long.
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
        // Accounts of services have a home that must not come to be: /nonexistent.
        if (!candidates[i].chosen && access(base, F_OK) < 0)
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

/*
 * 1: a directory of ours; 0: there is none, or it is not ours; or an error. Not to know is no
 * answer: a sandbox made in one place would not be found in the other.
 */
static int owned_dir(const char *path, struct sbx_error *err)
{
    struct stat info;
    if (stat(path, &info) == 0)
        return S_ISDIR(info.st_mode) && info.st_uid == geteuid();
    if (errno == ENOENT || errno == ENOTDIR || errno == EACCES)
        return 0;
    err_sys(err, SBX_ERR_SETUP, errno, "cannot look at the directory %s", path);
    return err_hint(err, "set SANDBOXES_RUNTIME_DIR to a directory of yours"), SBX_ERR_SETUP;
}

static bool is_tmpfs(const char *path)
{
#ifdef __linux__
    struct statfs info;
    return statfs(path, &info) == 0 && info.f_type == 0x01021994; // TMPFS_MAGIC, statfs(2)
#else
    (void)path;
    return false;
#endif
}

// Somebody else's XDG_RUNTIME_DIR (kept by sudo -E) is passed over: its owner could swap our
// directory.
static int pick_runtime(char *ret_path, size_t size, struct sbx_error *err)
{
    unsigned uid = (unsigned)geteuid();
    char user_dir[64];
    const char *chosen = getenv("SANDBOXES_RUNTIME_DIR"), *xdg = getenv("XDG_RUNTIME_DIR");
    if (chosen && chosen[0]) {
        snprintf(ret_path, size, "%s", chosen);
        return 0;
    }
    snprintf(user_dir, sizeof(user_dir), "/run/user/%u", uid);
    const char *const bases[] = {xdg && xdg[0] == '/' ? xdg : user_dir, user_dir};
    for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
        int owned = owned_dir(bases[i], err);
        if (owned > 0)
            snprintf(ret_path, size, "%s/sandboxes", bases[i]);
        if (owned != 0)
            return owned < 0 ? owned : 0;
    }
    snprintf(ret_path, size, "%s/sandboxes-%u", is_tmpfs("/dev/shm") ? "/dev/shm" : "/tmp", uid);
    return 0;
}

// What is wrong with a directory that must be ours alone, or NULL.
static const char *fault_of(int fd)
{
    struct stat info;
    if (fstat(fd, &info) < 0)
        return "cannot be looked at";
    if (info.st_uid != geteuid())
        return "belongs to another user";
    return info.st_mode & 077 ? "can be entered by other users" : NULL;
}

#define RUNTIME_HINT                                                                               \
    "remove %s or make it yours alone (chmod 700), or set SANDBOXES_RUNTIME_DIR to such a "        \
    "directory"

int dirs_open_runtime(char *ret_path, size_t size, int *ret_fd, struct sbx_error *err)
{
    int picked = pick_runtime(ret_path, size, err);
    if (picked < 0)
        return picked;
    if (ret_path[0] != '/' || strlen(ret_path) + 1 >= size)
        return err_set(err, SBX_ERR_INVALID,
                       "SANDBOXES_RUNTIME_DIR is not a usable absolute path: '%s'", ret_path);
    cleanup_fd int fd = open(ret_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && make_parents(ret_path) == 0)
        fd = open(ret_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        err_sys(err, SBX_ERR_SETUP, errno, "cannot open the runtime directory %s", ret_path);
        return err_hint(err, RUNTIME_HINT, ret_path), SBX_ERR_SETUP;
    }
    const char *fault = fault_of(fd);
    if (fault) {
        err_set(err, SBX_ERR_SETUP, "the runtime directory %s %s", ret_path, fault);
        return err_hint(err, RUNTIME_HINT, ret_path), SBX_ERR_SETUP;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}
