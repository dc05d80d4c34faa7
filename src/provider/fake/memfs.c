// SPDX-License-Identifier: Apache-2.0
// A file system in memory: nodes, rights and the walk along a path. Layer: provider.
#include "provider/fake/memfs.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"

bool memfs_may(const struct memfs_node *node, uint32_t uid, uint32_t bits)
{
    uint32_t granted = uid == node->uid ? node->mode >> 6 : node->mode;
    return uid == 0 || (granted & bits) == bits;
}

struct memfs_node *memfs_child(const struct memfs_node *directory, const char *name, size_t length)
{
    for (struct memfs_node *node = directory->child; node; node = node->next)
        if (strncmp(node->name, name, length) == 0 && node->name[length] == '\0')
            return node;
    return NULL;
}

static void changed(const struct memfs *fs, const struct memfs_node *node, uint32_t kind)
{
    if (fs->on_change)
        fs->on_change(fs->payload, node, kind);
}

void memfs_set_mode(struct memfs *fs, struct memfs_node *node, uint32_t mode)
{
    node->mode = mode;
    changed(fs, node, SBX_CHANGE_MODE);
}

static void link_child(struct memfs_node *directory, struct memfs_node *node)
{
    struct memfs_node **at = &directory->child;
    while (*at && strcmp((*at)->name, node->name) < 0)
        at = &(*at)->next;
    node->next = *at;
    node->parent = directory;
    *at = node;
    directory->modified_ms = clock_unix_ms();
}

static void unlink_child(struct memfs_node *node)
{
    struct memfs_node **at = &node->parent->child;
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    node->next = NULL;
    node->parent->modified_ms = clock_unix_ms();
}

static void free_node(struct memfs *fs, struct memfs_node *node)
{
    fs->bytes -= node->size;
    fs->nodes--;
    free(node->name);
    free(node->target);
    free(node->data);
    free(node);
}

// Without recursion: a tree may be deeper than the stack.
static void free_tree(struct memfs *fs, struct memfs_node *top)
{
    struct memfs_node *node = top;
    for (;;) {
        while (node->child)
            node = node->child;
        struct memfs_node *parent = node->parent;
        bool last = node == top;
        if (!last)
            parent->child = node->next;
        free_node(fs, node);
        if (last)
            return;
        node = parent;
    }
}

static struct memfs_node *new_node(const char *name, size_t length)
{
    struct memfs_node *node = calloc(1, sizeof(*node));
    if (!node)
        return NULL;
    node->name = strndup(name, length);
    if (!node->name) {
        free(node);
        return NULL;
    }
    node->modified_ms = clock_unix_ms();
    return node;
}

int memfs_add(struct memfs *fs, struct memfs_node *directory, const char *name, size_t length,
              uint32_t kind, uint32_t mode, uint32_t uid, struct memfs_node **ret_node,
              struct sbx_error *err)
{
    if (length > MEMFS_NAME_MAX)
        return err_set(err, SBX_ERR_INVALID, "a name is longer than %d bytes", MEMFS_NAME_MAX);
    if (fs->nodes >= MEMFS_NODES_MAX)
        return err_set(err, SBX_ERR_QUOTA, "the sandbox has %d files already", MEMFS_NODES_MAX);
    struct memfs_node *node = new_node(name, length);
    if (!node)
        return err_nomem(err);
    node->kind = kind;
    node->mode = mode & 07777;
    node->uid = node->gid = uid;
    fs->nodes++;
    link_child(directory, node);
    changed(fs, node, SBX_CHANGE_CREATE);
    *ret_node = node;
    return 0;
}

static int make_root(struct memfs *fs, struct sbx_error *err)
{
    fs->root = new_node("", 0);
    if (!fs->root)
        return err_nomem(err);
    fs->root->kind = SBX_FILE_DIRECTORY;
    fs->root->mode = 0755;
    fs->root->parent = fs->root;
    fs->nodes = 1;
    return 0;
}

