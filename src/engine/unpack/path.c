// SPDX-License-Identifier: Apache-2.0
// Names of an archive. Layer: engine.
#include "engine/unpack/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/utf8.h"

void path_show(const char *name, char ret_text[160])
{
    size_t length = strlen(name);
    cleanup_buf struct buf text = BUF_INIT(4096);
    utf8_add_printable(&text, name, length < 100 ? length : 100);
    const char *shown = buf_text(&text);
    snprintf(ret_text, 160, "'%.140s%s'", shown ? shown : "?", length > 100 ? "..." : "");
}

static int refuse(struct sbx_error *err, const char *name, const char *why)
{
    char shown[160];
    path_show(name, shown);
    return err_set(err, SBX_ERR_INVALID, "the archive's entry %s %s", shown, why);
}

int path_clean(const char *name, char ret_path[PATH_MAX], struct sbx_error *err)
{
    size_t used = 0, depth = 0;
    if (name[0] == '/')
        return refuse(err, name, "has an absolute name");
    for (const char *part = name; *part;) {
        size_t length = strcspn(part, "/");
        const char *next = part + length + (part[length] == '/');
        if (length == 2 && part[0] == '.' && part[1] == '.')
            return refuse(err, name, "leads out of the archive with '..'");
        if (length > NAME_MAX || used + length + 2 > PATH_MAX || ++depth > PATH_DEPTH_MAX)
            return refuse(err, name, "has too long or too deep a name");
        if (length > 0 && !(length == 1 && part[0] == '.')) {
            if (used > 0)
                ret_path[used++] = '/';
            memcpy(ret_path + used, part, length);
            used += length;
        }
        part = next;
    }
    ret_path[used] = '\0';
    return 0;
}

void path_walk_init(struct path_walk *walk, int root_fd)
{
    walk->root_fd = root_fd;
    walk->implied_mode = 0755;
    walk->dir_fd = -1;
    walk->dir[0] = '\0';
}

void path_walk_deinit(struct path_walk *walk)
{
    if (walk->dir_fd >= 0)
        close(walk->dir_fd);
    walk->dir_fd = -1;
}

static int open_part(int dir_fd, const char *part, bool make, mode_t mode)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(dir_fd, part, flags);
    if (fd >= 0 || errno != ENOENT || !make)
        return fd;
    if (mkdirat(dir_fd, part, mode) < 0)
        return -1;
    return openat(dir_fd, part, flags);
}

static int explain(const char *path, int sys_errno, struct sbx_error *err)
{
    char shown[160];
    if (sys_errno == ELOOP || sys_errno == ENOTDIR)
        return refuse(err, path, "lies in something that is not a directory, such as a link");
    if (sys_errno == ENOENT)
        return refuse(err, path, "is not in the archive before it is needed");
    path_show(path, shown);
    return err_sys(err, 0, sys_errno, "cannot make the directory of %s", shown);
}

// Opens the directory of `length` characters of the path, part by part.
static int walk_to(struct path_walk *walk, const char *path, size_t length, bool make,
                   struct sbx_error *err)
{
    cleanup_fd int fd = openat(walk->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return explain(path, errno, err);
    for (size_t at = 0; at < length;) {
        char part[NAME_MAX + 1];
        size_t size = strcspn(path + at, "/");
        memcpy(part, path + at, size);
        part[size] = '\0';
        int next = open_part(fd, part, make, walk->implied_mode);
        if (next < 0)
            return explain(path, errno, err);
        close(fd);
        fd = next;
        at += size + 1;
    }
    path_walk_deinit(walk);
    walk->dir_fd = steal_fd(&fd);
    memcpy(walk->dir, path, length);
    walk->dir[length] = '\0';
    return 0;
}

int path_walk_open(struct path_walk *walk, const char *path, bool make, int *ret_fd,
                   const char **ret_leaf, struct sbx_error *err)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    bool same = walk->dir_fd >= 0 && strncmp(walk->dir, path, length) == 0 && !walk->dir[length];
    int rc = same ? 0 : walk_to(walk, path, length, make, err);
    if (rc < 0)
        return rc;
    *ret_fd = walk->dir_fd;
    *ret_leaf = slash ? slash + 1 : path;
    return 0;
}
