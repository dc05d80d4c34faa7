// SPDX-License-Identifier: Apache-2.0
// A file system in memory: a tree of nodes with owners, modes and links. Not thread-safe: the
// provider's lock guards it. Layer: provider.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sandboxes/files.h>

#include "base/error.h"

#define FS_BYTES_MAX (512ull * 1024 * 1024) // of all files of a sandbox
#define FS_NODES_MAX 200000
#define FS_NAME_MAX 255
#define FS_LINKS_MAX 40 // followed in one path, as Linux does

struct fs_node {
    struct fs_node *parent; // itself for the root
    struct fs_node *child;  // first of the directory, sorted by name
    struct fs_node *next;   // sibling
    char *name;
    char *target; // of a symbolic link
    char *data;   // of a regular file
    size_t size, capacity;
    uint32_t kind; // enum sbx_file_kind
    uint32_t mode, uid, gid;
    int64_t modified_ms;
};

struct fs {
    struct fs_node *root;
    uint64_t bytes;
    size_t nodes;
};

// Who looks: his directory for relative paths and his rights. 0 is root, who may do everything.
struct fs_view {
    struct fs *fs;
    const char *cwd;
    uint32_t uid;
};

int fs_init(struct fs *fs, struct sbx_error *err); // /, /bin, /dev, /etc, /home/user, /root, /tmp
void fs_deinit(struct fs *fs);

enum fs_find { FS_FOLLOW = 0, FS_NOFOLLOW = 1 }; // a link in the last place

// Errors of all: NOT_FOUND, DENIED, CONFLICT (kind), INVALID (loop of links, name), QUOTA, NOMEM.
int fs_find(const struct fs_view *view, const char *path, enum fs_find how,
            struct fs_node **ret_node, struct sbx_error *err);

// A new node at path, whose parent must exist; CONFLICT if there is one already.
int fs_make(const struct fs_view *view, const char *path, uint32_t kind, uint32_t mode,
            struct fs_node **ret_node, struct sbx_error *err);

// The regular file at path, made if missing, emptied unless `append`.
int fs_open_write(const struct fs_view *view, const char *path, uint32_t mode, bool append,
                  struct fs_node **ret_node, struct sbx_error *err);
int fs_open_read(const struct fs_view *view, const char *path, struct fs_node **ret_node,
                 struct sbx_error *err);
int fs_append(struct fs *fs, struct fs_node *node, const void *data, size_t size,
              struct sbx_error *err);

// Missing directories on the way to path, without its last name unless `whole`.
int fs_make_parents(const struct fs_view *view, const char *path, bool whole, uint32_t mode,
                    struct sbx_error *err);
int fs_link(const struct fs_view *view, const char *target, const char *path,
            struct sbx_error *err);
int fs_remove(const struct fs_view *view, const char *path, bool recursive, struct sbx_error *err);
int fs_rename(const struct fs_view *view, const char *from, const char *to, struct sbx_error *err);

// Bits as of access(2): 4 read, 2 write, 1 search or execute.
bool fs_may(const struct fs_node *node, uint32_t uid, uint32_t bits);

// A child by name or NULL; a new one inside a directory without a check of rights.
struct fs_node *fs_child(const struct fs_node *directory, const char *name, size_t length);
int fs_add(struct fs *fs, struct fs_node *directory, const char *name, size_t length, uint32_t kind,
           uint32_t mode, uint32_t uid, struct fs_node **ret_node, struct sbx_error *err);
