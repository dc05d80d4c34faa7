// SPDX-License-Identifier: Apache-2.0
/*
 * Removing what a crash left of a sandbox. Its namespaces, mounts and network end with its
 * processes; what can stay are cgroups, processes in them, and the directory. Layer: engine.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/names.h"
#include "engine/delta.h"
#include "engine/record.h"
#include "engine/store.h"

#define ORIGIN "local"
#define CGROUPS_FILE "cgroups"
#define CGROUPS_MAX 4096
#define CGROUP_ROOT "/sys/fs/cgroup/"
#define REMOVE_TRIES 100 // 10 ms apart, for killed processes to end

// Everything that we put into a sandbox's directory, `cgroups` last: it tells what is still to be
// done.
static const char *const box_files[] = {
    BOX_FILE_SPEC,  BOX_FILE_SPEC ".new", BOX_FILE_STATE, BOX_FILE_STATE ".new",
    BOX_FILE_AGENT, BOX_FILE_CONTROL,     CGROUPS_FILE,
};

// A path that can only be the cgroup of this sandbox: the record might be damaged.
static bool cgroup_of(const char *path, const char *id)
{
    const char *last = strrchr(path, '/');
    return strncmp(path, CGROUP_ROOT, strlen(CGROUP_ROOT)) == 0 && !strstr(path, "/../") && last &&
           strcmp(last + 1, id) == 0;
}

// Is this process in a cgroup of the sandbox? Asked after pidfd_open(2), so that a number that was
// given to another process meanwhile does no harm.
static bool belongs(long pid, const char *id)
{
    char path[64], text[4096], wanted[80];
    snprintf(path, sizeof(path), "/proc/%ld/cgroup", pid);
    snprintf(wanted, sizeof(wanted), "/%s", id);
    return fd_read_file(AT_FDCWD, path, text, sizeof(text)) > 0 && strstr(text, wanted);
}

static void kill_process(long pid, const char *id)
{
    cleanup_fd int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (fd < 0 && errno == ENOSYS && belongs(pid, id))
        kill((pid_t)pid, SIGKILL);
    else if (fd >= 0 && belongs(pid, id))
        (void)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
}

static void kill_members(int group_fd, const char *id)
{
    if (fd_write_file(group_fd, "cgroup.kill", "1") == 0) // version 2 since Linux 5.14
        return;
    int fd = openat(group_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    FILE *members = fd < 0 ? NULL : fdopen(fd, "r");
    if (!members) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (long pid; fscanf(members, "%ld", &pid) == 1;)
        if (pid > 1)
            kill_process(pid, id);
    fclose(members);
}

static bool remove_cgroup(const char *path, const char *id)
{
    cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return true;
    for (int i = 0; i < REMOVE_TRIES; i++) {
        kill_members(fd, id);
        if (rmdir(path) == 0 || errno != EBUSY)
            break;
        poll(NULL, 0, 10);
    }
    if (access(path, F_OK) < 0)
        return true;
    log_warn(ORIGIN, "cgroup %s of a sandbox that is gone cannot be removed", path);
    return false;
}

// False when one is still there.
static bool remove_cgroups(int dir_fd, const char *id)
{
    char text[CGROUPS_MAX], *rest = NULL;
    bool all = true;
    if (fd_read_file(dir_fd, CGROUPS_FILE, text, sizeof(text)) < 0)
        return true;
    for (char *path = strtok_r(text, "\n", &rest); path; path = strtok_r(NULL, "\n", &rest)) {
        if (cgroup_of(path, id))
            all = remove_cgroup(path, id) && all;
        else
            log_warn(ORIGIN, "sandbox %s: '%s' is not a cgroup of it and stays", id, path);
    }
    return all;
}

static void report_unknown(const struct store *store, const char *id, int dir_fd)
{
    DIR *dir = dir_open(dir_fd, ".");
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (!name_is_dots(entry->d_name))
            log_warn(ORIGIN, "%s/%s/%s is unknown and stays", store->path, id, entry->d_name);
    closedir(dir);
}

static void remove_directory(const struct store *store, const char *id, int dir_fd)
{
    for (size_t i = 0; i < ARRAY_SIZE(box_files); i++)
        unlinkat(dir_fd, box_files[i], 0);
    if (unlinkat(store->fd, id, AT_REMOVEDIR) < 0 && (errno == ENOTEMPTY || errno == EEXIST))
        report_unknown(store, id, dir_fd);
}

/*
 * The directory, locked by us; -1 if it is alive after all or somebody is creating one just now
 * (then the next who looks will do it). Its spec goes first: while we hold the lock it looks alive.
 */
static int claim(const struct store *store, const char *id)
{
    cleanup_fd int fd = openat(store->fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || flock(store->fd, LOCK_EX | LOCK_NB) < 0)
        return -1;
    bool ours = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (ours)
        unlinkat(fd, BOX_FILE_SPEC, 0);
    flock(store->fd, LOCK_UN);
    return ours ? steal_fd(&fd) : -1;
}

// A layer of a snapshot that it stood on, or NULL.
static char *find_delta(const struct store *store, const char *id)
{
    cleanup_record struct record record = {0};
    cleanup_fd int fd = openat(store->fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || record_read(fd, id, &record) != RECORD_OK)
        return NULL;
    const char *layer = delta_among(record.spec.layers, record.spec.layer_count);
    return layer ? strdup(layer) : NULL;
}

void store_sweep(const struct store *store, const char *id)
{
    cleanup_free char *delta = find_delta(store, id);
    cleanup_fd int fd = claim(store, id);
    if (fd < 0)
        return;
    log_info(ORIGIN, "sandbox %s has lost its monitor: removing what is left of it", id);
    if (!remove_cgroups(fd, id)) // then the record of them stays for the next one who looks
        return;
    remove_directory(store, id, fd);
    if (delta)
        delta_ended(delta);
}