int memfs_init(struct memfs *fs, struct sbx_error *err)
{
    static const struct {
        const char *path;
        uint32_t kind, mode, uid;
    } rows[] = {
        {"/bin", SBX_FILE_DIRECTORY, 0755, 0},          {"/dev", SBX_FILE_DIRECTORY, 0755, 0},
        {"/dev/null", SBX_FILE_OTHER, 0666, 0},         {"/dev/zero", SBX_FILE_OTHER, 0666, 0},
        {"/etc", SBX_FILE_DIRECTORY, 0755, 0},          {"/home", SBX_FILE_DIRECTORY, 0755, 0},
        {"/home/user", SBX_FILE_DIRECTORY, 0755, 1000}, {"/root", SBX_FILE_DIRECTORY, 0700, 0},
        {"/tmp", SBX_FILE_DIRECTORY, 01777, 0},
    };
    *fs = (struct memfs){0};
    int code = make_root(fs, err);
    struct memfs_view root = {.fs = fs, .cwd = "/"};
    for (size_t i = 0; code == 0 && i < ARRAY_SIZE(rows); i++) {
        struct memfs_node *node;
        code = memfs_make(&root, rows[i].path, rows[i].kind, rows[i].mode, &node, err);
        if (code == 0)
            node->uid = node->gid = rows[i].uid;
    }
    if (code < 0)
        memfs_deinit(fs);
    return code;
}

void memfs_deinit(struct memfs *fs)
{
    if (fs->root)
        free_tree(fs, fs->root);
    *fs = (struct memfs){0};
}

// Without its place in a tree. NULL when out of memory.
static struct memfs_node *copy_node(struct memfs *fs, const struct memfs_node *from)
{
    struct memfs_node *node = new_node(from->name, strlen(from->name));
    if (!node)
        return NULL;
    fs->nodes++;
    node->target = from->target ? strdup(from->target) : NULL;
    node->data = from->size ? malloc(from->size) : NULL;
    node->kind = from->kind;
    node->mode = from->mode;
    node->uid = from->uid;
    node->gid = from->gid;
    if ((from->target && !node->target) || (from->size && !node->data)) {
        free_node(fs, node);
        return NULL;
    }
    if (from->size)
        memcpy(node->data, from->data, from->size);
    node->size = node->capacity = from->size;
    fs->bytes += node->size;
    return node;
}

// The children of one directory, in order.
static int copy_children(struct memfs *fs, const struct memfs_node *from, struct memfs_node *to)
{
    struct memfs_node **at = &to->child;
    for (const struct memfs_node *child = from->child; child; child = child->next) {
        struct memfs_node *copy = copy_node(fs, child);
        if (!copy)
            return -1;
        copy->modified_ms = child->modified_ms;
        copy->parent = to;
        *at = copy;
        at = &copy->next;
    }
    return 0;
}

// The node after this one, parents first. NULL at the end. Without recursion, as free_tree().
static const struct memfs_node *following(const struct memfs_node *node)
{
    if (node->child)
        return node->child;
    while (!node->next && node->parent != node)
        node = node->parent;
    return node->next;
}

int memfs_copy(const struct memfs *from, struct memfs *to, struct sbx_error *err)
{
    struct memfs fs = {0};
    fs.root = copy_node(&fs, from->root);
    if (!fs.root)
        return err_nomem(err);
    fs.root->parent = fs.root;
    int failed = 0;
    const struct memfs_node *copy = fs.root;
    for (const struct memfs_node *node = from->root; node && !failed;
         node = following(node), copy = following(copy))
        failed = copy_children(&fs, node, (struct memfs_node *)(uintptr_t)copy);
    if (failed) {
        memfs_deinit(&fs);
        return err_nomem(err);
    }
    *to = fs;
    return 0;
}

// A walk from node to node along a path that may lead through links.
struct walk {
    const struct memfs_view *view;
    struct memfs_node *at;
    int links;
};

static int walk_path(struct walk *walk, const char *path, bool parent_only, enum memfs_find_how how,
                     const char **ret_last, size_t *ret_length, struct sbx_error *err);

