// SPDX-License-Identifier: Apache-2.0
// Records of images: reading and writing. Layer: engine.
#include "engine/imagerecord.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/sha256.h"

enum kind { TEXT, WORDS, NUMBER };

struct row {
    const char *key;
    enum kind kind;
    size_t offset;
};

#define FIELD(member) offsetof(struct imagerecord, member)

static const struct row rows[] = {
    {"name", TEXT, FIELD(name)},       {"digest", TEXT, FIELD(digest)},
    {"tree", TEXT, FIELD(tree)},       {"user", TEXT, FIELD(user)},
    {"workdir", TEXT, FIELD(workdir)}, {"layer", WORDS, FIELD(layers)},
    {"env", WORDS, FIELD(env)},        {"entrypoint", WORDS, FIELD(entrypoint)},
    {"cmd", WORDS, FIELD(cmd)},        {"bytes", NUMBER, FIELD(bytes)},
    {"made", NUMBER, FIELD(made_ms)},  {"delta", TEXT, FIELD(delta)},
    {"base", TEXT, FIELD(base)},       {"over", WORDS, FIELD(over)},
};

static void *field(const struct imagerecord *record, const struct row *row)
{
    return (char *)(uintptr_t)record + row->offset;
}

void imagerecord_deinit(struct imagerecord *record)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].kind == TEXT)
            free(*(char **)field(record, &rows[i]));
        if (rows[i].kind != WORDS)
            continue;
        struct imagewords *words = field(record, &rows[i]);
        for (size_t k = 0; k < words->count; k++)
            free(words->items[k]);
        free(words->items);
    }
    memset(record, 0, sizeof(*record));
}

int imagewords_add(struct imagewords *words, const char *text, struct sbx_error *err)
{
    if (words->count >= IMAGERECORD_LIST_MAX)
        return err_set(err, SBX_ERR_QUOTA, "the image has a list of more than %d entries",
                       IMAGERECORD_LIST_MAX);
    char **grown = reallocarray(words->items, words->count + 1, sizeof(*grown));
    if (!grown)
        return err_nomem(err);
    words->items = grown;
    char *copy = strdup(text);
    if (!copy)
        return err_nomem(err);
    grown[words->count++] = copy;
    return 0;
}

static void put_escaped(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\t' || *text == '\n' || *text == '\\')
            buf_printf(out, "\\%c", *text == '\t' ? 't' : *text == '\n' ? 'n' : '\\');
        else
            buf_add(out, text, 1);
    }
}

