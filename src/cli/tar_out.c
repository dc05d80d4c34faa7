// SPDX-License-Identifier: Apache-2.0
// A directory of ours as a tar archive: ustar headers, with long names and large sizes as GNU tar
// writes them ("Basic Tar Format" in its manual), so that names may be any bytes. Layer: cli.
#include "cli/tar_out.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/names.h"
#include "cli/signals.h"
#include "wire/files_msg.h"

#define BLOCK 512
#define OUT_SIZE (256 * 1024)

struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], modified[12], checksum[8], type, link[100];
    char magic[8], user[32], group[32], device[16], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

struct tar {
    int fd;
    size_t depth;
    size_t path_size;
    size_t used; // of out
    char path[FILES_PATH_MAX + 2];
    char out[OUT_SIZE];
};

static int flush(struct tar *tar, struct sbx_error *err)
{
    for (size_t done = 0; done < tar->used;) {
        ssize_t put = write(tar->fd, tar->out + done, tar->used - done);
        if (put < 0 && errno != EINTR)
            return err_sys(err, SBX_ERR_IO, errno, "cannot write standard output");
        if (signals_pending())
            return err_set(err, SBX_ERR_CANCELLED, "cancelled");
        done += put > 0 ? (size_t)put : 0;
    }
    tar->used = 0;
    return 0;
}

static int put(struct tar *tar, const void *data, size_t size, struct sbx_error *err)
{
    for (size_t done = 0; done < size;) {
        size_t room = OUT_SIZE - tar->used, step = size - done < room ? size - done : room;
        memcpy(tar->out + tar->used, (const char *)data + done, step);
        tar->used += step;
        done += step;
        int code = tar->used == OUT_SIZE ? flush(tar, err) : 0;
        if (code < 0)
            return code;
    }
    return 0;
}

static int pad(struct tar *tar, uint64_t size, struct sbx_error *err)
{
    static const char zeros[BLOCK];
    return put(tar, zeros, (BLOCK - size % BLOCK) % BLOCK, err);
}

// Octal where it fits its field, else base 256.
static void put_size(char field[12], uint64_t size)
{
    if (size < UINT64_C(1) << 33) {
        snprintf(field, 12, "%011llo", (unsigned long long)size);
        return;
    }
    field[0] = (char)0x80;
    for (int i = 0; i < 8; i++)
        field[11 - i] = (char)(size >> (8 * i));
}

static void copy_field(char *field, size_t size, const char *text)
{
    memcpy(field, text, strnlen(text, size));
}

static int put_header(struct tar *tar, char type, const char *name, const char *link,
                      const struct stat *info, uint64_t size, struct sbx_error *err)
{
    struct header header = {.type = type, .magic = "ustar  "};
    unsigned sum = 0;
    int64_t modified = info->st_mtim.tv_sec > 0 ? info->st_mtim.tv_sec : 0;
    copy_field(header.name, sizeof(header.name), name);
    copy_field(header.link, sizeof(header.link), link);
    snprintf(header.mode, sizeof(header.mode), "%07o", (unsigned)info->st_mode & 0777);
    snprintf(header.uid, sizeof(header.uid), "%07o", 0);
    snprintf(header.gid, sizeof(header.gid), "%07o", 0);
    put_size(header.size, size);
    put_size(header.modified, (uint64_t)modified);
    memset(header.checksum, ' ', sizeof(header.checksum));
    for (size_t i = 0; i < sizeof(header); i++)
        sum += ((unsigned char *)&header)[i];
    snprintf(header.checksum, sizeof(header.checksum), "%06o", sum);
    return put(tar, &header, sizeof(header), err);
}

// What does not fit into its field goes ahead as an entry of its own.
static int put_long(struct tar *tar, char type, const char *text, struct sbx_error *err)
{
    const struct stat info = {.st_mode = 0644};
    size_t size = strlen(text) + 1;
    if (size <= 100)
        return 0;
    int code = put_header(tar, type, "././@LongLink", "", &info, size, err);
    if (code == 0)
        code = put(tar, text, size, err);
    return code < 0 ? code : pad(tar, size, err);
}