static int enter(struct walk *walk, struct memfs_node *node, struct sbx_error *err)
{
    if (node->kind != SBX_FILE_SYMLINK) {
        walk->at = node;
        return 0;
    }
    if (++walk->links > MEMFS_LINKS_MAX)
        return err_set(err, SBX_ERR_INVALID, "too many symbolic links, '%s' is one of them",
                       node->name);
    return walk_path(walk, node->target, false, MEMFS_FOLLOW, NULL, NULL, err);
}

static int step(struct walk *walk, const char *name, size_t length, bool follow,
                struct sbx_error *err)
{
    struct memfs_node *directory = walk->at;
    if (directory->kind != SBX_FILE_DIRECTORY)
        return err_set(err, SBX_ERR_NOT_FOUND, "'%s' is not a directory", directory->name);
    if (!memfs_may(directory, walk->view->uid, 1))
        return err_set(err, SBX_ERR_DENIED, "directory '%s' is closed to user %u", directory->name,
                       walk->view->uid);
    if (length == 1 && name[0] == '.')
        return 0;
    if (length == 2 && name[0] == '.' && name[1] == '.') {
        walk->at = directory->parent;
        return 0;
    }
    struct memfs_node *node = memfs_child(directory, name, length);
    if (!node)
        return err_set(err, SBX_ERR_NOT_FOUND, "there is no '%.*s'", (int)length, name);
    if (follow)
        return enter(walk, node, err);
    walk->at = node;
    return 0;
}

// With parent_only the last name is not looked up but returned; it is empty for paths like "/".
static int walk_path(struct walk *walk, const char *path, bool parent_only, enum memfs_find_how how,
                     const char **ret_last, size_t *ret_length, struct sbx_error *err)
{
    if (path[0] == '/')
        walk->at = walk->view->fs->root;
    for (;;) {
        path += strspn(path, "/");
        size_t length = strcspn(path, "/");
        const char *rest = path + length + strspn(path + length, "/");
        if (parent_only && *rest == '\0') {
            *ret_last = path;
            *ret_length = length;
            return 0;
        }
        if (length == 0)
            return 0;
        bool last = *rest == '\0' && path[length] == '\0';
        int code = step(walk, path, length, !last || how == MEMFS_FOLLOW, err);
        if (code < 0)
            return code;
        path = rest;
    }
}

static int start(const struct memfs_view *view, struct walk *ret_walk, struct sbx_error *err)
{
    *ret_walk = (struct walk){.view = view, .at = view->fs->root};
    return walk_path(ret_walk, view->cwd, false, MEMFS_FOLLOW, NULL, NULL, err);
}

int memfs_find(const struct memfs_view *view, const char *path, enum memfs_find_how how,
               struct memfs_node **ret_node, struct sbx_error *err)
{
    struct walk walk;
    int code = start(view, &walk, err);
    if (code == 0)
        code = walk_path(&walk, path, false, how, NULL, NULL, err);
    if (code < 0)
        return code;
    *ret_node = walk.at;
    return 0;
}

// The directory that holds, or would hold, the path's last name; writable by the viewer.
static int find_parent(const struct memfs_view *view, const char *path,
                       struct memfs_node **ret_parent, const char **ret_name, size_t *ret_length,
                       struct sbx_error *err)
{
    struct walk walk;
    int code = start(view, &walk, err);
    if (code == 0)
        code = walk_path(&walk, path, true, MEMFS_FOLLOW, ret_name, ret_length, err);
    if (code < 0)
        return code;
    if (walk.at->kind != SBX_FILE_DIRECTORY)
        return err_set(err, SBX_ERR_NOT_FOUND, "'%s' is not a directory", walk.at->name);
    if (*ret_length == 0 || (*ret_name)[0] == '\0')
        return err_set(err, SBX_ERR_CONFLICT, "'%s' exists", path);
    if (!memfs_may(walk.at, view->uid, 3))
        return err_set(err, SBX_ERR_DENIED, "user %u may not write to directory '%s'", view->uid,
                       walk.at->name);
    *ret_parent = walk.at;
    return 0;
}

