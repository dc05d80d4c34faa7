// SPDX-License-Identifier: Apache-2.0
// Names and directories: STAT, LIST, MKDIR, RENAME. Layer: agent.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/files.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/names.h"

static uint32_t kind_of(mode_t mode)
{
    if (S_ISREG(mode))
        return SBX_FILE_REGULAR;
    if (S_ISDIR(mode))
        return SBX_FILE_DIRECTORY;
    return S_ISLNK(mode) ? SBX_FILE_SYMLINK : SBX_FILE_OTHER;
}

struct files_entry files_entry_of(int dir_fd, const char *name, const struct stat *stat, char *link)
{
    struct files_entry entry = {
        .path = name,
        .link = "",
        .size = S_ISREG(stat->st_mode) ? (uint64_t)stat->st_size : 0,
        .modified_ms = (int64_t)stat->st_mtim.tv_sec * 1000 + stat->st_mtim.tv_nsec / 1000000,
        .kind = kind_of(stat->st_mode),
        .mode = stat->st_mode & 07777,
        .uid = stat->st_uid,
        .gid = stat->st_gid,
    };
    if (entry.kind != SBX_FILE_SYMLINK)
        return entry;
    ssize_t size = readlinkat(dir_fd, name, link, FILES_PATH_MAX);
    link[size > 0 ? size : 0] = '\0';
    entry.link = link;
    return entry;
}

int files_stat(struct files *files, struct wire_reader *in, struct sbx_error *err)
{
    struct stat stat;
    char link[FILES_PATH_MAX + 1];
    const char *path = wire_text(in);
    if (!wire_end(in))
        return files_malformed(err);
    if (fstatat(AT_FDCWD, path, &stat, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(err, 0, errno, "cannot look at '%s'", path);
    struct files_entry entry = files_entry_of(AT_FDCWD, path, &stat, link);
    files_put_entry(files, &entry);
    return 0;
}

int files_list(struct files *files, struct wire_reader *in, struct sbx_error *err)
{
    struct dirent *found;
    char link[FILES_PATH_MAX + 1];
    uint64_t count = 0;
    const char *path = wire_text(in);
    if (!wire_end(in))
        return files_malformed(err);
    cleanup_dir DIR *dir = opendir(path[0] ? path : ".");
    if (!dir)
        return err_sys(err, 0, errno, "cannot list '%s'", path);
    while (errno = 0, (found = readdir(dir))) {
        struct stat stat;
        if (name_is_dots(found->d_name) ||
            fstatat(dirfd(dir), found->d_name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
            continue; // gone meanwhile
        if (++count > FILES_ENTRIES_MAX)
            return err_set(err, SBX_ERR_QUOTA, "'%s' has more than %d entries", path,
                           FILES_ENTRIES_MAX);
        struct files_entry entry = files_entry_of(dirfd(dir), found->d_name, &stat, link);
        files_put_entry(files, &entry);
    }
    return errno ? err_sys(err, 0, errno, "cannot list '%s'", path) : 0;
}

int files_mkdir(struct files *files, struct wire_reader *in, struct sbx_error *err)
{
    struct stat found;
    const char *path = wire_text(in);
    uint32_t mode = wire_u32(in);
    uint32_t parents = wire_u32(in);
    if (!wire_end(in))
        return files_malformed(err);
    if (parents)
        files_make_parents(path);
    if (mkdir(path, mode ? mode & 07777 : 0755) == 0)
        return 0;
    int sys_errno = errno;
    if (parents && sys_errno == EEXIST && stat(path, &found) == 0 && S_ISDIR(found.st_mode))
        return 0;
    return err_sys(err, 0, sys_errno, "cannot make the directory '%s'", path);
}

int files_rename(struct files *files, struct wire_reader *in, struct sbx_error *err)
{
    const char *from = wire_text(in);
    const char *to = wire_text(in);
    if (!wire_end(in))
        return files_malformed(err);
    if (rename(from, to) < 0)
        return err_sys(err, 0, errno, "cannot rename '%s' to '%s'", from, to);
    return 0;
}
