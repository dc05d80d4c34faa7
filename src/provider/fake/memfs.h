// SPDX-License-Identifier: Apache-2.0
// A file system in memory: a tree of nodes with owners, modes and links. Not thread-safe: the
// provider's lock guards it. Layer: provider.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sandboxes/files.h>

#include "base/error.h"

#define MEMFS_BYTES_MAX (512ull * 1024 * 1024) // of all files of a sandbox
#define MEMFS_NODES_MAX 200000
#define MEMFS_NAME_MAX 255
#define MEMFS_DEPTH_MAX 2048 // of a node that changes are told of
#define MEMFS_LINKS_MAX 40   // followed in one path, as Linux does

struct memfs_node {
    struct memfs_node *parent; // itself for the root
    struct memfs_node *child;  // first of the directory, sorted by name
    struct memfs_node *next;   // sibling
    char *name;
    char *target; // of a symbolic link
    char *data;   // of a regular file
    size_t size, capacity;
    uint32_t kind; // enum sbx_file_kind
    uint32_t mode, uid, gid;
    int64_t modified_ms;
};

struct memfs {
    struct memfs_node *root;
    uint64_t bytes;
    size_t nodes;
    // Told of each change (enum sbx_change_kind), when it is set: before a node goes, after one
    // came.
    void (*on_change)(void *payload, const struct memfs_node *node, uint32_t kind);
    void *payload;
};

// Who looks: his directory for relative paths and his rights. 0 is root, who may do everything.
struct memfs_view {
    struct memfs *fs;
    const char *cwd;
    uint32_t uid;
};

int memfs_init(struct memfs *fs,
               struct sbx_error *err); // /, /bin, /dev, /etc, /home/user, /root, /tmp
void memfs_deinit(struct memfs *fs);
// A new one with the same in it. NOMEM.
int memfs_copy(const struct memfs *from, struct memfs *to, struct sbx_error *err);

enum memfs_find_how { MEMFS_FOLLOW = 0, MEMFS_NOFOLLOW = 1 }; // a link in the last place

// Errors of all: NOT_FOUND, DENIED, CONFLICT (kind), INVALID (loop of links, name), QUOTA, NOMEM.
int memfs_find(const struct memfs_view *view, const char *path, enum memfs_find_how how,
               struct memfs_node **ret_node, struct sbx_error *err);

// A new node at path, whose parent must exist; CONFLICT if there is one already.
int memfs_make(const struct memfs_view *view, const char *path, uint32_t kind, uint32_t mode,
               struct memfs_node **ret_node, struct sbx_error *err);

// The regular file at path, made if missing, emptied unless `append`.
int memfs_open_write(const struct memfs_view *view, const char *path, uint32_t mode, bool append,
                     struct memfs_node **ret_node, struct sbx_error *err);
int memfs_open_read(const struct memfs_view *view, const char *path, struct memfs_node **ret_node,
                    struct sbx_error *err);
int memfs_append(struct memfs *fs, struct memfs_node *node, const void *data, size_t size,
                 struct sbx_error *err);

// Missing directories on the way to path, without its last name unless `whole`.
int memfs_make_parents(const struct memfs_view *view, const char *path, bool whole, uint32_t mode,
                       struct sbx_error *err);
int memfs_link(const struct memfs_view *view, const char *target, const char *path,
               struct sbx_error *err);
int memfs_remove(const struct memfs_view *view, const char *path, bool recursive,
                 struct sbx_error *err);
int memfs_rename(const struct memfs_view *view, const char *from, const char *to,
                 struct sbx_error *err);

void memfs_set_mode(struct memfs *fs, struct memfs_node *node, uint32_t mode);

// Whether node is top or anything below.
bool memfs_inside(const struct memfs_node *node, const struct memfs_node *top);
// Bits as of access(2): 4 read, 2 write, 1 search or execute.
bool memfs_may(const struct memfs_node *node, uint32_t uid, uint32_t bits);

// A child by name or NULL; a new one inside a directory without a check of rights.
struct memfs_node *memfs_child(const struct memfs_node *directory, const char *name, size_t length);
int memfs_add(struct memfs *fs, struct memfs_node *directory, const char *name, size_t length,
              uint32_t kind, uint32_t mode, uint32_t uid, struct memfs_node **ret_node,
              struct sbx_error *err);
