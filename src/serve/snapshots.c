// SPDX-License-Identifier: Apache-2.0
// Snapshots that clients take. Layer: serve.
#include "serve/snapshots.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/id.h"
#include "serve/serve.h"

#define FILE_SIZE 128

int snapshots_open(struct serve *serve, struct sbx_error *err)
{
    if (mkdirat(serve->state_fd, "snapshots", 0700) < 0 && errno != EEXIST)
        return err_sys(err, 0, errno, "cannot make the directory of snapshots");
    serve->snapshots_fd =
        openat(serve->state_fd, "snapshots", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return serve->snapshots_fd < 0
               ? err_sys(err, 0, errno, "cannot open the directory of snapshots")
               : 0;
}

// As ids: no dots and slashes, so that files and images are named without doubt.
static bool is_name(const char *name)
{
    return id_valid(name);
}

static void file_of(const char *owner, const char *name, char ret_file[FILE_SIZE])
{
    snprintf(ret_file, FILE_SIZE, "%s.%s", owner, name);
}

static void image_of(const char *owner, const char *name, char ret_image[SNAPSHOT_IMAGE_SIZE])
{
    snprintf(ret_image, SNAPSHOT_IMAGE_SIZE, SNAPSHOT_IMAGE_PREFIX "%s/%s", owner, name);
}

bool snapshot_image(const struct serve *serve, const char *owner, const char *name,
                    char ret_image[SNAPSHOT_IMAGE_SIZE])
{
    char file[FILE_SIZE];
    if (!is_name(name))
        return false;
    file_of(owner, name, file);
    image_of(owner, name, ret_image);
    return faccessat(serve->snapshots_fd, file, F_OK, 0) == 0;
}

static int check_room(struct serve *serve, const char *owner, struct sbx_error *err)
{
    struct snapshot_entry *entries = NULL;
    size_t count = 0;
    int code = snapshots_all(serve, owner, &entries, &count, err);
    free(entries);
    if (code == 0 && count >= SNAPSHOTS_MAX)
        code = err_set(err, SBX_ERR_QUOTA, "a key has at most %d snapshots", SNAPSHOTS_MAX);
    return code;
}

static int choose_name(const char *asked, char ret_name[SNAPSHOT_NAME_SIZE], struct sbx_error *err)
{
    char id[ID_SIZE];
    if (asked[0] && !is_name(asked))
        return err_set(err, SBX_ERR_INVALID,
                       "a snapshot's name has 1 to 63 lower-case letters, digits and dashes");
    if (!asked[0] && id_new(id) < 0)
        return err_sys(err, 0, errno, "cannot make up a name");
    snprintf(ret_name, SNAPSHOT_NAME_SIZE, "%s%s", asked[0] ? asked : "snapshot-",
             asked[0] ? "" : id + 3);
    return 0;
}

int snapshot_take(struct place *box, const char *name, const struct sbx_call *call,
                  char ret_name[SNAPSHOT_NAME_SIZE], struct sbx_error *err)
{
    struct serve *serve = box->serve;
    char chosen[SNAPSHOT_NAME_SIZE], image[SNAPSHOT_IMAGE_SIZE], file[FILE_SIZE];
    int code = choose_name(name, chosen, err);
    if (code == 0)
        code = check_room(serve, box->sheet.owner, err);
    if (code < 0)
        return code;
    image_of(box->sheet.owner, chosen, image);
    file_of(box->sheet.owner, chosen, file);
    if (sbx_sandbox_snapshot(box->sandbox, image, call, err) < 0)
        return place_failed(box, err);
    cleanup_fd int fd = openat(serve->snapshots_fd, file,
                               O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys(err, 0, errno, "cannot keep the snapshot's name");
    logbook_event(&box->log, "kept as snapshot '%s'", chosen);
    snprintf(ret_name, SNAPSHOT_NAME_SIZE, "%s", chosen);
    return 0;
}

int snapshot_forget(struct serve *serve, const char *owner, const char *name,
                    const struct sbx_call *call, struct sbx_error *err)
{
    char image[SNAPSHOT_IMAGE_SIZE], file[FILE_SIZE];
    if (!snapshot_image(serve, owner, name, image))
        return err_set(err, SBX_ERR_NOT_FOUND, "snapshot '%.64s' not found", name);
    int code = sbx_snapshot_remove(serve->client, NULL, image, call, err);
    if (code < 0 && code != SBX_ERR_NOT_FOUND)
        return code;
    file_of(owner, name, file);
    unlinkat(serve->snapshots_fd, file, 0);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct snapshot_entry *)a)->name,
                  ((const struct snapshot_entry *)b)->name);
}

static void take_entry(const struct serve *serve, const char *file, const char *name,
                       struct snapshot_entry *entry)
{
    struct stat status = {0};
    snprintf(entry->name, sizeof(entry->name), "%s", name);
    if (fstatat(serve->snapshots_fd, file, &status, AT_SYMLINK_NOFOLLOW) == 0)
        entry->taken_ms = (int64_t)status.st_mtim.tv_sec * 1000;
}

int snapshots_all(const struct serve *serve, const char *owner, struct snapshot_entry **ret_entries,
                  size_t *ret_count, struct sbx_error *err)
{
    size_t length = strlen(owner), count = 0;
    cleanup_free struct snapshot_entry *entries = calloc(SNAPSHOTS_MAX, sizeof(*entries));
    DIR *dir = dir_open(serve->snapshots_fd, ".");
    if (!dir || !entries) {
        if (dir)
            closedir(dir);
        return err_sys(err, 0, errno, "cannot read the names of snapshots");
    }
    for (struct dirent *at; (at = readdir(dir)) && count < SNAPSHOTS_MAX;)
        if (strncmp(at->d_name, owner, length) == 0 && at->d_name[length] == '.' &&
            is_name(at->d_name + length + 1))
            take_entry(serve, at->d_name, at->d_name + length + 1, &entries[count++]);
    closedir(dir);
    qsort(entries, count, sizeof(*entries), by_name);
    *ret_entries = steal_ptr(entries);
    *ret_count = count;
    return 0;
}