static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (*from == '\\' && from[1]) {
            from++;
            *to++ = *from == 't' ? '\t' : *from == 'n' ? '\n' : *from;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

static void put_line(struct buf *out, const char *key, const char *value)
{
    buf_printf(out, "%s\t", key);
    put_escaped(out, value);
    buf_puts(out, "\n");
}

static void put_row(struct buf *out, const struct imagerecord *record, const struct row *row)
{
    char number[32];
    if (row->kind == TEXT) {
        const char *text = *(char **)field(record, row);
        put_line(out, row->key, text ? text : "");
    } else if (row->kind == NUMBER) {
        snprintf(number, sizeof(number), "%llu",
                 (unsigned long long)*(uint64_t *)field(record, row));
        put_line(out, row->key, number);
    } else {
        const struct imagewords *words = field(record, row);
        for (size_t i = 0; i < words->count; i++)
            put_line(out, row->key, words->items[i]);
    }
}

static int take_line(struct imagerecord *record, char *line, struct sbx_error *err)
{
    char *key = strsep(&line, "\t");
    for (size_t i = 0; line && i < ARRAY_SIZE(rows); i++) {
        if (strcmp(rows[i].key, key) != 0)
            continue;
        unescape(line);
        void *target = field(record, &rows[i]);
        if (rows[i].kind == WORDS)
            return imagewords_add(target, line, err);
        if (rows[i].kind == NUMBER) {
            *(uint64_t *)target = strtoull(line, NULL, 10);
            return 0;
        }
        free(*(char **)target);
        *(char **)target = strdup(line);
        return *(char **)target ? 0 : err_nomem(err);
    }
    return 0; // of a later version
}

static bool is_hex(const char *text)
{
    return strlen(text) == SHA256_HEX_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == SHA256_HEX_SIZE - 1;
}

bool imagerecord_is_snapshot(const struct imagerecord *record)
{
    return record->delta && record->delta[0];
}

// Over what it is laid: an image's tree, or something else.
static bool has_ground(const struct imagerecord *record)
{
    if (!record->tree || (record->tree[0] && !is_hex(record->tree)))
        return false;
    bool snapshot = imagerecord_is_snapshot(record);
    if (snapshot && !is_hex(record->delta))
        return false;
    return record->tree[0] || (snapshot && record->base && record->base[0]);
}

static bool is_whole(const struct imagerecord *record)
{
    for (size_t i = 0; i < record->layers.count; i++)
        if (!is_hex(record->layers.items[i]))
            return false;
    return record->name && record->digest && record->user && record->workdir && has_ground(record);
}

int imagerecord_parse(char *text, struct imagerecord *ret_record, struct sbx_error *err)
{
    cleanup_imagerecord struct imagerecord record = {0};
    int rc = 0;
    for (char *line; rc == 0 && (line = strsep(&text, "\n"));)
        rc = take_line(&record, line, err);
    if (rc < 0)
        return rc;
    if (!is_whole(&record))
        return err_set(err, SBX_ERR_INVALID, "the record is damaged");
    *ret_record = record;
    record = (struct imagerecord){0};
    return 0;
}

void imagerecord_file(const char *name, char ret_file[IMAGERECORD_FILE_SIZE])
{
    struct sha256 hash;
    uint8_t digest[SHA256_SIZE];
    sha256_init(&hash);
    sha256_update(&hash, name, strlen(name));
    sha256_final(&hash, digest);
    sha256_hex(digest, ret_file);
}

int imagerecord_load(int dir_fd, const char *file, struct imagerecord *ret_record,
                     struct sbx_error *err)
{
    cleanup_free char *text = malloc(IMAGERECORD_BYTES_MAX);
    if (!text)
        return err_nomem(err);
    if (fd_read_file(dir_fd, file, text, IMAGERECORD_BYTES_MAX) < 0)
        return err_sys(err, 0, errno, "cannot read the record");
    return imagerecord_parse(text, ret_record, err);
}

int imagerecord_read_file(const struct imagestore *store, const char *file,
                          struct imagerecord *ret_record, struct sbx_error *err)
{
    int rc = imagerecord_load(store->records_fd, file, ret_record, err);
    return rc < 0 ? err_wrap(err, "%s/records/%s", store->path, file) : 0;
}

int imagerecord_read(const struct imagestore *store, const char *name,
                     struct imagerecord *ret_record, struct sbx_error *err)
{
    char file[IMAGERECORD_FILE_SIZE];
    imagerecord_file(name, file);
    return imagerecord_read_file(store, file, ret_record, err);
}

int imagerecord_save(int dir_fd, const char *file, const struct imagerecord *record,
                     struct sbx_error *err)
{
    cleanup_buf struct buf text = BUF_INIT(IMAGERECORD_BYTES_MAX - 1);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        put_row(&text, record, &rows[i]);
    if (text.failed)
        return err_set(err, SBX_ERR_QUOTA, "the image's settings are larger than %u KiB",
                       IMAGERECORD_BYTES_MAX >> 10);
    cleanup_fd int fd =
        openat(dir_fd, file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || fd_write_full(fd, text.data, text.size) < 0 || fsync(fd) < 0)
        return err_sys(err, 0, errno, "cannot write the record of an image");
    return 0;
}

int imagerecord_write(const struct imagestore *store, const struct imagerecord *record,
                      struct sbx_error *err)
{
    char file[IMAGERECORD_FILE_SIZE], aside[96], id[ID_SIZE];
    imagerecord_file(record->name, file);
    // Many may write the same record at once: each its own file.
    if (id_new(id) < 0)
        return err_set(err, SBX_ERR_IO, "no random numbers for a file");
    snprintf(aside, sizeof(aside), "%s.%s.new", file, id);
    int rc = imagerecord_save(store->records_fd, aside, record, err);
    if (rc == 0 && renameat(store->records_fd, aside, store->records_fd, file) < 0)
        rc = err_sys(err, 0, errno, "cannot write %s/records/%s", store->path, file);
    if (rc < 0)
        unlinkat(store->records_fd, aside, 0);
    return rc;
}

int imagerecord_remove(const struct imagestore *store, const char *name, struct sbx_error *err)
{
    char file[IMAGERECORD_FILE_SIZE];
    imagerecord_file(name, file);
    if (unlinkat(store->records_fd, file, 0) == 0)
        return 0;
    if (errno == ENOENT) {
        err_set(err, SBX_ERR_NOT_FOUND, "there is no image '%s' here", name);
        return err_hint(err, "see which there are: sandboxes image list");
    }
    return err_sys(err, 0, errno, "cannot remove the image '%s'", name);
}
