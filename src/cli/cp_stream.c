// SPDX-License-Identifier: Apache-2.0
// Copying with a tar archive as one side. Layer: cli.
#include "cli/cp_stream.h"

#include <dirent.h>
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
#include "base/clock.h"
#include "base/dir.h"
#include "base/names.h"
#include "base/tree.h"
#include "cli/tar_out.h"
#include "engine/unpacker.h"

// A directory that is ours alone, for the time of the copy.
struct scratch {
    char path[PATH_MAX - NAME_MAX - 1]; // "": none
    int fd;
};

static int make_scratch(struct scratch *scratch, struct sbx_error *err)
{
    const char *base = getenv("TMPDIR");
    scratch->fd = -1;
    if ((size_t)snprintf(scratch->path, sizeof(scratch->path), "%s/sandboxes-cp-XXXXXX",
                         base && base[0] == '/' ? base : "/tmp") >= sizeof(scratch->path))
        scratch->path[0] = '\0';
    if (!scratch->path[0] || !mkdtemp(scratch->path)) {
        scratch->path[0] = '\0';
        err_sys(err, 0, errno, "cannot make a temporary directory");
        return err_hint(err, "set TMPDIR to a directory with room for the files");
    }
    scratch->fd = open(scratch->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return scratch->fd < 0 ? err_sys(err, 0, errno, "cannot open %s", scratch->path) : 0;
}

static void remove_scratch(struct scratch *scratch)
{
    if (scratch->fd >= 0)
        close(scratch->fd);
    if (scratch->path[0] && tree_remove(AT_FDCWD, scratch->path) < 0)
        perror(scratch->path);
}

int cp_stream_out(struct sbx_sandbox *sandbox, const char *path,
                  const struct sbx_file_options *options, const struct sbx_call *call,
                  struct sbx_error *err)
{
    cleanup(remove_scratch) struct scratch scratch = {.fd = -1};
    if (isatty(STDOUT_FILENO)) {
        err_set(err, SBX_ERR_INVALID, "a tar archive is nothing for a terminal");
        return err_hint(err, "redirect it: sandboxes cp SANDBOX:PATH - > files.tar");
    }
    int code = make_scratch(&scratch, err);
    if (code == 0)
        code = sbx_file_download(sandbox, path, scratch.path, options, call, err);
    return code < 0 ? code : tar_out(scratch.fd, STDOUT_FILENO, err);
}

// Where the archive's contents go: the directory's last name, and what is before it. A path that
// ends in no name ("", "/", "..") is taken as a whole, and the name is empty.
struct goal {
    char parent[PATH_MAX], name[NAME_MAX + 1];
};

static int split_goal(const char *path, struct goal *goal, struct sbx_error *err)
{
    size_t size;
    const char *name = name_last(path, &size);
    if (size > NAME_MAX || strlen(path) >= sizeof(goal->parent))
        return err_set(err, SBX_ERR_INVALID, "the path is too long: '%.200s'", path);
    snprintf(goal->name, sizeof(goal->name), "%.*s", (int)size, name);
    snprintf(goal->parent, sizeof(goal->parent), "%.*s", (int)(name - path), path);
    if (goal->name[0] && !name_is_dots(goal->name))
        return 0;
    goal->name[0] = '\0';
    snprintf(goal->parent, sizeof(goal->parent), "%s", path);
    return 0;
}

static int unpack(const struct scratch *scratch, const char *name, const struct sbx_call *call,
                  struct sbx_error *err)
{
    struct unpack_answer answer;
    if (mkdirat(scratch->fd, name, 0755) < 0)
        return err_sys(err, 0, errno, "cannot make %s/%s", scratch->path, name);
    cleanup_fd int fd = openat(scratch->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, 0, errno, "cannot open %s/%s", scratch->path, name);
    return unpacker_run(STDIN_FILENO, fd, scratch->fd, unpacker_room(fd), deadline_from_call(call),
                        &answer, err);
}

// A link as the source of a copy would be followed, here and not in the sandbox.
static int put_one(struct sbx_sandbox *sandbox, const char *directory, const struct dirent *entry,
                   const char *target, const struct sbx_file_options *options,
                   const struct sbx_call *call, struct sbx_error *err)
{
    char path[PATH_MAX];
    struct stat info;
    snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
    if (lstat(path, &info) < 0)
        return err_sys(err, 0, errno, "cannot read '%s'", path);
    if (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode))
        return sbx_file_upload(sandbox, path, target, options, call, err);
    err_set(err, SBX_ERR_UNSUPPORTED,
            "'%s', a link or the like, is not copied to a directory that has no name",
            entry->d_name);
    return err_hint(err, "name the directory, as in SANDBOX:/home/user");
}

static int put_each(struct sbx_sandbox *sandbox, const char *directory, const char *target,
                    const struct sbx_file_options *options, const struct sbx_call *call,
                    struct sbx_error *err)
{
    cleanup_dir DIR *dir = opendir(directory);
    if (!dir)
        return err_sys(err, 0, errno, "cannot read '%s'", directory);
    int code = 0;
    for (struct dirent *entry; code == 0 && (entry = readdir(dir));)
        if (!name_is_dots(entry->d_name))
            code = put_one(sandbox, directory, entry, target, options, call, err);
    return code;
}

// The unpacked directory has the target's name, so that beside it it joins what is there.
static int put_named(struct sbx_sandbox *sandbox, const char *directory, const struct goal *goal,
                     const struct sbx_file_options *options, const struct sbx_call *call,
                     struct sbx_error *err)
{
    char path[PATH_MAX + NAME_MAX];
    struct sbx_file_options parents = *options;
    parents.recursive = 1;
    snprintf(path, sizeof(path), "%s%s", goal->parent, goal->name);
    int code = sbx_file_mkdir(sandbox, path, &parents, call, err);
    const char *parent = goal->parent[0] ? goal->parent : ".";
    return code < 0 ? code : sbx_file_upload(sandbox, directory, parent, options, call, err);
}

int cp_stream_in(struct sbx_sandbox *sandbox, const char *path,
                 const struct sbx_file_options *options, const struct sbx_call *call,
                 struct sbx_error *err)
{
    cleanup(remove_scratch) struct scratch scratch = {.fd = -1};
    struct goal goal;
    char directory[PATH_MAX];
    if (isatty(STDIN_FILENO)) {
        err_set(err, SBX_ERR_INVALID, "a tar archive is expected on standard input");
        return err_hint(err, "pipe one in: tar -c FILES | sandboxes cp - SANDBOX:DIRECTORY");
    }
    int code = split_goal(path, &goal, err);
    if (code == 0)
        code = make_scratch(&scratch, err);
    const char *name = goal.name[0] ? goal.name : "files";
    if (code == 0)
        code = unpack(&scratch, name, call, err);
    if (code < 0)
        return code;
    snprintf(directory, sizeof(directory), "%s/%s", scratch.path, name);
    return goal.name[0] ? put_named(sandbox, directory, &goal, options, call, err)
                        : put_each(sandbox, directory, goal.parent, options, call, err);
}
