// SPDX-License-Identifier: Apache-2.0
// File requests. Layer: wire.
#include "wire/files_msg.h"

#include <string.h>

void files_entry_put(struct buf *out, const struct files_entry *entry)
{
    wire_put_text(out, entry->path);
    wire_put_text(out, entry->link);
    wire_put_u64(out, entry->size);
    wire_put_u64(out, (uint64_t)entry->modified_ms);
    wire_put_u32(out, entry->kind);
    wire_put_u32(out, entry->mode);
    wire_put_u32(out, entry->uid);
    wire_put_u32(out, entry->gid);
}

int files_entry_get(const void *payload, size_t size, struct files_entry *ret_entry)
{
    struct wire_reader in = wire_reader(payload, size);
    struct files_entry entry = {.path = wire_text(&in)};
    entry.link = wire_text(&in);
    entry.size = wire_u64(&in);
    entry.modified_ms = (int64_t)wire_u64(&in);
    entry.kind = wire_u32(&in);
    entry.mode = wire_u32(&in);
    entry.uid = wire_u32(&in);
    entry.gid = wire_u32(&in);
    if (!wire_end(&in) || entry.kind < SBX_FILE_REGULAR || entry.kind > SBX_FILE_OTHER ||
        (entry.mode & ~07777u) || strlen(entry.path) > FILES_PATH_MAX ||
        strlen(entry.link) > FILES_PATH_MAX)
        return -1;
    *ret_entry = entry;
    return 0;
}

static bool component_safe(const char *at, size_t length)
{
    if (length == 0 || length > 255)
        return false;
    return !(at[0] == '.' && (length == 1 || (length == 2 && at[1] == '.')));
}

bool files_path_safe(const char *path)
{
    if (strlen(path) > FILES_PATH_MAX)
        return false;
    if (!path[0])
        return true;
    int depth = 0;
    for (const char *at = path;; at++) {
        size_t length = strcspn(at, "/");
        if (!component_safe(at, length) || ++depth > FILES_DEPTH_MAX)
            return false;
        at += length;
        if (!*at)
            return true;
    }
}
