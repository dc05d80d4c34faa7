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

// The record in the temporary file, whose descriptor is returned.
static int write_temp(struct mffile_writer *writer, const json_t *record, bool durable,
                      struct sbx_error *err)
{
    cleanup_free char *text = json_dumps(record, JSON_ENSURE_ASCII);
    if (!text)
        return err_nomem(err);
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    cleanup_fd int fd = openat(writer->root_fd, writer->temp, flags, 0600);
    if (fd < 0 && errno == EEXIST && unlinkat(writer->root_fd, writer->temp, 0) == 0)
        fd = openat(writer->root_fd, writer->temp, flags, 0600);
    if (fd < 0 || fd_write_full(fd, text, strlen(text)) < 0 || (durable && fsync(fd) < 0))
        return err_sys(err, 0, errno, "can't write %s", writer->temp);
    return 0;
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
    return renameat(writer->root_fd, writer->temp, dir_fd, name);
}

int mffile_write(struct mffile_writer *writer, int dir_fd, const char *name, const json_t *record,
                 enum mffile_mode mode, bool durable, struct sbx_error *err)
{
    // Seen early it costs a look, not a file; link(2) decides.
    if (mode == MFFILE_NEW && faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return err_set(err, SBX_ERR_CONFLICT, "%s exists", name);
    int code = write_temp(writer, record, durable, err);
    if (code == 0) {
        int placed = mode == MFFILE_NEW ? place_new(writer, dir_fd, name)
                                        : renameat(writer->root_fd, writer->temp, dir_fd, name);
        if (placed == 0)
            return 0;
        code = errno == EEXIST ? err_set(err, SBX_ERR_CONFLICT, "%s exists", name)
                               : err_sys(err, 0, errno, "can't write %s", name);
    }
    unlinkat(writer->root_fd, writer->temp, 0);
    return code;
}
