// SPDX-License-Identifier: Apache-2.0
// Whole directory trees. Layer: base.
#pragma once

/*
 * Removes a file or a directory with all in it, whatever its modes and depth; links are removed,
 * never followed. Nobody else may be moving directories in it meanwhile. 0 (also when it is not
 * there), or -1 and errno.
 */
int tree_remove(int dir_fd, const char *name);

// The same, but out of sight first, by the name NAME.new: nobody may find half of it.
int tree_drop(int dir_fd, const char *name);
