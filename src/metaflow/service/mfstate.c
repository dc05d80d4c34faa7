// SPDX-License-Identifier: Apache-2.0
// Layer: metaflow.
#include "metaflow/service/mfstate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/sha256.h"
#include "metaflow/service/mffile.h"

#define DIR_NAME ".metaflow-local-service"
#define FILE_MAX (PATH_MAX * 6 + 256) // JSON escapes
#define NAME_SIZE (MFSTATE_ID_SIZE + 8)
#define WRITING_MS 1000 // how long a starter may take to write what it has locked

int mfstate_open_dir(int *ret_fd, struct sbx_error *err)
{
    const char *home = getenv("HOME");
    struct passwd *user = home && *home ? NULL : getpwuid(getuid());
    home = home && *home ? home : user ? user->pw_dir : "/";
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/" DIR_NAME, home);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        goto failed;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        goto failed;
    *ret_fd = fd;
    return 0;
failed:
    err_sys(err, 0, errno, "can't use %s", path);
    return err_hint(err, "set HOME to a directory that can be written");
}

void mfstate_id(const char *root, char ret_id[MFSTATE_ID_SIZE])
{
    struct sha256 hash;
    uint8_t digest[SHA256_SIZE];
    sha256_init(&hash);
    sha256_update(&hash, root, strlen(root));
    sha256_final(&hash, digest);
    for (size_t i = 0; i < (MFSTATE_ID_SIZE - 1) / 2; i++)
        snprintf(ret_id + 2 * i, 3, "%02x", digest[i]);
}

static void state_name(const char *id, char ret_name[NAME_SIZE])
{
    snprintf(ret_name, NAME_SIZE, "%s.json", id);
}

static void users_name(const char *id, char ret_name[NAME_SIZE])
{
    snprintf(ret_name, NAME_SIZE, "%s.users", id);
}

// Whether the name still leads to this open file: its last holder removes it.
static bool still_there(int dir_fd, const char *name, int fd)
{
    struct stat there, here;
    return fstatat(dir_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &here) == 0 &&
           there.st_ino == here.st_ino && there.st_dev == here.st_dev;
}

static int lock_file(int dir_fd, const char *name, int operation)
{
    for (;;) {
        int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            return -1;
        int locked;
        do
            locked = flock(fd, operation);
        while (locked < 0 && errno == EINTR);
        int reason = errno;
        if (locked == 0 && still_there(dir_fd, name, fd))
            return fd;
        close(fd);
        if (locked < 0) {
            errno = reason;
            return -1;
        }
    }
}

int mfstate_claim(int dir_fd, const char *id, int *ret_lock_fd, struct sbx_error *err)
{
    char name[NAME_SIZE];
    state_name(id, name);
    int fd = lock_file(dir_fd, name, LOCK_EX | LOCK_NB);
    if (fd < 0)
        return errno == EWOULDBLOCK ? err_set(err, SBX_ERR_CONFLICT, "a service runs already")
                                    : err_sys(err, 0, errno, "can't lock ~/" DIR_NAME "/%s", name);
    *ret_lock_fd = fd;
    return 0;
}

int mfstate_write(int lock_fd, const struct mfstate *state, struct sbx_error *err)
{
    cleanup_json json_t *json =
        json_pack("{s:I,s:I,s:s,s:f,s:b}", "pid", (json_int_t)state->pid, "port",
                  (json_int_t)state->port, "metaflow_root", state->root, "started_at",
                  (double)state->started_ms / 1000, "kept", state->kept);
    cleanup_free char *text = json_dumps(json, 0);
    if (!text)
        return err_set(err, SBX_ERR_INVALID, "%s: its name is not UTF-8", state->root);
    if (ftruncate(lock_fd, 0) < 0 ||
        pwrite(lock_fd, text, strlen(text), 0) != (ssize_t)strlen(text))
        return err_sys(err, 0, errno, "can't write in ~/" DIR_NAME);
    return 0;
}

void mfstate_drop(int dir_fd, const char *id)
{
    char name[NAME_SIZE];
    state_name(id, name);
    unlinkat(dir_fd, name, 0);
}

