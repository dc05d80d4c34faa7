// SPDX-License-Identifier: Apache-2.0
// Layers laid over each other: one tree of hard links. Layer: registry.
#pragma once

#include "base/error.h"

/*
 * Lays an unpacked layer over what is in the tree: its files as hard links, its directories with
 * their modes and owners, its whiteouts carried out. -1 and errno on failure.
 */
int merge_layer(int layer_fd, int tree_fd);

// Makes a directory of the tree and those on the way, as the sandbox would see the path.
int merge_make_dir(int tree_fd, const char *path);
