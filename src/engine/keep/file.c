// SPDX-License-Identifier: Apache-2.0
// Files of a layer: contents, holes, facts, attributes. Layer: engine.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/utf8.h"
#include "engine/keep/keep.h"

#define TRIES 5
#define LIST_MAX 65536 // of names, and of one value: xattr(7)
#define NOBODY 65534

int keep_fail(struct keep *keep, const char *name)
{
    int saved = errno;
    cleanup_buf struct buf shown = BUF_INIT(2048);
    utf8_add_printable(&shown, name, strnlen(name, 120));
    const char *text = buf_text(&shown);
    int code = saved == ENOSPC || saved == EDQUOT || saved == EFBIG ? SBX_ERR_QUOTA : 0;
    return err_sys(keep->err, code, saved, "cannot keep '%s' of the sandbox", text ? text : "?");
}

int keep_refuse(struct keep *keep, int code, const char *name, const char *why)
{
    cleanup_buf struct buf shown = BUF_INIT(2048);
    utf8_add_printable(&shown, name, strnlen(name, 120));
    const char *text = buf_text(&shown);
    return err_set(keep->err, code, "'%s' of the sandbox %s", text ? text : "?", why);
}

void keep_sum(struct keep *keep, const void *data, size_t size)
{
    if (keep->hash)
        sha256_update(&keep->sum, data, size);
}

static uint32_t inside(const struct keep *keep, uint32_t id)
{
    return id - keep->base < KEEP_IDS ? id - keep->base : NOBODY;
}

void keep_count(struct keep *keep, char kind, const char *name, const struct stat *info)
{
    char facts[160];
    int size = snprintf(
        facts, sizeof(facts), "%c %o %u %u %lld.%09ld %lld ", kind, (unsigned)info->st_mode,
        inside(keep, info->st_uid), inside(keep, info->st_gid), (long long)info->st_mtim.tv_sec,
        info->st_mtim.tv_nsec, S_ISDIR(info->st_mode) ? 0 : (long long)info->st_size);
    keep->entries++;
    keep_sum(keep, facts, (size_t)size);
    keep_sum(keep, name, strlen(name) + 1);
}

static int too_large(struct keep *keep)
{
    err_set(keep->err, SBX_ERR_QUOTA, "the sandbox has more than %llu MiB of files of its own",
            (unsigned long long)(keep->bytes_max >> 20));
    return err_hint(keep->err, "free disk in the cache directory, or choose another place with "
                               "SANDBOXES_CACHE_DIR");
}

