// SPDX-License-Identifier: Apache-2.0
// A tree of this machine beside the original, sharing its files. Layer: engine.
#pragma once

/*
 * Makes `path` beneath target_fd, which must not exist, as the directory of that path beneath
 * source_fd: directories anew, regular files as hard links, so that it costs no copying and stays
 * as it is when the original's files are replaced. Only for trees whose files are replaced, never
 * rewritten, and that nobody writes to through the new one. Lock files become empty ones of their
 * own. -1 and errno on failure (EXDEV on two file systems, EPERM where links are refused); what
 * was made stays.
 */
int linktree_make(int source_fd, int target_fd, const char *path);