int memfs_make(const struct memfs_view *view, const char *path, uint32_t kind, uint32_t mode,
               struct memfs_node **ret_node, struct sbx_error *err)
{
    struct memfs_node *parent;
    const char *name;
    size_t length;
    int code = find_parent(view, path, &parent, &name, &length, err);
    if (code < 0)
        return code;
    bool dots = strncmp(name, "..", length) == 0 && length <= 2;
    if (dots || memfs_child(parent, name, length))
        return err_set(err, SBX_ERR_CONFLICT, "'%s' exists", path);
    return memfs_add(view->fs, parent, name, length, kind, mode, view->uid, ret_node, err);
}

int memfs_link(const struct memfs_view *view, const char *target, const char *path,
               struct sbx_error *err)
{
    struct memfs_node *node;
    cleanup_free char *copy = strdup(target);
    if (!copy)
        return err_nomem(err);
    int code = memfs_make(view, path, SBX_FILE_SYMLINK, 0777, &node, err);
    if (code == 0)
        node->target = steal_ptr(copy);
    return code;
}

int memfs_open_read(const struct memfs_view *view, const char *path, struct memfs_node **ret_node,
                    struct sbx_error *err)
{
    struct memfs_node *node;
    int code = memfs_find(view, path, MEMFS_FOLLOW, &node, err);
    if (code < 0)
        return code;
    if (node->kind == SBX_FILE_DIRECTORY)
        return err_set(err, SBX_ERR_CONFLICT, "'%s' is a directory", path);
    if (!memfs_may(node, view->uid, 4))
        return err_set(err, SBX_ERR_DENIED, "user %u may not read '%s'", view->uid, path);
    *ret_node = node;
    return 0;
}

static int open_existing(const struct memfs_view *view, const char *path, struct memfs_node *node,
                         struct sbx_error *err)
{
    if (node->kind == SBX_FILE_DIRECTORY)
        return err_set(err, SBX_ERR_CONFLICT, "'%s' is a directory", path);
    if (!memfs_may(node, view->uid, 2))
        return err_set(err, SBX_ERR_DENIED, "user %u may not write '%s'", view->uid, path);
    return 0;
}

int memfs_open_write(const struct memfs_view *view, const char *path, uint32_t mode, bool append,
                     struct memfs_node **ret_node, struct sbx_error *err)
{
    struct memfs_node *node;
    int code = memfs_find(view, path, MEMFS_FOLLOW, &node, err);
    if (code == SBX_ERR_NOT_FOUND) {
        code = memfs_make(view, path, SBX_FILE_REGULAR, mode, &node, err);
    } else if (code == 0) {
        code = open_existing(view, path, node, err);
    }
    if (code < 0)
        return code;
    if (!append && node->size) {
        view->fs->bytes -= node->size;
        node->size = 0;
        changed(view->fs, node, SBX_CHANGE_WRITE);
    }
    node->modified_ms = clock_unix_ms();
    *ret_node = node;
    return 0;
}

int memfs_append(struct memfs *fs, struct memfs_node *node, const void *data, size_t size,
                 struct sbx_error *err)
{
    if (node->kind != SBX_FILE_REGULAR)
        return 0; // /dev/null takes everything
    if (size > MEMFS_BYTES_MAX - fs->bytes)
        return err_set(err, SBX_ERR_QUOTA, "the sandbox's disk is full");
    size_t need = node->size + size;
    if (need > node->capacity) {
        size_t capacity = need > 2 * node->capacity ? need : 2 * node->capacity;
        char *grown = realloc(node->data, capacity);
        if (!grown)
            return err_nomem(err);
        node->data = grown;
        node->capacity = capacity;
    }
    if (size)
        memcpy(node->data + node->size, data, size);
    node->size = need;
    fs->bytes += size;
    node->modified_ms = clock_unix_ms();
    if (size)
        changed(fs, node, SBX_CHANGE_WRITE);
    return 0;
}