// What lies between two holes.
static int copy_extent(struct keep *keep, int from, int to, const char *name, off_t at, off_t end)
{
    while (at < end) {
        size_t want = end - at < (off_t)KEEP_PIECE ? (size_t)(end - at) : KEEP_PIECE;
        ssize_t got = pread(from, keep->piece, want, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return keep_fail(keep, name);
        if (got == 0)
            return 0; // shorter by now: the caller sees that
        if ((uint64_t)got > keep->bytes_max - keep->bytes)
            return too_large(keep);
        keep->bytes += (uint64_t)got;
        const uint64_t place[2] = {(uint64_t)at, (uint64_t)got};
        keep_sum(keep, place, sizeof(place));
        keep_sum(keep, keep->piece, (size_t)got);
        for (ssize_t done = 0; done < got;) {
            ssize_t put = pwrite(to, keep->piece + done, (size_t)(got - done), at + done);
            if (put < 0 && errno != EINTR)
                return keep_fail(keep, name);
            done += put > 0 ? put : 0;
        }
        at += got;
    }
    return 0;
}

static int copy_contents(struct keep *keep, int from, int to, const char *name, off_t size)
{
    int rc = 0;
    for (off_t at = 0; rc == 0 && at < size;) {
        off_t data = lseek(from, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break; // a hole up to the end
        if (data < 0)
            return keep_fail(keep, name);
        off_t hole = lseek(from, data, SEEK_HOLE);
        if (hole < 0 || hole > size)
            hole = size;
        rc = copy_extent(keep, from, to, name, data, hole);
        at = hole > data ? hole : data + 1;
    }
    return rc == 0 && ftruncate(to, size) < 0 ? keep_fail(keep, name) : rc;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

// Of a sandbox that can't be frozen a file may change under our hands: then it is read again.
static int copy_steady(struct keep *keep, int from, int to, const char *name, struct stat *info)
{
    const struct sha256 sum = keep->sum;
    uint64_t bytes = keep->bytes;
    for (int tries = 0; tries < TRIES; tries++) {
        struct stat now;
        int rc = copy_contents(keep, from, to, name, info->st_size);
        if (rc < 0 || keep->still)
            return rc;
        if (fstat(from, &now) < 0 || ftruncate(to, now.st_size) < 0)
            return keep_fail(keep, name);
        if (is_same(info, &now))
            return 0;
        keep->sum = sum;
        keep->bytes = bytes;
        *info = now;
        if (ftruncate(to, 0) < 0)
            return keep_fail(keep, name);
    }
    keep_refuse(keep, SBX_ERR_CONFLICT, name, "changes faster than it can be copied");
    return err_hint(keep->err, "end what writes to it, or run as root: then the sandbox stands "
                               "still meanwhile");
}

static int copy_attribute(struct keep *keep, int from, int to, const char *file, const char *name)
{
    static const char redirect[] = ".overlay.redirect", metacopy[] = ".overlay.metacopy";
    const char *dot = strchr(name, '.');
    if (dot && (strcmp(dot, redirect) == 0 || strcmp(dot, metacopy) == 0)) {
        keep_refuse(keep, SBX_ERR_UNSUPPORTED, file, "is not whole in the sandbox's layer");
        return err_hint(keep->err, "echo N >/sys/module/overlay/parameters/redirect_dir, the same "
                                   "for metacopy, then make the sandbox anew");
    }
    if (strncmp(name, "user.", 5) != 0 || strncmp(name, "user.overlay.", 13) == 0)
        return 0;
    ssize_t size = fgetxattr(from, name, keep->piece, LIST_MAX);
    if (size < 0)
        return 0; // gone
    keep_sum(keep, name, strlen(name) + 1);
    keep_sum(keep, keep->piece, (size_t)size);
    // Where the store's file system has none, they are left out.
    if (fsetxattr(to, name, keep->piece, (size_t)size, 0) < 0 && errno != EOPNOTSUPP)
        return keep_fail(keep, file);
    return 0;
}

static int copy_attributes(struct keep *keep, int from, int to, const char *file)
{
    char none[1];
    ssize_t size = flistxattr(from, none, 0);
    if (size <= 0)
        return 0;
    cleanup_free char *names = malloc(LIST_MAX);
    if (!names)
        return err_nomem(keep->err);
    size = flistxattr(from, names, LIST_MAX);
    int rc = 0;
    for (ssize_t at = 0; rc == 0 && at < size; at += (ssize_t)strlen(names + at) + 1)
        rc = copy_attribute(keep, from, to, file, names + at);
    return rc;
}

int keep_facts(struct keep *keep, int from, int to, const char *name, const struct stat *info,
               bool ours)
{
    const struct timespec times[2] = {info->st_mtim, info->st_mtim};
    uint32_t uid = ours ? info->st_uid : inside(keep, info->st_uid);
    uint32_t gid = ours ? info->st_gid : inside(keep, info->st_gid);
    int rc = copy_attributes(keep, from, to, name);
    if (rc < 0)
        return rc;
    if (keep->owners && fchown(to, uid, gid) < 0)
        return keep_fail(keep, name);
    if (fchmod(to, info->st_mode & 07777) < 0)
        return keep_fail(keep, name);
    (void)futimens(to, times);
    return 0;
}

int keep_owner_at(struct keep *keep, int to, const char *name, const struct stat *info)
{
    const struct timespec times[2] = {info->st_mtim, info->st_mtim};
    if (keep->owners && fchownat(to, name, inside(keep, info->st_uid), inside(keep, info->st_gid),
                                 AT_SYMLINK_NOFOLLOW) < 0)
        return keep_fail(keep, name);
    (void)utimensat(to, name, times, AT_SYMLINK_NOFOLLOW);
    return 0;
}

static int copy_file(struct keep *keep, int from, int to, const char *name, const struct stat *seen)
{
    struct stat info;
    cleanup_fd int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (source < 0 || fstat(source, &info) < 0)
        return keep_fail(keep, name);
    if (!S_ISREG(info.st_mode) || info.st_ino != seen->st_ino)
        return keep_refuse(keep, SBX_ERR_CONFLICT, name, "became another while it was copied");
    cleanup_fd int target =
        openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (target < 0)
        return keep_fail(keep, name);
    int rc = copy_steady(keep, source, target, name, &info);
    return rc < 0 ? rc : keep_facts(keep, source, target, name, &info, false);
}

int keep_file(struct keep *keep, int from, int to, const char *name, const struct stat *info)
{
    char link[32];
    keep_count(keep, 'f', name, info);
    if (info->st_nlink < 2)
        return copy_file(keep, from, to, name, info);
    // The first of several names is copied; the copy then gets the others too.
    snprintf(link, sizeof(link), "%llu", (unsigned long long)info->st_ino);
    if (linkat(keep->links_fd, link, to, name, 0) == 0)
        return 0;
    if (errno != ENOENT && errno != EMLINK)
        return keep_fail(keep, name);
    int rc = copy_file(keep, from, to, name, info);
    if (rc == 0 && linkat(to, name, keep->links_fd, link, 0) < 0 && errno != EEXIST)
        rc = keep_fail(keep, name);
    return rc;
}
