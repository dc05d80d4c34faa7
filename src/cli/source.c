// SPDX-License-Identifier: Apache-2.0
// Whole files and whole standard input. Layer: cli.
#include "cli/source.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define CHUNK_SIZE (64 * 1024)

// How much to ask for next: the whole file when its size is known.
static size_t first_chunk(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < CHUNK_SIZE)
        return CHUNK_SIZE;
    return (size_t)st.st_size + 1;
}

static int complain_size(const char *what, size_t limit, struct sbx_error *err)
{
    err_set(err, SBX_ERR_QUOTA, "%s is larger than %zu MiB", what, limit >> 20);
    return err_hint(err, "copy large files with: sandboxes cp FILE SANDBOX:PATH");
}

int source_read_fd(int fd, const char *what, size_t limit, char **ret_data, size_t *ret_size,
                   struct sbx_error *err)
{
    cleanup_buf struct buf buf = BUF_INIT(limit + CHUNK_SIZE + 1);
    for (size_t want = first_chunk(fd);; want = CHUNK_SIZE) {
        if (want > limit + CHUNK_SIZE || buf.size > limit)
            return complain_size(what, limit, err);
        char *room = buf_reserve(&buf, want);
        if (!room)
            return err_nomem(err);
        ssize_t got = read(fd, room, want);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(err, 0, errno, "cannot read %s", what);
        if (got == 0)
            break;
        buf_commit(&buf, (size_t)got);
    }
    *ret_data = buf_steal(&buf, ret_size);
    return *ret_data ? 0 : err_nomem(err);
}

int source_read_file(const char *path, size_t limit, char **ret_data, size_t *ret_size,
                     struct sbx_error *err)
{
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        err_sys(err, 0, errno, "cannot open '%s'", path);
        return err_hint(err, "check the file's name and that you may read it");
    }
    return source_read_fd(fd, path, limit, ret_data, ret_size, err);
}
