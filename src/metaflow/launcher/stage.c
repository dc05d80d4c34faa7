// SPDX-License-Identifier: Apache-2.0
// A task's writable part of the local datastore. Layer: metaflow.
#include "metaflow/launcher/stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/id.h"
#include "base/tree.h"
#include "metaflow/launcher/merge.h"
#include "metaflow/launcher/take.h"

#define AREA ".sandbox"
#define TASK_LINK "of"     // in a stage: whose it is
#define COPY_MAX (1 << 20) // a file of the task's that is larger is no metadata

static int open_dir(int dir_fd, const char *name)
{
    return openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int make_dir(int dir_fd, const char *name, mode_t mode)
{
    return mkdirat(dir_fd, name, mode) < 0 && errno != EEXIST ? -1 : open_dir(dir_fd, name);
}

// DATASTORE/FLOW/RUN/STEP/TASK, made where it is missing: the place to mount STAGE/task on.
static int open_task(const struct step_options *options, struct stage *stage)
{
    const char *parts[] = {options->flow, options->run, options->step, options->task_id};
    int fd = dup(stage->root_fd);
    for (size_t i = 0; i < ARRAY_SIZE(parts) && fd >= 0; i++) {
        int next = make_dir(fd, parts[i], 0777);
        close(fd);
        fd = next;
    }
    stage->task_fd = fd;
    return fd < 0 ? -1 : 0;
}

// What the task of a killed launcher had registered by then; of all it wrote that alone is of use.
static void salvage(int root_fd, int stage_fd)
{
    char path[PATH_MAX] = "";
    struct stage stage = STAGE_INIT;
    if (readlinkat(stage_fd, TASK_LINK, path, sizeof(path) - 1) <= 0)
        return;
    cleanup_fd int task_fd = openat(root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    stage.fd = stage_fd;
    stage.task_fd = task_fd;
    if (task_fd >= 0)
        merge_metadata(&stage);
}

static bool removable(int root_fd, int area_fd, const char *name)
{
    cleanup_fd int fd = open_dir(area_fd, name);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return false;
    salvage(root_fd, fd);
    return true;
}

// What launchers that were killed left. The area is locked: nobody is just making one.
static void sweep(int root_fd, int area_fd)
{
    DIR *dir = dir_open(area_fd, ".");
    if (!dir)
        return;
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && removable(root_fd, area_fd, entry->d_name))
            tree_remove(area_fd, entry->d_name);
    closedir(dir);
}

static int make_stage(const struct step_options *options, struct stage *stage)
{
    id_new(stage->name);
    if (mkdirat(stage->area_fd, stage->name, 0700) < 0 ||
        (stage->fd = open_dir(stage->area_fd, stage->name)) < 0 ||
        flock(stage->fd, LOCK_EX | LOCK_NB) < 0)
        return -1;
    if (symlinkat(options->task, stage->fd, TASK_LINK) < 0)
        return -1;
    return mkdirat(stage->fd, "task", 0700) < 0 || mkdirat(stage->fd, "new", 0700) < 0 ? -1 : 0;
}

static int enter_area(const struct step_options *options, struct stage *stage)
{
    stage->area_fd = make_dir(stage->root_fd, AREA, 0777);
    cleanup_fd int lock_fd = stage->area_fd < 0 ? -1 : open_dir(stage->root_fd, AREA);
    if (lock_fd < 0)
        return -1;
    if (flock(lock_fd, LOCK_EX | LOCK_NB) == 0)
        sweep(stage->root_fd, stage->area_fd);
    else if (flock(lock_fd, LOCK_SH) < 0)
        return -1;
    return make_stage(options, stage);
}

// What the task's directory holds already: its metadata, and what earlier attempts left.
static int copy_files(int from_fd, int to_fd)
{
    DIR *dir = dir_open(from_fd, ".");
    int failed = dir ? 0 : -1;
    for (const struct dirent *entry; dir && failed == 0 && (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            failed =
                take_copy(from_fd, entry->d_name, to_fd, COPY_MAX) < 0 && errno == ENOSPC ? -1 : 0;
    if (dir)
        closedir(dir);
    return failed;
}

// Of a first attempt the task's record is enough: the rest is what the step writes again. Every
// file costs: ext4 without a journal looks for a place among all that was removed in the last
// minutes.
static int fill(const struct step_options *options, const struct stage *stage)
{
    cleanup_fd int task_fd = open_dir(stage->fd, "task");
    cleanup_fd int meta_fd = task_fd < 0 ? -1 : make_dir(task_fd, "_meta", 0777);
    if (meta_fd < 0 || copy_files(stage->task_fd, task_fd) < 0)
        return -1;
    cleanup_fd int from_fd = open_dir(stage->task_fd, "_meta");
    if (from_fd < 0)
        return 0;
    if (options->attempt == 0)
        return take_copy(from_fd, "_self.json", meta_fd, COPY_MAX) < 0 && errno == ENOSPC ? -1 : 0;
    return copy_files(from_fd, meta_fd);
}

static void name_paths(const struct step_options *options, struct stage *stage)
{
    const char *root = options->datastore;
    snprintf(stage->task_path, PATH_MAX, "%s/%s/%s/%s/%s", root, options->flow, options->run,
             options->step, options->task_id);
    snprintf(stage->stage_task, PATH_MAX, "%s/" AREA "/%s/task", root, stage->name);
    snprintf(stage->stage_new, PATH_MAX, "%s/" AREA "/%s/new", root, stage->name);
}

int stage_open(const struct step_options *options, struct stage *ret_stage, struct sbx_error *err)
{
    struct stage stage = STAGE_INIT;
    stage.root_fd = open(options->datastore, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (stage.root_fd < 0 || open_task(options, &stage) < 0 || enter_area(options, &stage) < 0 ||
        fill(options, &stage) < 0) {
        err_sys(err, SBX_ERR_IO, errno, "cannot prepare the datastore '%s'", options->datastore);
        err_hint(err, "make '%s' a directory that you can write", options->datastore);
        stage_close(&stage);
        return SBX_ERR_IO;
    }
    name_paths(options, &stage);
    *ret_stage = stage;
    return 0;
}

void stage_close(struct stage *stage)
{
    if (stage->fd >= 0)
        tree_remove(stage->area_fd, stage->name);
    int *const fds[] = {&stage->fd, &stage->area_fd, &stage->task_fd, &stage->root_fd};
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        if (*fds[i] >= 0)
            close(steal_fd(fds[i]));
}
