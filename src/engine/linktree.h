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

// Copies the files of one directory (not of those in it) that this account can read. Lock files
// become empty ones. -1 and errno on failure.
int linktree_copy_files(int source_fd, int target_fd);

/*
 * Makes the directories beneath source_fd, to a depth of LINKTREE_DEPTH, beneath target_fd too,
 * without their files: laid above the original in an overlay, they let their owner put files into
 * them. Left out are mounts, directories that can't be read, and what lies in the `shallow` ones
 * (paths, NULL at the end). -1 and errno on failure.
 */
#define LINKTREE_DEPTH 5
int linktree_mirror(int source_fd, int target_fd, const char *const *shallow);