static int parse(int fd, struct mfstate *ret_state)
{
    char *text = malloc(FILE_MAX);
    ssize_t size = text ? pread(fd, text, FILE_MAX, 0) : -1;
    cleanup_json json_t *json = size > 0 ? json_loadb(text, (size_t)size, 0, NULL) : NULL;
    free(text);
    const char *root = json_string_value(json_object_get(json, "metaflow_root"));
    json_int_t pid = json_integer_value(json_object_get(json, "pid"));
    json_int_t port = json_integer_value(json_object_get(json, "port"));
    if (!root || strlen(root) >= PATH_MAX || pid <= 1 || pid > INT_MAX || port <= 0 || port > 65535)
        return -1;
    *ret_state = (struct mfstate){
        .pid = (pid_t)pid,
        .port = (uint16_t)port,
        .kept = json_is_true(json_object_get(json, "kept")),
        .started_ms = (int64_t)(json_real_value(json_object_get(json, "started_at")) * 1000)};
    snprintf(ret_state->root, sizeof(ret_state->root), "%s", root);
    return 0;
}

static int read_living(int dir_fd, const char *name, int fd, struct mfstate *ret_state,
                       struct sbx_error *err)
{
    for (int64_t end = clock_boot_ms() + WRITING_MS; clock_boot_ms() < end;) {
        if (flock(fd, LOCK_SH | LOCK_NB) == 0) {
            // Nobody holds it: left by a crash, or its holder ends just now.
            if (still_there(dir_fd, name, fd))
                unlinkat(dir_fd, name, 0);
            return err_set(err, SBX_ERR_NOT_FOUND, "Not running.");
        }
        if (parse(fd, ret_state) == 0)
            return 0;
        usleep(2000);
    }
    return err_set(err, SBX_ERR_PROTOCOL, "~/" DIR_NAME "/%s tells nothing about its service",
                   name);
}

int mfstate_read(int dir_fd, const char *id, struct mfstate *ret_state, struct sbx_error *err)
{
    char name[NAME_SIZE];
    state_name(id, name);
    cleanup_fd int fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_set(err, SBX_ERR_NOT_FOUND, "Not running.");
    return read_living(dir_fd, name, fd, ret_state, err);
}

int mfstate_keep(int dir_fd, const char *id, struct sbx_error *err)
{
    char name[NAME_SIZE];
    state_name(id, name);
    struct mfstate state;
    cleanup_fd int fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_set(err, SBX_ERR_NOT_FOUND, "Not running.");
    int code = read_living(dir_fd, name, fd, &state, err);
    if (code < 0 || state.kept)
        return code;
    state.kept = true;
    return mfstate_write(fd, &state, err);
}

size_t mfstate_list(int dir_fd, char (*ret_ids)[MFSTATE_ID_SIZE], size_t max)
{
    DIR *dir = dir_open(dir_fd, ".");
    size_t count = 0;
    for (struct dirent *entry; dir && count < max && (entry = readdir(dir));) {
        size_t size = strlen(entry->d_name);
        if (size != MFSTATE_ID_SIZE - 1 + 5 || strcmp(entry->d_name + size - 5, ".json") != 0)
            continue;
        memcpy(ret_ids[count], entry->d_name, MFSTATE_ID_SIZE - 1);
        ret_ids[count++][MFSTATE_ID_SIZE - 1] = '\0';
    }
    if (dir)
        closedir(dir);
    return count;
}

int mfstate_join(int dir_fd, const char *id, int *ret_fd, struct sbx_error *err)
{
    char name[NAME_SIZE];
    users_name(id, name);
    int fd = lock_file(dir_fd, name, LOCK_SH);
    if (fd < 0)
        return err_sys(err, 0, errno, "can't lock ~/" DIR_NAME "/%s", name);
    *ret_fd = fd;
    return 0;
}

bool mfstate_leave(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

void mfstate_left(int dir_fd, const char *id, int fd)
{
    char name[NAME_SIZE];
    users_name(id, name);
    unlinkat(dir_fd, name, 0);
    close(fd);
}

bool mfstate_has_users(int dir_fd, const char *id)
{
    char name[NAME_SIZE];
    users_name(id, name);
    cleanup_fd int fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
}
