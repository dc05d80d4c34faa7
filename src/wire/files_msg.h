// SPDX-License-Identifier: Apache-2.0
/*
 * File requests, after AGENT_FILES on a connection: one at a time, each with a final answer. What
 * the host sends may be refused before it has sent all; it closes then, or sends the rest, which is
 * dropped. A tree is a sequence of entries, parents before children, paths relative to the tree's
 * root ("" is the root itself); a regular file's entry is followed by its bytes in DATA frames,
 * `size` of them in all. Layer: wire.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <sandboxes/files.h>

#include "wire/codec.h"

#define FILES_PATH_MAX 4096
#define FILES_DEPTH_MAX 256       // levels of a tree
#define FILES_ENTRIES_MAX 4000000 // entries of a tree or list

enum files_msg {
    // Requests
    FILES_READ = 64, // text path: ENTRY, DATA..., DONE
    FILES_WRITE =
        65, // text path, u32 mode (0: 0644 or as it was), u64 size: then DATA frames; DONE
    FILES_STAT =
        66, // text path: ENTRY, DONE (the entry's path is the path asked for; links not followed)
    FILES_LIST = 67,     // text path: ENTRY..., DONE (path is the bare name)
    FILES_MKDIR = 68,    // text path, u32 mode, u32 parents: DONE
    FILES_REMOVE = 69,   // text path, u32 recursive: DONE
    FILES_RENAME = 70,   // text from, text to: DONE
    FILES_GET_TREE = 71, // text path: ENTRY (DATA...)..., DONE
    FILES_PUT_TREE =
        72, // text path, text name: then ENTRY (DATA...)..., END from the host; DONE. If path is
            // an existing directory the tree becomes path/name, else it becomes path
    FILES_WATCH = 73, // text path, u32 recursive: DONE, then CHANGE... until the host closes

    // Both ways
    FILES_ENTRY = 80, // struct files_entry
    FILES_DATA = 81,  // raw bytes, at most AGENT_DATA_MAX
    FILES_END = 82,   // nothing; the host's tree is complete

    // Answers
    FILES_DONE = 83,  // nothing; failures are AGENT_FAILED
    FILES_CHANGE = 84 // u32 enum sbx_change_kind, text path below the directory
};

struct files_entry {
    const char *path; // borrowed
    const char *link; // "" unless a symbolic link
    uint64_t size;
    int64_t modified_ms;
    uint32_t kind; // enum sbx_file_kind
    uint32_t mode; // 07777
    uint32_t uid, gid;
};

void files_entry_put(struct buf *out, const struct files_entry *entry);
// -1 if malformed; bounds and kind are checked, the path is not (see files_path_safe).
int files_entry_get(const void *payload, size_t size, struct files_entry *ret_entry);

// True for "" and for relative paths without empty, "." or ".." components, within the ceilings.
bool files_path_safe(const char *path);
