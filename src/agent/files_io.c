// SPDX-License-Identifier: Apache-2.0
// Contents of files: READ, WRITE and what trees share with them. Layer: agent.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/files.h"
#include "base/cleanup.h"

#define HOLE_BLOCK 4096

// O_NONBLOCK: opening a fifo or a device must not wait.
#define OPEN_FLAGS (O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

static int not_regular(const char *path, mode_t mode, struct sbx_error *err)
{
    if (S_ISDIR(mode))
        return err_sys(err, 0, EISDIR, "'%s'", path);
    err_set(err, SBX_ERR_INVALID, "'%s' is no regular file", path);
    return err_hint(err, "name a regular file; use a command for devices, sockets and fifos");
}

int files_open_read(int dir_fd, const char *path, int flags, struct stat *ret_stat,
                    struct sbx_error *err)
{
    cleanup_fd int fd = openat(dir_fd, path, O_RDONLY | OPEN_FLAGS | flags);
    if (fd < 0 || fstat(fd, ret_stat) < 0)
        return err_sys(err, 0, errno, "cannot open '%s'", path);
    if (!S_ISREG(ret_stat->st_mode))
        return not_regular(path, ret_stat->st_mode, err);
    return steal_fd(&fd);
}

static ssize_t read_block(struct files *files, int fd, uint64_t left)
{
    size_t want = left < AGENT_DATA_MAX ? (size_t)left : AGENT_DATA_MAX;
    ssize_t got;
    do
        got = read(fd, files->data, want);
    while (got < 0 && errno == EINTR);
    return got;
}

int files_send_file(struct files *files, int fd, uint64_t size, bool pad, const char *path,
                    struct sbx_error *err)
{
    while (size > 0) {
        ssize_t got = read_block(files, fd, size);
        if (got < 0)
            return err_sys(err, 0, errno, "cannot read '%s'", path);
        if (got == 0 && !pad)
            return 0;
        if (got == 0) {
            got = size < AGENT_DATA_MAX ? (ssize_t)size : AGENT_DATA_MAX;
            memset(files->data, 0, (size_t)got);
        }
        files_send_data(files, (size_t)got);
        size -= (uint64_t)got;
    }
    return 0;
}

int files_read(struct files *files, struct wire_reader *in, struct sbx_error *err)
{
    struct stat stat;
    char link[1];
    const char *path = wire_text(in);
    if (!wire_end(in))
        return files_malformed(err);
    cleanup_fd int fd = files_open_read(AT_FDCWD, path, 0, &stat, err);
    if (fd < 0)
        return fd;
    struct files_entry entry = files_entry_of(AT_FDCWD, path, &stat, link);
    files_put_entry(files, &entry);
    // Files of /proc and the like have no size, those of /sys one too large: the end decides.
    uint64_t size = stat.st_size ? (uint64_t)stat.st_size : UINT64_MAX;
    return files_send_file(files, fd, size, false, path, err);
}

static bool is_zero(const char *data, size_t size)
{
    return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

static int write_block(int fd, const char *data, size_t size)
{
    if (size >= HOLE_BLOCK && is_zero(data, size))
        return lseek(fd, (off_t)size, SEEK_CUR) < 0 ? -1 : 0;
    while (size > 0) {
        ssize_t put = write(fd, data, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        data += put;
        size -= (size_t)put;
    }
    return 0;
}

// What was made for it goes before the failure is told: who hears of a full disk has room again.
static void give_back(struct files *files, int fd)
{
    if (files->part && ftruncate(fd, 0) == 0)
        files_drop_part(files);
}

int files_receive(struct files *files, int fd, uint64_t size, const char *path,
                  struct sbx_error *err)
{
    for (uint64_t left = size; left > 0;) {
        struct files_frame frame = files_next(files);
        if (frame.type != FILES_DATA || frame.size == 0 || frame.size > left)
            files_quit(files); // what follows could not be told apart
        left -= frame.size;
        if (write_block(fd, frame.payload, frame.size) == 0)
            continue;
        int code = err_sys(err, 0, errno, "cannot write '%s'", path);
        give_back(files, fd);
        files_refuse(files, err);
        files_skip(files, left);
        return code;
    }
    // A hole at the end, too, is part of the size.
    if (size > 0 && ftruncate(fd, (off_t)size) < 0)
        return err_sys(err, 0, errno, "cannot write '%s'", path);
    return 0;
}

void files_make_parents(const char *path)
{
    char prefix[FILES_PATH_MAX + 1];
    for (size_t i = 1; i < sizeof(prefix) && path[i]; i++) {
        if (path[i] != '/')
            continue;
        memcpy(prefix, path, i);
        prefix[i] = '\0';
        mkdir(prefix, 0755); // a failure shows when the path is used
    }
}

// Opens the file, or makes it: *ret_made.
static int open_or_make(const char *path, mode_t mode, bool *ret_made)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | OPEN_FLAGS, mode);
    *ret_made = fd >= 0;
    // What is there may be a link to a file that is missing: that is made too.
    return fd < 0 && errno == EEXIST ? open(path, O_WRONLY | O_CREAT | OPEN_FLAGS, mode) : fd;
}

static int open_write(const char *path, uint32_t mode, bool *ret_made, struct sbx_error *err)
{
    struct stat stat;
    mode_t first = mode ? mode & 07777 : 0644;
    cleanup_fd int fd = open_or_make(path, first, ret_made);
    if (fd < 0 && errno == ENOENT) {
        files_make_parents(path);
        fd = open_or_make(path, first, ret_made);
    }
    if (fd < 0 || fstat(fd, &stat) < 0)
        return err_sys(err, 0, errno, "cannot open '%s' for writing", path);
    if (!S_ISREG(stat.st_mode))
        return not_regular(path, stat.st_mode, err);
    if (ftruncate(fd, 0) < 0)
        return err_sys(err, 0, errno, "cannot empty '%s'", path);
    if (mode && (stat.st_mode & 07777) != (mode & 07777) && fchmod(fd, mode & 07777) < 0)
        return err_sys(err, 0, errno, "cannot set the mode of '%s'", path);
    return steal_fd(&fd);
}

// Written in place, as a shell's `>` does: links and other names of the file lead to the new
// contents. A new file that does not become whole is removed.
int files_write(struct files *files, struct wire_reader *in, struct sbx_error *err)
{
    const char *path = wire_text(in);
    uint32_t mode = wire_u32(in);
    uint64_t size = wire_u64(in);
    bool made;
    if (!wire_end(in))
        return files_malformed(err);
    cleanup_fd int fd = open_write(path, mode, &made, err);
    if (fd < 0) {
        if (size)
            files_refuse(files, err);
        files_skip(files, size);
        return fd;
    }
    files->part_fd = AT_FDCWD;
    files->part = made ? path : NULL;
    int code = files_receive(files, fd, size, path, err);
    if (code == 0)
        files->part = NULL;
    files_drop_part(files);
    return code;
}
