// SPDX-License-Identifier: Apache-2.0
/*
 * Unpacking. libarchive only reads here; every file is made by us, relative to an opened directory,
 * new and without following a link, so that no entry can reach what another one, or anybody else,
 * has made. Of extended attributes only those of users are kept, and never those that would speak
 * to overlayfs; capabilities of files mean nothing in a sandbox. Layer: engine.
 */
#include "engine/unpack/extract.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/unpack/input.h"
#include "engine/unpack/protocol.h"

#define ID_MAX 65535
#define NOBODY 65534
#define FLUSH_EARLY (64 << 10)
#define XATTRS_MAX 64
#define XATTR_BYTES_MAX 65536
#define ENTRY_BYTES 4096 // an entry's headers and padding, mostly far less

struct extract_dir {
    char *path;
    size_t order;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    struct timespec modified;
};

static int refuse(struct extract *x, const char *name, const char *why)
{
    char shown[160];
    path_show(name, shown);
    return err_set(x->err, SBX_ERR_INVALID, "the archive's entry %s %s", shown, why);
}

static int fail(struct extract *x, const char *name)
{
    int saved = errno;
    char shown[160];
    if (saved == EEXIST)
        return refuse(x, name, "comes twice");
    path_show(name, shown);
    return err_sys(x->err, 0, saved, "cannot unpack %s", shown);
}

static int too_large(struct extract *x)
{
    err_set(x->err, SBX_ERR_QUOTA, "%s holds more than %llu MB",
            x->layer ? "a layer of the image" : "the archive",
            (unsigned long long)x->bytes_max >> 20);
    return err_hint(x->err, "if that is meant, free disk in the cache directory (sandboxes image "
                            "prune), or choose another with SANDBOXES_CACHE_DIR: half of what is "
                            "free there may be used, up to 16 GiB");
}

static int too_many(struct extract *x, unsigned most, const char *what)
{
    err_set(x->err, SBX_ERR_QUOTA, "the archive has more than %u %s", most, what);
    return err_hint(x->err, "leave out of it what no program in there needs");
}

int extract_unreadable(struct archive *archive, struct sbx_error *err)
{
    const char *text = archive_error_string(archive);
    char shown[160];
    path_show(text ? text : "no reason given", shown);
    err_set(err, SBX_ERR_INVALID, "the archive cannot be read: %s", shown);
    return err_hint(err,
                    "what is understood are tar archives, plain or compressed by gzip, xz, zstd or "
                    "bzip2; if this is one, fetch or make it again");
}

static uid_t owner(int64_t id)
{
    return id >= 0 && id <= ID_MAX ? (uid_t)id : NOBODY;
}

static struct timespec modified(struct archive_entry *entry)
{
    struct timespec time = {archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)};
    if (time.tv_nsec < 0 || time.tv_nsec > 999999999)
        time.tv_nsec = 0;
    return time;
}

static int set_times_at(int dir_fd, const char *leaf, struct timespec time)
{
    const struct timespec times[2] = {time, time};
    return utimensat(dir_fd, leaf, times, AT_SYMLINK_NOFOLLOW);
}

static bool keeps_xattr(const char *name, size_t size)
{
    return strncmp(name, "user.", 5) == 0 && strncmp(name, "user.overlay.", 13) != 0 &&
           strlen(name) < 256 && size <= XATTR_BYTES_MAX;
}

// What the file system can't hold is left out.
static void set_xattrs(struct archive_entry *entry, int fd)
{
    const char *name;
    const void *value;
    size_t size;
    int count = archive_entry_xattr_reset(entry);
    for (int i = 0; i < count && i < XATTRS_MAX; i++)
        if (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK && name &&
            keeps_xattr(name, size))
            (void)fsetxattr(fd, name, value, size, 0);
}

