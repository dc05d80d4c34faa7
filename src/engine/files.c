// SPDX-License-Identifier: Apache-2.0
// Files of a local sandbox: contents, names, directories. Layer: engine.
#include "engine/files.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "engine/filelink.h"

#define REQUEST_MAX (4 * FILES_PATH_MAX)
#define READ_FIRST (64 * 1024) // memory that is taken on the agent's word
#define READ_TRUSTED                                                                               \
    (64 * 1024 * 1024) // likewise, when it names a size: what isn't used costs nothing
#define LIST_BYTES_MAX (256 * 1024 * 1024)

// Sends a request whose only answer is success.
static int ask(struct box *box, const struct sbx_file_options *options, uint32_t type,
               const struct buf *request, struct deadline deadline, struct sbx_error *err)
{
    cleanup_filelink struct filelink link = FILELINK_NONE;
    int code = filelink_open(box, options->user, deadline, &link, err);
    if (code == 0)
        code = filelink_put(&link, type, request, err);
    if (code == 0)
        code = filelink_flush(&link, err);
    return code < 0 ? code : filelink_done(&link, err);
}

int files_mkdir(struct box *box, const char *path, const struct sbx_file_options *options,
                struct deadline deadline, struct sbx_error *err)
{
    cleanup_buf struct buf request = BUF_INIT(REQUEST_MAX);
    wire_put_text(&request, path);
    wire_put_u32(&request, options->mode);
    wire_put_u32(&request, options->recursive);
    return ask(box, options, FILES_MKDIR, &request, deadline, err);
}

int files_remove(struct box *box, const char *path, const struct sbx_file_options *options,
                 struct deadline deadline, struct sbx_error *err)
{
    cleanup_buf struct buf request = BUF_INIT(REQUEST_MAX);
    wire_put_text(&request, path);
    wire_put_u32(&request, options->recursive);
    return ask(box, options, FILES_REMOVE, &request, deadline, err);
}

int files_rename(struct box *box, const char *from, const char *to,
                 const struct sbx_file_options *options, struct deadline deadline,
                 struct sbx_error *err)
{
    cleanup_buf struct buf request = BUF_INIT(REQUEST_MAX);
    wire_put_text(&request, from);
    wire_put_text(&request, to);
    return ask(box, options, FILES_RENAME, &request, deadline, err);
}

int files_write(struct box *box, const char *path, const void *data, size_t size,
                const struct sbx_file_options *options, struct deadline deadline,
                struct sbx_error *err)
{
    cleanup_buf struct buf request = BUF_INIT(REQUEST_MAX);
    cleanup_filelink struct filelink link = FILELINK_NONE;
    wire_put_text(&request, path);
    wire_put_u32(&request, options->mode);
    wire_put_u64(&request, size);
    int code = filelink_open(box, options->user, deadline, &link, err);
    if (code == 0)
        code = filelink_put(&link, FILES_WRITE, &request, err);
    if (code == 0)
        code = filelink_send(&link, data, size, err);
    if (code == 0)
        code = filelink_flush(&link, err);
    return code < 0 ? code : filelink_done(&link, err);
}

// Opens a link and sends a request that consists of a path.
static int ask_path(struct box *box, const struct sbx_file_options *options, uint32_t type,
                    const char *path, struct deadline deadline, struct filelink *ret_link,
                    struct sbx_error *err)
{
    cleanup_buf struct buf request = BUF_INIT(REQUEST_MAX);
    cleanup_filelink struct filelink link = FILELINK_NONE;
    wire_put_text(&request, path);
    int code = filelink_open(box, options->user, deadline, &link, err);
    if (code == 0)
        code = filelink_put(&link, type, &request, err);
    if (code == 0)
        code = filelink_flush(&link, err);
    if (code < 0)
        return code;
    *ret_link = link;
    link = (struct filelink)FILELINK_NONE;
    return 0;
}

