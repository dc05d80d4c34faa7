// SPDX-License-Identifier: Apache-2.0
// Records on disk. Layer: serve.
#include "serve/sheet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"

#define SHEET_MAX (4 * 1024 * 1024)

struct number {
    const char *key;
    size_t offset;
};
#define NUMBER(member)                                                                             \
    {                                                                                              \
#member, offsetof(struct sheet, member)                                                    \
    }
static const struct number numbers[] = {
    NUMBER(api),          NUMBER(state),       NUMBER(created_ms), NUMBER(used_ms),
    NUMBER(paused_ms),    NUMBER(end_ms),      NUMBER(secure),     NUMBER(auto_pause),
    NUMBER(auto_resume),  NUMBER(internet),    NUMBER(open),       NUMBER(auto_stop),
    NUMBER(auto_archive), NUMBER(auto_delete), NUMBER(env_apart),  NUMBER(idle_pause),
    NUMBER(key_turn),
};

struct text {
    const char *key;
    size_t offset, size;
};
#define TEXT(member)                                                                               \
    {                                                                                              \
#member, offsetof(struct sheet, member), sizeof(((struct sheet *)0)->member)               \
    }
static const struct text texts[] = {TEXT(id), TEXT(owner), TEXT(image), TEXT(name),
                                    TEXT(mask_host)};

#define LIST(member) NUMBER(member)
static const struct number lists[] = {LIST(labels), LIST(env), LIST(inside), LIST(tokens),
                                      LIST(lists)};

void sheet_deinit(struct sheet *sheet)
{
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        pairlist_deinit((struct pairlist *)(void *)((char *)sheet + lists[i].offset));
}

static void file_name(const char *id, const char *end, char ret_name[SHEET_ID_SIZE + 16])
{
    snprintf(ret_name, SHEET_ID_SIZE + 16, "%s%s", id, end);
}

static void write_json(const struct sheet *sheet, struct buf *buf)
{
    struct json json = JSON_INIT(buf, false);
    json_begin_object(&json);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        json_put_text(&json, texts[i].key, (const char *)sheet + texts[i].offset);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        json_put_int(&json, numbers[i].key,
                     *(const int64_t *)(const void *)((const char *)sheet + numbers[i].offset));
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        json_key(&json, lists[i].key);
        pairlist_write((const void *)((const char *)sheet + lists[i].offset), &json);
    }
    json_end_object(&json);
}

int sheet_save(const struct sheet *sheet, int dir_fd, struct sbx_error *err)
{
    char name[SHEET_ID_SIZE + 16], next[SHEET_ID_SIZE + 16];
    cleanup_buf struct buf buf = BUF_INIT(SHEET_MAX);
    write_json(sheet, &buf);
    if (buf.failed)
        return err_set(err, SBX_ERR_INVALID, "the sheet of sandbox '%s' is too large", sheet->id);
    file_name(sheet->id, ".json", name);
    file_name(sheet->id, ".new", next);
    cleanup_fd int fd =
        openat(dir_fd, next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fd_write_full(fd, buf.data, buf.size) < 0 ||
        renameat(dir_fd, next, dir_fd, name) < 0)
        return err_sys(err, 0, errno, "cannot keep the sheet of sandbox '%s'", sheet->id);
    return 0;
}

static int read_json(const struct jsonv *root, struct sheet *sheet, struct sbx_error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        const char *text = jsonv_text(root, texts[i].key);
        snprintf((char *)sheet + texts[i].offset, texts[i].size, "%s", text ? text : "");
    }
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        *(int64_t *)(void *)((char *)sheet + numbers[i].offset) =
            jsonv_int(root, numbers[i].key, 0);
    int code = 0;
    for (size_t i = 0; i < ARRAY_SIZE(lists) && code == 0; i++)
        code = pairlist_read((void *)((char *)sheet + lists[i].offset),
                             jsonv_get(root, lists[i].key), lists[i].key, err);
    return code;
}

int sheet_load(int dir_fd, const char *id, struct sheet *ret_record, struct sbx_error *err)
{
    char name[SHEET_ID_SIZE + 16];
    file_name(id, ".json", name);
    cleanup_free char *text = malloc(SHEET_MAX);
    if (!text)
        return err_nomem(err);
    ssize_t size = fd_read_file(dir_fd, name, text, SHEET_MAX);
    if (size < 0)
        return err_sys(err, 0, errno, "cannot read the sheet of sandbox '%s'", id);
    cleanup_jsonv struct jsonv *root = NULL;
    int code = jsonv_parse(text, (size_t)size, &root, err);
    if (code < 0)
        return code;
    struct sheet sheet = {0};
    code = read_json(root, &sheet, err);
    if (code == 0 && strcmp(sheet.id, id) != 0)
        code = err_set(err, SBX_ERR_PROTOCOL, "the sheet of sandbox '%s' names another", id);
    if (code < 0)
        sheet_deinit(&sheet);
    else
        *ret_record = sheet;
    return code;
}

void sheet_remove(int dir_fd, const char *id)
{
    char name[SHEET_ID_SIZE + 16];
    file_name(id, ".json", name);
    unlinkat(dir_fd, name, 0);
}
