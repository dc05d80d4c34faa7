// SPDX-License-Identifier: Apache-2.0
// Names of an archive, cleaned and opened beneath the new tree. Layer: engine.
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * Makes a name of the archive a relative path without "." and empty parts: "" is the tree's root.
 * Refused: absolute names, "..", parts over NAME_MAX, more than PATH_DEPTH_MAX parts.
 */
#define PATH_DEPTH_MAX 256
int path_clean(const char *name, char ret_path[PATH_MAX], struct sbx_error *err);

// A name for messages: control characters and what is not UTF-8 are escaped, long ones cut.
void path_show(const char *name, char ret_text[160]);

// Opens directories beneath the tree and keeps the last one: neighbours of an archive mostly share
// it.
struct path_walk {
    int root_fd;
    mode_t implied_mode; // of directories that no entry made
    int dir_fd;          // of `dir`, or -1
    char dir[PATH_MAX];
};

void path_walk_init(struct path_walk *walk, int root_fd);
void path_walk_deinit(struct path_walk *walk);

/*
 * Opens the directory that a clean path lies in; *ret_leaf points to its last part. Missing
 * directories are made if `make`. Links on the way are refused: an archive that made one could
 * write through it. *ret_fd belongs to the walk.
 */
int path_walk_open(struct path_walk *walk, const char *path, bool make, int *ret_fd,
                   const char **ret_leaf, struct sbx_error *err);