static int put_entry(struct tar *tar, char type, const char *link, const struct stat *info,
                     uint64_t size, struct sbx_error *err)
{
    int code = put_long(tar, 'K', link, err);
    if (code == 0)
        code = put_long(tar, 'L', tar->path, err);
    return code < 0 ? code : put_header(tar, type, tar->path, link, info, size, err);
}

static int failed(const struct tar *tar, struct sbx_error *err)
{
    return err_sys(err, 0, errno, "cannot read '%s'", tar->path);
}

static int put_file(struct tar *tar, int dir_fd, const char *name, struct sbx_error *err)
{
    char data[64 * 1024];
    struct stat info;
    cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) < 0)
        return failed(tar, err);
    uint64_t size = (uint64_t)info.st_size, left = size;
    int code = put_entry(tar, '0', "", &info, size, err);
    while (code == 0 && left > 0) {
        ssize_t got = read(fd, data, left < sizeof(data) ? (size_t)left : sizeof(data));
        if (got <= 0)
            return failed(tar, err);
        left -= (uint64_t)got;
        code = put(tar, data, (size_t)got, err);
    }
    return code < 0 ? code : pad(tar, size, err);
}

static int put_link(struct tar *tar, int dir_fd, const char *name, const struct stat *info,
                    struct sbx_error *err)
{
    char target[FILES_PATH_MAX + 1];
    ssize_t size = readlinkat(dir_fd, name, target, sizeof(target) - 1);
    if (size < 0)
        return failed(tar, err);
    target[size] = '\0';
    return put_entry(tar, '2', target, info, 0, err);
}

static int put_all(struct tar *tar, int dir_fd, struct sbx_error *err);

// With a slash behind its name, as is the custom.
static int put_directory(struct tar *tar, int dir_fd, const char *name, const struct stat *info,
                         struct sbx_error *err)
{
    cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return failed(tar, err);
    tar->path[tar->path_size++] = '/';
    tar->path[tar->path_size] = '\0';
    int code = put_entry(tar, '5', "", info, 0, err);
    return code < 0 ? code : put_all(tar, fd, err);
}

static int put_name(struct tar *tar, int dir_fd, const char *name, struct sbx_error *err)
{
    struct stat info;
    size_t size = strlen(name);
    if (tar->path_size + size > FILES_PATH_MAX)
        return err_set(err, SBX_ERR_INVALID, "a path is longer than %d bytes", FILES_PATH_MAX);
    memcpy(tar->path + tar->path_size, name, size + 1);
    tar->path_size += size;
    if (fstatat(dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return failed(tar, err);
    if (S_ISDIR(info.st_mode))
        return put_directory(tar, dir_fd, name, &info, err);
    if (S_ISLNK(info.st_mode))
        return put_link(tar, dir_fd, name, &info, err);
    return S_ISREG(info.st_mode) ? put_file(tar, dir_fd, name, err) : 0;
}

static void free_names(struct dirent **names, int count)
{
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

// In order of names: the same tree gives the same archive.
static int put_all(struct tar *tar, int dir_fd, struct sbx_error *err)
{
    struct dirent **names;
    size_t base = tar->path_size;
    int count = dir_scan(dir_fd, &names, NULL, alphasort), code = 0;
    if (count < 0)
        return failed(tar, err);
    if (++tar->depth > FILES_DEPTH_MAX + 1)
        code = err_set(err, SBX_ERR_INVALID, "directories are deeper than %d", FILES_DEPTH_MAX);
    for (int i = 0; i < count && code == 0; i++) {
        if (name_is_dots(names[i]->d_name))
            continue;
        tar->path_size = base;
        code = put_name(tar, dir_fd, names[i]->d_name, err);
    }
    tar->depth--;
    free_names(names, count);
    return code;
}

int tar_out(int dir_fd, int out_fd, struct sbx_error *err)
{
    static const char end[2 * BLOCK];
    cleanup_free struct tar *tar = calloc(1, sizeof(*tar));
    if (!tar)
        return err_nomem(err);
    tar->fd = out_fd;
    int code = put_all(tar, dir_fd, err);
    if (code == 0)
        code = put(tar, end, sizeof(end), err);
    return code < 0 ? code : flush(tar, err);
}
