// SPDX-License-Identifier: Apache-2.0
// See node.h. Layer: base.
#include "base/node.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

const struct node node_dev[] = {
    {"dev", S_IFDIR | 0755, NULL, 0, 0},
    {"dev/shm", S_IFDIR | 01777, NULL, 0, 0},
    {"dev/pts", S_IFDIR | 0755, NULL, 0, 0},
    {"dev/fd", S_IFLNK, "/proc/self/fd", 0, 0},
    {"dev/stdin", S_IFLNK, "/proc/self/fd/0", 0, 0},
    {"dev/stdout", S_IFLNK, "/proc/self/fd/1", 0, 0},
    {"dev/stderr", S_IFLNK, "/proc/self/fd/2", 0, 0},
    {"dev/ptmx", S_IFLNK, "pts/ptmx", 0, 0},
};

// Numbers: Documentation/admin-guide/devices.txt.
const struct node node_devices[] = {
    {"dev/null", S_IFCHR | 0666, NULL, 1, 3},    {"dev/zero", S_IFCHR | 0666, NULL, 1, 5},
    {"dev/full", S_IFCHR | 0666, NULL, 1, 7},    {"dev/random", S_IFCHR | 0666, NULL, 1, 8},
    {"dev/urandom", S_IFCHR | 0666, NULL, 1, 9}, {"dev/tty", S_IFCHR | 0666, NULL, 5, 0},
};

int node_make(const struct node *node)
{
    if (node->link)
        return symlink(node->link, node->path);
    if (S_ISDIR(node->mode))
        return mkdir(node->path, node->mode & 07777);
    return mknod(node->path, node->mode, makedev(node->major, node->minor));
}

const struct node *node_make_all(const struct node *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (node_make(&nodes[i]) < 0)
            return &nodes[i];
    return NULL;
}
