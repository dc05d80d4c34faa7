// SPDX-License-Identifier: Apache-2.0
// Layer: metaflow.
#include "metaflow/service/mffile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/dir.h"
#include "base/fd.h"

#define TEMP_PREFIX ".metaflow-local-service."
#define RECORD_SIZE 2048 // of most records

int mffile_read_text(int root_fd, const char *path, char **ret_text, size_t *ret_size,
                     struct stat *ret_stat, struct sbx_error *err)
{
    // Somebody may have put a pipe there: it must not block us.
    cleanup_fd int fd = beneath_open(root_fd, path, O_RDONLY | O_NONBLOCK, 0);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0)
        return err_sys(err, 0, errno, "can't read %s", path);
    if (!S_ISREG(info.st_mode) || info.st_size > MFFILE_SIZE_MAX)
        return err_set(err, SBX_ERR_PROTOCOL, "%s is no record", path);
    cleanup_free char *text = malloc((size_t)info.st_size + 1);
    if (!text)
        return err_nomem(err);
    ssize_t size = fd_read_full(fd, text, (size_t)info.st_size);
    if (size < 0)
        return err_sys(err, 0, errno, "can't read %s", path);
    text[size] = '\0';
    *ret_text = steal_ptr(text);
    *ret_size = (size_t)size;
    if (ret_stat)
        *ret_stat = info;
    return 0;
}

int mffile_read(int root_fd, const char *path, json_t **ret_record, struct sbx_error *err)
{
    cleanup_free char *text = NULL;
    size_t size = 0;
    int code = mffile_read_text(root_fd, path, &text, &size, NULL, err);
    if (code < 0)
        return code;
    json_error_t where;
    cleanup_json json_t *record = json_loadb(text, size, JSON_ALLOW_NUL, &where);
    if (!json_is_object(record))
        return err_set(err, SBX_ERR_PROTOCOL, "%s is no record: %s", path, where.text);
    *ret_record = steal_ptr(record);
    return 0;
}

void mffile_writer_init(struct mffile_writer *writer, int root_fd)
{
    writer->root_fd = root_fd;
    snprintf(writer->temp, sizeof(writer->temp), TEMP_PREFIX "%d.tmp", (int)getpid());
}

void mffile_writer_sweep(struct mffile_writer *writer)
{
    DIR *dir = dir_open(writer->root_fd, ".");
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strncmp(entry->d_name, TEMP_PREFIX, strlen(TEMP_PREFIX)) == 0)
            unlinkat(writer->root_fd, entry->d_name, 0);
    }
    closedir(dir);
}

struct text {
    const char *data;
    size_t size;
};

static int fill(int fd, const struct text *text, bool durable)
{
    return fd_write_full(fd, text->data, text->size) < 0 || (durable && fsync(fd) < 0) ? -1 : 0;
}

static int write_temp(struct mffile_writer *writer, const struct text *text, bool durable)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    cleanup_fd int fd = openat(writer->root_fd, writer->temp, flags, 0600);
    if (fd < 0 && errno == EEXIST && unlinkat(writer->root_fd, writer->temp, 0) == 0)
        fd = openat(writer->root_fd, writer->temp, flags, 0600);
    return fd < 0 ? -1 : fill(fd, text, durable);
}

// link(2) refuses a name that is taken; where there are no links, the look before has to do.
static int place_new(struct mffile_writer *writer, int dir_fd, const char *name)
{
    if (linkat(writer->root_fd, writer->temp, dir_fd, name, 0) == 0) {
        unlinkat(writer->root_fd, writer->temp, 0);
        return 0;
    }
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK)
        return -1;
    return faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0
               ? (errno = EEXIST, -1)
               : renameat(writer->root_fd, writer->temp, dir_fd, name);
}

static int write_by_temp(struct mffile_writer *writer, int dir_fd, const char *name,
                         const struct text *text, enum mffile_mode mode, bool durable)
{
    int failed = write_temp(writer, text, durable);
    if (!failed)
        failed = mode == MFFILE_NEW ? place_new(writer, dir_fd, name)
                                    : renameat(writer->root_fd, writer->temp, dir_fd, name);
    if (failed) {
        int number = errno;
        unlinkat(writer->root_fd, writer->temp, 0);
        errno = number;
    }
    return failed;
}

// By its descriptor; before Linux 6.10 only root may, others by its place in /proc.
static int link_unnamed(int fd, int dir_fd, const char *name)
{
    if (linkat(fd, "", dir_fd, name, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != ENOENT)
        return -1;
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, path, dir_fd, name, AT_SYMLINK_FOLLOW);
}

// A file that has no name until it is whole: one name is made instead of two.
static int write_unnamed(int dir_fd, const char *name, const struct text *text, bool durable)
{
    cleanup_fd int fd = openat(dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 || fill(fd, text, durable) < 0)
        return -1;
    return link_unnamed(fd, dir_fd, name);
}

// Most records fit into `room`; of a larger one *ret_made is to be freed.
static int dump(const json_t *record, char *room, size_t size, char **ret_made,
                struct text *ret_text)
{
    *ret_text = (struct text){room, json_dumpb(record, room, size, JSON_ENSURE_ASCII)};
    if (ret_text->size && ret_text->size <= size)
        return 0;
    *ret_made = json_dumps(record, JSON_ENSURE_ASCII);
    if (*ret_made)
        *ret_text = (struct text){*ret_made, strlen(*ret_made)};
    return *ret_made ? 0 : -1;
}

int mffile_write(struct mffile_writer *writer, int dir_fd, const char *name, const json_t *record,
                 enum mffile_mode mode, bool durable, struct sbx_error *err)
{
    char room[RECORD_SIZE];
    cleanup_free char *made = NULL;
    struct text text;
    if (dump(record, room, sizeof(room), &made, &text) < 0)
        return err_nomem(err);
    // Not every file system has unnamed files.
    if (mode == MFFILE_NEW && write_unnamed(dir_fd, name, &text, durable) == 0)
        return 0;
    if ((mode == MFFILE_NEW && errno == EEXIST) ||
        write_by_temp(writer, dir_fd, name, &text, mode, durable) < 0)
        return errno == EEXIST ? err_set(err, SBX_ERR_CONFLICT, "%s exists", name)
                               : err_sys(err, 0, errno, "can't write %s", name);
    return 0;
}