// Contents that come in; `data` always has room for one more byte.
struct contents {
    char *data;
    size_t size, capacity;
    uint64_t limit;
};

static void contents_deinit(struct contents *contents)
{
    free(contents->data);
}

static int make_room(struct contents *contents, size_t capacity, struct sbx_error *err)
{
    if (capacity <= contents->capacity)
        return 0;
    char *data = realloc(contents->data, capacity + 1);
    if (!data)
        return err_nomem(err);
    contents->data = data;
    contents->capacity = capacity;
    return 0;
}

static int past_limit(const struct contents *contents, const char *path, struct sbx_error *err)
{
    err_set(err, SBX_ERR_QUOTA, "'%s' is larger than the limit of %llu bytes", path,
            (unsigned long long)contents->limit);
    return err_hint(err, "raise the limit, or download the file"), SBX_ERR_QUOTA;
}

// One DATA frame's bytes.
static int add_data(struct filelink *link, struct contents *contents, const char *path,
                    struct sbx_error *err)
{
    if (link->left > contents->limit - contents->size)
        return past_limit(contents, path, err);
    size_t wanted = contents->size + link->left;
    int code = 0;
    if (wanted > contents->capacity)
        code = make_room(contents,
                         wanted < contents->capacity * 2 ? contents->capacity * 2 : wanted, err);
    while (code == 0 && link->left > 0) {
        size_t got;
        code = filelink_read(link, contents->data + contents->size, link->left, &got, err);
        contents->size += code == 0 ? got : 0;
    }
    return code;
}

static int next_entry(struct filelink *link, struct files_entry *ret_entry, struct sbx_error *err)
{
    struct frame frame;
    int code = filelink_next(link, &frame, err);
    if (code < 0)
        return code;
    if (frame.type != FILES_ENTRY || files_entry_get(frame.payload, frame.size, ret_entry) < 0)
        return conn_nonsense(err);
    return 0;
}

static int read_contents(struct filelink *link, struct contents *contents, const char *path,
                         struct sbx_error *err)
{
    struct files_entry entry;
    int code = next_entry(link, &entry, err);
    if (code < 0)
        return code;
    if (entry.size > contents->limit)
        return past_limit(contents, path, err);
    code = make_room(contents,
                     entry.size == 0             ? READ_FIRST
                     : entry.size < READ_TRUSTED ? (size_t)entry.size
                                                 : READ_TRUSTED,
                     err);
    while (code == 0) {
        struct frame frame;
        code = filelink_next(link, &frame, err);
        if (code == 0 && frame.type == FILES_DONE)
            return 0;
        if (code == 0)
            code =
                frame.type == FILES_DATA ? add_data(link, contents, path, err) : conn_nonsense(err);
    }
    return code;
}

int files_read(struct box *box, const char *path, const struct sbx_file_options *options,
               struct deadline deadline, char **ret_data, size_t *ret_size, struct sbx_error *err)
{
    cleanup_filelink struct filelink link = FILELINK_NONE;
    cleanup(contents_deinit) struct contents contents = {.limit = options->limit};
    int code = ask_path(box, options, FILES_READ, path, deadline, &link, err);
    if (code == 0)
        code = read_contents(&link, &contents, path, err);
    if (code < 0)
        return code;
    contents.data[contents.size] = '\0';
    *ret_data = steal_ptr(contents.data);
    *ret_size = contents.size;
    return 0;
}

// Entries of a list with their texts, each text block owned by its item's name.
struct entries {
    struct sbx_file_info *items;
    size_t count, capacity, bytes;
};

static void free_items(struct sbx_file_info *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((char *)(uintptr_t)items[i].name);
    free(items);
}

static void entries_deinit(struct entries *entries)
{
    free_items(entries->items, entries->count);
}

