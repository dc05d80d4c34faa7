// SPDX-License-Identifier: Apache-2.0
// Removing a fork's own files when it ends. Layer: jail.
#include "jail/forked.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/tree.h"

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

// Makers of sandboxes hold the lock for a moment, and so does whoever copies these files.
static bool lock(int fd, int tries)
{
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (--tries <= 0 || (errno != EWOULDBLOCK && errno != EINTR))
            return false;
        poll(NULL, 0, 10);
    }
    return true;
}

// STORE/deltas/NAME/NUMBER
static bool remove_delta(const char *layer, const char *deltas, int tries)
{
    char store[PATH_MAX], name[NAME_MAX + 1];
    const char *begin = deltas + strlen(BOX_DELTAS);
    size_t length = strcspn(begin, "/");
    if (length == 0 || length > NAME_MAX || begin[0] == '.' || deltas - layer >= PATH_MAX)
        return true;
    snprintf(store, sizeof(store), "%.*s", (int)(deltas - layer), layer);
    snprintf(name, sizeof(name), "%.*s", (int)length, begin);
    cleanup_fd int store_fd = open(store, OPEN_DIR);
    cleanup_fd int lock_fd = openat(store_fd, BOX_STORE_LOCK, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    cleanup_fd int deltas_fd = openat(store_fd, "deltas", OPEN_DIR);
    return lock(lock_fd, tries) && tree_drop(deltas_fd, name) == 0;
}

static const char *find_last(const char *text, const char *part)
{
    const char *found = NULL;
    for (const char *at = text; (at = strstr(at, part)); at++)
        found = at;
    return found;
}

// All of them lie in one directory of the store.
bool forked_remove(const struct box_spec *spec, int tries)
{
    for (size_t i = 0; spec->flags & BOX_FORK && i < spec->layer_count; i++) {
        const char *deltas = find_last(spec->layers[i].value, BOX_DELTAS);
        if (deltas)
            return remove_delta(spec->layers[i].value, deltas, tries);
    }
    return true;
}