// Owner, then the set-user-id bits (which changing the owner clears), then times.
static int set_file_facts(struct extract *x, struct archive_entry *entry, int fd, const char *path)
{
    const struct timespec times[2] = {modified(entry), modified(entry)};
    uid_t uid = owner(archive_entry_uid(entry));
    gid_t gid = owner(archive_entry_gid(entry));
    mode_t mode = archive_entry_perm(entry) & 07777;
    if (x->owners && (uid != 0 || gid != 0) && fchown(fd, uid, gid) < 0)
        return fail(x, path);
    if ((mode & 07000) && fchmod(fd, mode) < 0)
        return fail(x, path);
    set_xattrs(entry, fd);
    (void)futimens(fd, times); // a time that the file system can't hold is no reason to refuse
    return 0;
}

static void account(const struct extract *x, uint64_t size)
{
    if (x->input)
        input_account(x->input, size);
}

static int copy_blocks(struct extract *x, int fd, const char *path, int64_t size)
{
    const void *data;
    size_t length;
    int64_t offset, end = 0;
    int status;
    while ((status = archive_read_data_block(x->archive, &data, &length, &offset)) == ARCHIVE_OK) {
        if (offset < 0 || offset > size || (int64_t)length > size - offset)
            return refuse(x, path, "has more data than its size");
        if (length > x->bytes_max - x->bytes)
            return too_large(x);
        x->bytes += length;
        account(x, length);
        for (size_t done = 0; done < length;) {
            ssize_t put = pwrite(fd, (const char *)data + done, length - done,
                                 (off_t)(offset + (int64_t)done));
            if (put < 0 && errno != EINTR)
                return fail(x, path);
            done += put > 0 ? (size_t)put : 0;
        }
        end = length > 0 ? offset + (int64_t)length : end;
    }
    if (status != ARCHIVE_EOF)
        return extract_unreadable(x->archive, x->err);
    // A hole at the end.
    return end != size && ftruncate(fd, size) < 0 ? fail(x, path) : 0;
}

