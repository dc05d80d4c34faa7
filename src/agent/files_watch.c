// SPDX-License-Identifier: Apache-2.0
// WATCH: what changes in a directory, by inotify(7), until the host closes. Layer: agent.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent/files.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/names.h"

#define DIRECTORIES_MAX 20000
#define EVENTS_SIZE (64 * 1024)
#define QUEUE_MAX (64 * 1024 * 1024) // names of directories that are read at once
#define MASK                                                                                       \
    (IN_CREATE | IN_MODIFY | IN_ATTRIB | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |                 \
     IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

// A directory that is watched; inotify's numbers grow, so the list is sorted by them.
struct place {
    int number;
    char *path; // owned; below the root, "" is the root itself
};

struct watch {
    struct files *files;
    const char *root;
    bool recursive;
    int fd;
    struct place *places; // owned
    size_t count, capacity;
};

static void watch_deinit(struct watch *watch)
{
    for (size_t i = 0; i < watch->count; i++)
        free(watch->places[i].path);
    free(watch->places);
    if (watch->fd >= 0)
        close(watch->fd);
}

static struct place *find(const struct watch *watch, int number)
{
    size_t low = 0, high = watch->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (watch->places[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < watch->count && watch->places[low].number == number ? &watch->places[low] : NULL;
}

static void forget(struct watch *watch, struct place *place)
{
    free(place->path);
    size_t at = (size_t)(place - watch->places);
    memmove(place, place + 1, (--watch->count - at) * sizeof(*place));
}

// Below the root; false when it is longer than a path may be.
static bool join(const char *directory, const char *name, char out[FILES_PATH_MAX + 1])
{
    size_t size = strlen(directory), more = strlen(name);
    if (size + (size && more) + more > FILES_PATH_MAX)
        return false;
    memcpy(out, directory, size);
    if (size && more)
        out[size++] = '/';
    memcpy(out + size, name, more);
    out[size + more] = '\0';
    return true;
}

static int keep(struct watch *watch, int number, const char *path, struct sbx_error *err)
{
    struct place *place = find(watch, number); // the directory has moved
    char *own = strdup(path);
    if (!own)
        return err_nomem(err);
    if (place) {
        free(place->path);
        place->path = own;
        return 0;
    }
    if (watch->count == watch->capacity) {
        size_t capacity = watch->capacity ? watch->capacity * 2 : 16;
        void *places = realloc(watch->places, capacity * sizeof(*watch->places));
        if (!places) {
            free(own);
            return err_nomem(err);
        }
        watch->places = places;
        watch->capacity = capacity;
    }
    watch->places[watch->count++] = (struct place){number, own};
    return 0;
}

static void tell(struct watch *watch, uint32_t kind, const char *name)
{
    cleanup_buf struct buf payload = BUF_INIT(2 * FILES_PATH_MAX);
    wire_put_u32(&payload, kind);
    wire_put_text(&payload, name);
    files_put(watch->files, FILES_CHANGE, &payload);
}

static void put_full(const struct watch *watch, const char *path, char out[2 * FILES_PATH_MAX + 2])
{
    snprintf(out, 2 * FILES_PATH_MAX + 2, "%s%s%s", watch->root, path[0] ? "/" : "", path);
}

// One directory, and its name to those in which others are looked for.
static int add_one(struct watch *watch, const char *path, struct buf *queue, struct sbx_error *err)
{
    char full[2 * FILES_PATH_MAX + 2];
    if (watch->count == DIRECTORIES_MAX)
        return err_set(err, SBX_ERR_QUOTA, "more than %d directories can't be watched",
                       DIRECTORIES_MAX);
    put_full(watch, path, full);
    int number = inotify_add_watch(watch->fd, full, MASK | (path[0] ? IN_DONT_FOLLOW : 0));
    bool gone = path[0] && (errno == ENOENT || errno == ENOTDIR || errno == EACCES);
    if (number < 0)
        return gone ? 0 : err_sys(err, 0, errno, "cannot watch '%s'", full);
    int code = keep(watch, number, path, err);
    if (code == 0 && watch->recursive)
        buf_add(queue, path, strlen(path) + 1);
    return queue->failed ? err_nomem(err) : code;
}

static int add_below(struct watch *watch, const char *path, bool fresh, struct buf *queue,
                     struct sbx_error *err)
{
    char full[2 * FILES_PATH_MAX + 2];
    put_full(watch, path, full);
    cleanup_dir DIR *dir = opendir(full);
    struct dirent *found;
    int code = 0;
    while (dir && code == 0 && (found = readdir(dir))) {
        char name[FILES_PATH_MAX + 1];
        if (name_is_dots(found->d_name) || !join(path, found->d_name, name))
            continue;
        if (fresh)
            tell(watch, SBX_CHANGE_CREATE, name);
        if (found->d_type == DT_DIR)
            code = add_one(watch, name, queue, err);
    }
    return code;
}

// A directory and, when all below is watched, those in it, of which there may be more, one in the
// other, than a stack has room for. In one that has just come into being what is there already is
// told as new.
static int add(struct watch *watch, const char *path, bool fresh, struct sbx_error *err)
{
    cleanup_buf struct buf queue = BUF_INIT(QUEUE_MAX);
    int code = add_one(watch, path, &queue, err);
    for (size_t at = 0; code == 0 && at < queue.size;) {
        char next[FILES_PATH_MAX + 1];
        size_t size = strlen(queue.data + at) + 1;
        memcpy(next, queue.data + at, size);
        at += size;
        code = add_below(watch, next, fresh, &queue, err);
    }
    return code;
}

static uint32_t kind_of(uint32_t mask)
{
    return mask & (IN_CREATE | IN_MOVED_TO) ? SBX_CHANGE_CREATE
           : mask & IN_MODIFY               ? SBX_CHANGE_WRITE
           : mask & IN_DELETE               ? SBX_CHANGE_REMOVE
           : mask & IN_MOVED_FROM           ? SBX_CHANGE_RENAME
           : mask & IN_ATTRIB               ? SBX_CHANGE_MODE
                                            : 0;
}

static int take(struct watch *watch, const struct inotify_event *event, struct sbx_error *err)
{
    char name[FILES_PATH_MAX + 1];
    if (event->mask & IN_Q_OVERFLOW)
        return err_set(err, SBX_ERR_QUOTA,
                       "changes came faster than they were read, some are lost");
    struct place *place = find(watch, event->wd);
    if (!place)
        return 0;
    bool root = !place->path[0];
    if (root && (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)))
        return err_set(err, SBX_ERR_NOT_FOUND, "'%s' is not there any more", watch->root);
    if (event->mask & IN_IGNORED) {
        forget(watch, place);
        return 0;
    }
    uint32_t kind = kind_of(event->mask);
    if (!kind || !event->len || !join(place->path, event->name, name))
        return 0;
    tell(watch, kind, name);
    bool came = (event->mask & IN_ISDIR) && kind == SBX_CHANGE_CREATE;
    return came && watch->recursive ? add(watch, name, true, err) : 0;
}

static int read_events(struct watch *watch, struct sbx_error *err)
{
    _Alignas(struct inotify_event) char data[EVENTS_SIZE];
    ssize_t size = read(watch->fd, data, sizeof(data));
    int code = size < 0 && errno != EINTR && errno != EAGAIN
                   ? err_sys(err, 0, errno, "cannot hear of changes")
                   : 0;
    for (ssize_t at = 0; code == 0 && at < size;) {
        const struct inotify_event *event = (const void *)(data + at);
        code = take(watch, event, err);
        at += (ssize_t)(sizeof(*event) + event->len);
    }
    files_flush(watch->files);
    return code;
}

// Until something is wrong; the host closes when it has seen enough.
static int run(struct watch *watch, struct sbx_error *err)
{
    struct pollfd fds[] = {{.fd = watch->fd, .events = POLLIN},
                           {.fd = watch->files->fd, .events = POLLIN | POLLRDHUP}};
    int code = 0;
    files_put(watch->files, FILES_DONE, NULL); // all that changes from here on is told
    files_flush(watch->files);
    while (code == 0) {
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents)
            files_quit(watch->files);
        if (fds[0].revents)
            code = read_events(watch, err);
    }
    return code;
}

int files_watch(struct files *files, struct wire_reader *in, struct sbx_error *err)
{
    const char *path = wire_text(in);
    uint32_t recursive = wire_u32(in);
    if (!wire_end(in) || strlen(path) > FILES_PATH_MAX)
        return files_malformed(err);
    cleanup(watch_deinit) struct watch watch = {.files = files,
                                                .root = path[0] ? path : ".",
                                                .recursive = recursive != 0,
                                                .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
    if (watch.fd < 0)
        return err_sys(err, 0, errno, "cannot watch '%s'", path);
    int code = add(&watch, "", false, err);
    return code < 0 ? code : run(&watch, err);
}