static int grow(struct entries *entries)
{
    if (entries->count < entries->capacity)
        return 0;
    size_t capacity = entries->capacity ? entries->capacity * 2 : 16;
    void *items = realloc(entries->items, capacity * sizeof(*entries->items));
    if (!items)
        return -1;
    entries->items = items;
    entries->capacity = capacity;
    return 0;
}

static int add_entry(struct entries *entries, const char *name, const struct files_entry *entry,
                     struct sbx_error *err)
{
    size_t name_size = strlen(name) + 1, link_size = strlen(entry->link) + 1;
    entries->bytes += sizeof(*entries->items) + name_size + link_size;
    if (entries->bytes > LIST_BYTES_MAX || entries->count == FILES_ENTRIES_MAX)
        return err_set(err, SBX_ERR_QUOTA, "the directory has too many entries to list");
    char *text = malloc(name_size + link_size);
    if (!text || grow(entries) < 0) {
        free(text);
        return err_nomem(err);
    }
    memcpy(text, name, name_size);
    memcpy(text + name_size, entry->link, link_size);
    entries->items[entries->count++] =
        (struct sbx_file_info){.name = text,
                               .link = entry->kind == SBX_FILE_SYMLINK ? text + name_size : NULL,
                               .size = entry->size,
                               .modified_ms = entry->modified_ms,
                               .kind = entry->kind,
                               .mode = entry->mode,
                               .uid = entry->uid,
                               .gid = entry->gid};
    return 0;
}

static void give_entries(struct entries *entries, struct sbx_file_list *ret_list)
{
    *ret_list = (struct sbx_file_list){.count = entries->count, .items = entries->items};
    *entries = (struct entries){0};
}

int files_stat(struct box *box, const char *path, const struct sbx_file_options *options,
               struct deadline deadline, struct sbx_file_list *ret_one, struct sbx_error *err)
{
    cleanup_filelink struct filelink link = FILELINK_NONE;
    cleanup(entries_deinit) struct entries entries = {0};
    struct files_entry entry;
    int code = ask_path(box, options, FILES_STAT, path, deadline, &link, err);
    if (code == 0)
        code = next_entry(&link, &entry, err);
    if (code == 0)
        code = add_entry(&entries, path, &entry, err);
    if (code == 0)
        code = filelink_done(&link, err);
    if (code == 0)
        give_entries(&entries, ret_one);
    return code;
}

// A bare name: callers put it after a directory of theirs.
static bool is_name(const char *name)
{
    return name[0] && !strchr(name, '/') && files_path_safe(name);
}

static int read_list(struct filelink *link, struct entries *entries, struct sbx_error *err)
{
    for (;;) {
        struct frame frame;
        struct files_entry entry;
        int code = filelink_next(link, &frame, err);
        if (code < 0)
            return code;
        if (frame.type == FILES_DONE)
            return 0;
        if (frame.type != FILES_ENTRY || files_entry_get(frame.payload, frame.size, &entry) < 0 ||
            !is_name(entry.path))
            return conn_nonsense(err);
        code = add_entry(entries, entry.path, &entry, err);
        if (code < 0)
            return code;
    }
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct sbx_file_info *)a)->name, ((const struct sbx_file_info *)b)->name);
}

int files_list(struct box *box, const char *path, const struct sbx_file_options *options,
               struct deadline deadline, struct sbx_file_list *ret_list, struct sbx_error *err)
{
    cleanup_filelink struct filelink link = FILELINK_NONE;
    cleanup(entries_deinit) struct entries entries = {0};
    int code = ask_path(box, options, FILES_LIST, path, deadline, &link, err);
    if (code == 0)
        code = read_list(&link, &entries, err);
    if (code < 0)
        return code;
    if (entries.count > 1)
        qsort(entries.items, entries.count, sizeof(*entries.items), compare);
    give_entries(&entries, ret_list);
    return 0;
}

void files_list_free(struct sbx_file_list *list)
{
    free_items((struct sbx_file_info *)(uintptr_t)list->items, list->count);
    *list = (struct sbx_file_list){0};
}