static int make_file(struct extract *x, struct archive_entry *entry, int dir_fd, const char *leaf,
                     const char *path)
{
    int64_t size = archive_entry_size(entry);
    if (size < 0 || (uint64_t)size > x->bytes_max)
        return too_large(x);
    cleanup_fd int fd = openat(dir_fd, leaf, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                               archive_entry_perm(entry) & 0777);
    if (fd < 0)
        return fail(x, path);
    int rc = size > 0 ? copy_blocks(x, fd, path, size) : 0;
    // On its way to the disk while the next ones are read: the end waits for all of it.
    if (rc == 0 && !x->layer && size >= FLUSH_EARLY)
        (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return rc < 0 ? rc : set_file_facts(x, entry, fd, path);
}

static int remember_dir(struct extract *x, struct archive_entry *entry, const char *path)
{
    size_t length = strlen(path) + 1;
    if (x->dir_count == x->dir_capacity) {
        size_t capacity = x->dir_capacity * 2 + 64;
        struct extract_dir *dirs = reallocarray(x->dirs, capacity, sizeof(*dirs));
        if (!dirs)
            return err_nomem(x->err);
        x->dirs = dirs;
        x->dir_capacity = capacity;
    }
    x->dir_bytes += length + sizeof(*x->dirs);
    if (x->dir_bytes > EXTRACT_DIRS_BYTES_MAX)
        return too_many(x, EXTRACT_DIRS_BYTES_MAX >> 20, "MB of names of directories");
    char *copy = strdup(path);
    if (!copy)
        return err_nomem(x->err);
    x->dirs[x->dir_count] = (struct extract_dir){
        .path = copy,
        .order = x->dir_count,
        .mode = archive_entry_perm(entry) & 07777,
        .uid = owner(archive_entry_uid(entry)),
        .gid = owner(archive_entry_gid(entry)),
        .modified = modified(entry),
    };
    x->dir_count++;
    return 0;
}

static int make_dir(struct extract *x, struct archive_entry *entry, int dir_fd, const char *leaf,
                    const char *path)
{
    struct stat info;
    if (mkdirat(dir_fd, leaf, 0700) < 0) {
        int saved = errno;
        if (saved != EEXIST || fstatat(dir_fd, leaf, &info, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISDIR(info.st_mode)) {
            errno = saved;
            return fail(x, path);
        }
    }
    return remember_dir(x, entry, path);
}

static int make_symlink(struct extract *x, struct archive_entry *entry, int dir_fd,
                        const char *leaf, const char *path)
{
    const char *target = archive_entry_symlink(entry);
    if (!target || !target[0])
        return refuse(x, path, "is a link to nothing");
    if (symlinkat(target, dir_fd, leaf) < 0)
        return fail(x, path);
    if (x->owners && fchownat(dir_fd, leaf, owner(archive_entry_uid(entry)),
                              owner(archive_entry_gid(entry)), AT_SYMLINK_NOFOLLOW) < 0)
        return fail(x, path);
    (void)set_times_at(dir_fd, leaf, modified(entry));
    return 0;
}

static int make_fifo(struct extract *x, struct archive_entry *entry, int dir_fd, const char *leaf,
                     const char *path)
{
    if (mkfifoat(dir_fd, leaf, 0600) < 0 ||
        fchmodat(dir_fd, leaf, archive_entry_perm(entry) & 0777, 0) < 0)
        return fail(x, path);
    if (x->owners && fchownat(dir_fd, leaf, owner(archive_entry_uid(entry)),
                              owner(archive_entry_gid(entry)), AT_SYMLINK_NOFOLLOW) < 0)
        return fail(x, path);
    return 0;
}

// The target was unpacked before, lies in the tree, and is reached without a link.
static int make_hardlink(struct extract *x, const char *target, const char *path)
{
    char clean[PATH_MAX];
    const char *leaf, *target_leaf;
    int dir_fd, target_fd;
    cleanup(path_walk_deinit) struct path_walk own;
    struct stat info;
    path_walk_init(&own, x->walk.root_fd);
    int rc = path_clean(target, clean, x->err);
    if (rc < 0)
        return rc;
    rc = path_walk_open(&own, clean, false, &target_fd, &target_leaf, x->err);
    if (rc == 0)
        rc = path_walk_open(&x->walk, path, true, &dir_fd, &leaf, x->err);
    if (rc < 0)
        return rc;
    if (!clean[0] || fstatat(target_fd, target_leaf, &info, AT_SYMLINK_NOFOLLOW) < 0 ||
        S_ISDIR(info.st_mode))
        return refuse(x, path, "is a hard link to what is not a file of the archive");
    return linkat(target_fd, target_leaf, dir_fd, leaf, 0) < 0 ? fail(x, path) : 0;
}

// Devices of /dev come with many root file systems; a sandbox has its own instead.
static int skip_device(struct extract *x, const char *path)
{
    if (strncmp(path, "dev/", 4) == 0)
        return 0;
    return refuse(x, path, "is a device");
}

static int make_entry(struct extract *x, struct archive_entry *entry, const char *path)
{
    const char *leaf;
    int dir_fd;
    const char *hardlink = archive_entry_hardlink(entry);
    if (hardlink)
        return make_hardlink(x, hardlink, path);
    mode_t type = archive_entry_filetype(entry);
    if (type == AE_IFCHR || type == AE_IFBLK)
        return skip_device(x, path);
    int rc = path_walk_open(&x->walk, path, true, &dir_fd, &leaf, x->err);
    if (rc < 0)
        return rc;
    switch (type) {
    case AE_IFREG:
        return make_file(x, entry, dir_fd, leaf, path);
    case AE_IFDIR:
        return make_dir(x, entry, dir_fd, leaf, path);
    case AE_IFLNK:
        return make_symlink(x, entry, dir_fd, leaf, path);
    case AE_IFIFO:
        return make_fifo(x, entry, dir_fd, leaf, path);
    default:
        return refuse(x, path, "is of an unknown kind");
    }
}

// A whiteout becomes an empty file, whatever the entry is; those of aufs itself mean nothing.
static int make_whiteout(struct extract *x, const char *path, const char *leaf)
{
    const char *hidden = leaf + strlen(UNPACK_WHITEOUT);
    int dir_fd;
    bool opaque = strcmp(leaf, UNPACK_OPAQUE) == 0;
    if (!opaque && strncmp(hidden, UNPACK_WHITEOUT, strlen(UNPACK_WHITEOUT)) == 0)
        return 0;
    if (!hidden[0] || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
        return refuse(x, path, "removes what has no name");
    int rc = path_walk_open(&x->walk, path, true, &dir_fd, &leaf, x->err);
    if (rc < 0)
        return rc;
    cleanup_fd int fd =
        openat(dir_fd, leaf, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? fail(x, path) : 0;
}

static bool is_whiteout(const char *leaf)
{
    return strncmp(leaf, UNPACK_WHITEOUT, strlen(UNPACK_WHITEOUT)) == 0;
}

static int make_any(struct extract *x, struct archive_entry *entry, const char *path)
{
    const char *slash = strrchr(path, '/'), *leaf = slash ? slash + 1 : path;
    return x->layer && is_whiteout(leaf) ? make_whiteout(x, path, leaf)
                                         : make_entry(x, entry, path);
}

static int handle_entry(struct extract *x, struct archive_entry *entry)
{
    char path[PATH_MAX];
    const char *name = archive_entry_pathname(entry);
    if (++x->entries > EXTRACT_ENTRIES_MAX)
        return too_many(x, EXTRACT_ENTRIES_MAX, "entries");
    account(x, ENTRY_BYTES);
    if (!name || !name[0])
        return err_set(x->err, SBX_ERR_INVALID, "an entry of the archive has no name");
    int rc = path_clean(name, path, x->err);
    if (rc < 0)
        return rc;
    if (path[0])
        return make_any(x, entry, path);
    if (archive_entry_filetype(entry) != AE_IFDIR || archive_entry_hardlink(entry))
        return refuse(x, name, "would replace the root directory");
    return 0;
}

// What lies in a directory before the directory, which may close it; of one that comes twice, the
// last entry counts.
static int deepest_first(const void *a, const void *b)
{
    const struct extract_dir *left = a, *right = b;
    int order = strcmp(right->path, left->path);
    return order ? order : left->order < right->order ? -1 : 1;
}

// Modes, owners and times of directories, when nothing is made in them any more.
static int finish_dirs(struct extract *x)
{
    if (x->dir_count > 1)
        qsort(x->dirs, x->dir_count, sizeof(*x->dirs), deepest_first);
    for (size_t i = 0; i < x->dir_count; i++) {
        const struct extract_dir *dir = &x->dirs[i];
        const char *leaf;
        int dir_fd;
        int rc = path_walk_open(&x->walk, dir->path, false, &dir_fd, &leaf, x->err);
        if (rc < 0)
            return rc;
        if (x->owners && fchownat(dir_fd, leaf, dir->uid, dir->gid, AT_SYMLINK_NOFOLLOW) < 0)
            return fail(x, dir->path);
        if (fchmodat(dir_fd, leaf, dir->mode, 0) < 0)
            return fail(x, dir->path);
        (void)set_times_at(dir_fd, leaf, dir->modified);
    }
    return 0;
}

int extract_all(struct extract *x)
{
    struct archive_entry *entry;
    int status, rc = 0;
    while (rc == 0 && (status = archive_read_next_header(x->archive, &entry)) != ARCHIVE_EOF) {
        if (status < ARCHIVE_WARN) // a warning is about an attribute or the spelling of a name
            return extract_unreadable(x->archive, x->err);
        rc = handle_entry(x, entry);
    }
    if (rc == 0 && x->entries == 0 && !x->layer)
        rc = err_set(x->err, SBX_ERR_INVALID, "the archive is empty");
    return rc < 0 ? rc : finish_dirs(x);
}

void extract_deinit(struct extract *x)
{
    for (size_t i = 0; i < x->dir_count; i++)
        free(x->dirs[i].path);
    free(x->dirs);
    path_walk_deinit(&x->walk);
}