// The length of path up to and with its n-th name, 0 past the last.
static size_t prefix(const char *path, size_t n, bool whole)
{
    const char *at = path;
    for (size_t i = 0; i <= n; i++) {
        at += strspn(at, "/");
        if (!*at)
            return 0;
        at += strcspn(at, "/");
    }
    if (!whole && !at[strspn(at, "/")])
        return 0;
    return (size_t)(at - path);
}

int memfs_make_parents(const struct memfs_view *view, const char *path, bool whole, uint32_t mode,
                       struct sbx_error *err)
{
    size_t length;
    for (size_t n = 0; (length = prefix(path, n, whole)) > 0; n++) {
        cleanup_free char *part = strndup(path, length);
        if (!part)
            return err_nomem(err);
        struct memfs_node *node;
        int code = memfs_find(view, part, MEMFS_FOLLOW, &node, err);
        if (code == SBX_ERR_NOT_FOUND)
            code = memfs_make(view, part, SBX_FILE_DIRECTORY, mode, &node, err);
        if (code == 0 && node->kind != SBX_FILE_DIRECTORY)
            code = err_set(err, SBX_ERR_CONFLICT, "'%s' exists and is not a directory", part);
        if (code < 0)
            return code;
    }
    return 0;
}

int memfs_remove(const struct memfs_view *view, const char *path, bool recursive,
                 struct sbx_error *err)
{
    struct memfs_node *parent, *node;
    const char *name;
    size_t length;
    int code = memfs_find(view, path, MEMFS_NOFOLLOW, &node, err);
    if (code < 0)
        return code;
    if (node->parent == node)
        return err_set(err, SBX_ERR_CONFLICT, "the root directory can't be removed");
    code = find_parent(view, path, &parent, &name, &length, err);
    if (code < 0)
        return code;
    if (node->child && !recursive) {
        err_set(err, SBX_ERR_CONFLICT, "directory '%s' is not empty", path);
        return err_hint(err, "remove it with its contents: options.recursive");
    }
    changed(view->fs, node, SBX_CHANGE_REMOVE);
    unlink_child(node);
    free_tree(view->fs, node);
    return 0;
}

bool memfs_inside(const struct memfs_node *node, const struct memfs_node *top)
{
    while (node != top && node->parent != node)
        node = node->parent;
    return node == top;
}

// What rename(2) allows to be replaced: a file by a file, an empty directory by a directory.
static int check_replace(const struct memfs_node *from, const struct memfs_node *to,
                         const char *path, struct sbx_error *err)
{
    bool from_directory = from->kind == SBX_FILE_DIRECTORY;
    if (from_directory != (to->kind == SBX_FILE_DIRECTORY))
        return err_set(err, SBX_ERR_CONFLICT, "'%s' exists and is of another kind", path);
    if (to->child)
        return err_set(err, SBX_ERR_CONFLICT, "directory '%s' exists and is not empty", path);
    return 0;
}

int memfs_rename(const struct memfs_view *view, const char *from, const char *to,
                 struct sbx_error *err)
{
    struct memfs_node *node, *source, *target;
    const char *name;
    size_t length;
    int code = memfs_find(view, from, MEMFS_NOFOLLOW, &node, err);
    if (code == 0)
        code = find_parent(view, from, &source, &name, &length, err);
    if (code == 0)
        code = find_parent(view, to, &target, &name, &length, err);
    if (code < 0)
        return code;
    if (memfs_inside(target, node))
        return err_set(err, SBX_ERR_INVALID, "'%s' can't be moved into itself", from);
    struct memfs_node *old = memfs_child(target, name, length);
    if (old == node)
        return 0;
    code = old ? check_replace(node, old, to, err) : 0;
    if (code < 0)
        return code;
    char *renamed = strndup(name, length);
    if (!renamed)
        return err_nomem(err);
    if (old) {
        changed(view->fs, old, SBX_CHANGE_REMOVE);
        unlink_child(old);
        free_tree(view->fs, old);
    }
    changed(view->fs, node, SBX_CHANGE_RENAME);
    unlink_child(node);
    free(node->name);
    node->name = renamed;
    link_child(target, node);
    changed(view->fs, node, SBX_CHANGE_CREATE);
    return 0;
}
